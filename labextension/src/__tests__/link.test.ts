import type { Kernel } from '@jupyterlab/services';
import { Signal } from '@lumino/signaling';
import { describe, expect, it } from 'vitest';
import { KernelLink } from '../link';
import { KernelStore } from '../store';

/** As much of a kernel connection as the link uses; messages that reach the kernel are kept in order. */
class Connection {
  status = 'idle';
  supportsSubshells = false;
  commsOverSubshells = 'perCommTarget';
  isDisposed = false;
  isDead = false;
  statusChanged = new Signal<this, string>(this);
  iopubMessage = new Signal<this, object>(this);
  anyMessage = new Signal<this, object>(this);
  connectionStatusChanged = new Signal<this, string>(this);
  disposed = new Signal<this, void>(this);
  sent: { kind: string; body: Record<string, unknown> }[] = [];
  interrupts = 0;
  comm = {
    isDisposed: false,
    onMsg: (() => {}) as (message: object) => void,
    onClose: () => {},
    open: () => {
      if (this.isDead) {
        throw new Error('Kernel is dead');
      }
    },
    close: () => {},
    dispose: () => {},
    send: (message: { kind: string; body: Record<string, unknown> }) => void this.sent.push(message)
  };

  createComm() {
    return this.comm;
  }
  async interrupt() {
    this.interrupts++;
  }
  become(status: string) {
    this.status = status;
    this.statusChanged.emit(status);
  }
  say(kind: string, body: object) {
    this.comm.onMsg({ content: { data: { v: 1, kind, seq: 1, body } } });
  }
  ask(id: string) {
    this.anyMessage.emit({ direction: 'send', msg: { header: { msg_type: 'execute_request', msg_id: id } } });
  }
  answer(id: string) {
    const msg = { header: { msg_type: 'execute_reply', msg_id: 'r' }, parent_header: { msg_id: id } };
    this.anyMessage.emit({ direction: 'recv', msg });
  }
  get asked() {
    return this.sent.filter(each => each.kind === 'do').map(each => each.body.verb);
  }
}

function connect() {
  const kernel = new Connection();
  const store = new KernelStore({ maxLogLines: 5, maxTraces: 2 });
  const link = new KernelLink(kernel as unknown as Kernel.IKernelConnection, store, 4);
  link.open();
  kernel.say('hello', { versions: { workbench: '0.1.0', protocol: 1 }, features: [], session: 's' });
  const only = () => [...store.jobs.values()][0];
  return { kernel, store, link, only };
}
const running = (id: string) => ({
  id,
  verb: 'replay',
  state: 'running',
  progress: null,
  message: '',
  error: null,
  result: null
});

describe('a job behind a running cell', () => {
  it('is dropped when it is cancelled, and never reaches the kernel', async () => {
    const { kernel, store, link, only } = connect();
    kernel.become('busy');
    const done = link.do('replay', { model: 'add' });
    expect(only().waiting).toBe(true);
    link.cancel(only().id);
    expect((await done).state).toBe('cancelled');
    expect(store.jobs.size).toBe(0);
    kernel.become('idle');
    expect(kernel.sent.map(each => each.kind)).toEqual(['subscribe']);
  });

  it('is sent when the last of the cells has ended, in the order it was asked for', () => {
    const { kernel, link, only } = connect();
    kernel.ask('1');
    kernel.ask('2');
    kernel.become('busy');
    void link.do('lint', {});
    void link.do('replay', {});
    kernel.answer('1');
    kernel.become('idle'); // between two cells
    expect(kernel.asked).toEqual([]);
    kernel.become('busy');
    kernel.answer('2');
    kernel.become('idle');
    expect(kernel.asked).toEqual(['lint', 'replay']);
    expect(only().waiting).toBe(false);
  });

  it('goes at once to a kernel that serves both, unless the page has that turned off', () => {
    const { kernel, link } = connect();
    kernel.supportsSubshells = true;
    kernel.become('busy');
    void link.do('lint', {});
    expect(kernel.asked).toEqual(['lint']);
    kernel.commsOverSubshells = 'disabled';
    void link.do('replay', {});
    expect(kernel.asked).toEqual(['lint']);
  });
});

describe('a job that waits while the workbench goes away', () => {
  const greeting = { versions: { workbench: '0.1.0', protocol: 1 }, features: [], session: 't' };

  it('has ended, and is not done by the workbench that is loaded next', async () => {
    const { kernel, store, link } = connect();
    kernel.become('busy');
    const done = link.do('push', { model: 'add' });
    kernel.comm.onClose(); // %unload_ext, in the cell that runs
    expect(await done).toMatchObject({ state: 'cancelled', isLost: true });
    link.open(); // %load_ext, in the next one
    kernel.say('hello', greeting);
    kernel.become('idle');
    expect(store.isLive).toBe(true);
    expect(kernel.asked).toEqual([]);
  });

  it('is not sent once the store has it as ended, whatever ended it', () => {
    const { kernel, store, link, only } = connect();
    kernel.become('busy');
    void link.do('push', { model: 'add' });
    store.end(only().id);
    void link.do('lint', {});
    kernel.become('idle');
    expect(kernel.asked).toEqual(['lint']);
  });
});

describe('a link that is given up', () => {
  it('leaves no promise open, and no job that runs', async () => {
    const { kernel, store, link, only } = connect();
    const running = link.do('replay', { model: 'add' });
    kernel.become('busy');
    const waiting = link.do('lint', { model: 'add' });
    expect(only().model).toBe('add');
    link.dispose();
    await expect(running).rejects.toThrow('given up');
    await expect(waiting).rejects.toThrow('given up');
    expect(store.jobs.size).toBe(0);
    kernel.become('idle');
    expect(kernel.asked).toEqual(['replay']);
  });
});

describe('opening the comm', () => {
  it('can be tried again once a dead kernel lives again', () => {
    const kernel = new Connection();
    const store = new KernelStore({ maxLogLines: 5, maxTraces: 2 });
    const link = new KernelLink(kernel as unknown as Kernel.IKernelConnection, store, 4);
    kernel.isDead = true;
    link.open();
    expect(store.phase).toBe('not-loaded');
    kernel.isDead = false;
    link.open();
    kernel.say('hello', { versions: { workbench: '0.1.0', protocol: 1 }, features: [], session: 's' });
    expect(store.isLive).toBe(true);
  });
});

describe('cancelling a job that runs', () => {
  it('tells the kernel', () => {
    const { kernel, link, only } = connect();
    void link.do('replay', { model: 'add' });
    kernel.say('job', running(only().id));
    link.cancel(only().id);
    expect(kernel.sent[kernel.sent.length - 1]).toMatchObject({ kind: 'cancel', body: { job: only().id } });
    expect(only().cancel).toBe('sent');
    kernel.say('job', running(only().id));
    expect(only()).toMatchObject({ cancel: 'sent', model: 'add' });
  });

  it('says that a cell holds it, until the cell has ended or is interrupted', async () => {
    const { kernel, link, only } = connect();
    void link.do('replay', { model: 'add' });
    kernel.say('job', running(only().id));
    kernel.become('busy');
    link.cancel(only().id);
    expect(only().cancel).toBe('held');
    await link.interrupt();
    expect(kernel.interrupts).toBe(1);
    kernel.become('idle');
    expect(only().cancel).toBe('sent');
  });
});

describe('the rate', () => {
  it('is told to the kernel when it changes, and only then', () => {
    const { kernel, link } = connect();
    link.setRate(4);
    link.setRate(8);
    expect(kernel.sent.map(each => each.body.hz)).toEqual([4, 8]);
  });
});
