import { describe, expect, it } from 'vitest';
import { Loading } from '../loading';
import { english } from './words';

/** As much of a notebook as loading asks; its kernel takes what it is given, or says `error`. */
class Notebook {
  panel = { isDisposed: false };
  isTrusted = true;
  loads = 0;
  error: string | null = null;
  link: { load(): Promise<void> } | null = {
    load: async () => {
      this.loads++;
      if (this.error) {
        throw new Error(this.error);
      }
    }
  };
}

function open(...notebooks: Notebook[]) {
  const focus = { on: (notebooks[0] ?? null) as Notebook | null };
  const told: { why: string; again: (() => void) | null }[] = [];
  const loading = new Loading(
    () => focus.on,
    (why, again) => void told.push({ why, again }),
    english
  );
  return { focus, told, loading };
}
const settled = () => new Promise(resolve => setTimeout(resolve));

describe('loading the extension', () => {
  it('happens in the notebook that has the focus', async () => {
    const mine = new Notebook();
    const { told, loading } = open(mine);
    expect(loading.whyNot()).toBe(null);
    await loading.load();
    expect(mine.loads).toBe(1);
    expect(told).toEqual([]);
  });

  it('is refused without trust, even where the command is run past its being off', async () => {
    const mine = new Notebook();
    const { told, loading } = open(mine);
    mine.isTrusted = false;
    await loading.load();
    expect(mine.loads).toBe(0);
    expect(told.map(each => each.why)).toEqual(['Trust the notebook first']);
    mine.isTrusted = true;
    told[0].again!();
    expect(mine.loads).toBe(1);
  });

  it('says what is missing: a notebook, or its kernel', async () => {
    const { focus, told, loading } = open();
    await loading.load();
    focus.on = new Notebook();
    focus.on.link = null;
    await loading.load();
    expect(told.map(each => each.why)).toEqual(['Open a notebook first', 'The notebook has no kernel']);
  });
});

describe('trying again', () => {
  it('means the notebook where it failed, whichever has the focus by then', async () => {
    const [mine, other] = [new Notebook(), new Notebook()];
    const { focus, told, loading } = open(mine);
    mine.error = 'ModuleNotFoundError: no workbench';
    await loading.load();
    expect(told.map(each => each.why)).toEqual(['ModuleNotFoundError: no workbench']);
    focus.on = other;
    mine.error = null;
    told[0].again!();
    await settled();
    expect([mine.loads, other.loads]).toEqual([2, 0]);
    expect(told).toHaveLength(1);
  });

  it('asks for trust once more', async () => {
    const mine = new Notebook();
    const { told, loading } = open(mine);
    mine.error = 'ModuleNotFoundError: no workbench';
    await loading.load();
    mine.isTrusted = false; // a cell was pasted
    told[0].again!();
    await settled();
    expect(mine.loads).toBe(1);
    expect(told[1].why).toBe('Trust the notebook first');
  });

  it('says that the notebook has been closed, and ends there', async () => {
    const mine = new Notebook();
    const { told, loading } = open(mine);
    mine.error = 'ModuleNotFoundError: no workbench';
    await loading.load();
    mine.panel.isDisposed = true;
    mine.link = null;
    told[0].again!();
    await settled();
    expect(told[1]).toEqual({ why: 'The notebook has been closed', again: null });
  });

  it('means the notebook opened since, where there was none', async () => {
    const mine = new Notebook();
    const { focus, told, loading } = open();
    await loading.load();
    focus.on = mine;
    told[0].again!();
    expect(mine.loads).toBe(1);
  });
});
