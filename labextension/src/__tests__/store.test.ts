import { describe, expect, it } from 'vitest';
import { english } from './words';
import { readMessage } from '../protocol';
import type { KernelMessage } from '../protocol';
import { statusText } from '../statusText';
import { KernelStore } from '../store';
import { model } from './data';

let seq = 0;
function message(kind: string, body: object): KernelMessage {
  return readMessage({ v: 1, kind, seq: ++seq, body })!;
}
const hello = (session = 's1') =>
  message('hello', { versions: { workbench: '0.1.0', protocol: 1 }, features: [], session });
function live(limits = { maxLogLines: 5, maxTraces: 2 }): KernelStore {
  const store = new KernelStore(limits);
  store.apply(hello());
  return store;
}

describe('readMessage', () => {
  it('ignores kinds and versions that it does not know', () => {
    expect(readMessage({ v: 1, kind: 'novelty', seq: 1, body: {} })).toBeNull();
    expect(readMessage({ v: 2, kind: 'hello', seq: 1, body: {} })).toBeNull();
    expect(readMessage({ v: 1, kind: 'toString', seq: 1, body: {} })).toBeNull();
    expect(readMessage(null)).toBeNull();
  });
});

describe('KernelStore', () => {
  it('says which side to upgrade', () => {
    const store = new KernelStore({ maxLogLines: 5, maxTraces: 2 });
    store.apply(message('hello', { versions: { workbench: '9', protocol: 2 }, upgrade: 'front end' }));
    expect(store.phase).toBe('mismatch');
    expect(store.hello?.upgrade).toBe('front end');
  });

  it('keeps the objects of models that did not change, and tells of those that did', () => {
    const store = live();
    store.apply(message('models', { models: [model(), model({ name: 'b' })] }));
    const [a] = store.models;
    const seen: string[] = [];
    store.modelChanged.connect((_, { now }) => void seen.push(now.name));
    store.apply(message('models', { models: [model(), model({ name: 'b', state: 'FAILED' })] }));
    expect(store.models[0]).toBe(a);
    expect(seen).toEqual(['b']);
  });

  it('puts one model in its place', () => {
    const store = live();
    store.apply(message('model', { model: model({ name: 'b' }) }));
    store.apply(message('model', { model: model({ name: 'a' }) }));
    store.apply(message('model', { model: model({ name: 'b', state: 'FAILED' }) }));
    expect(store.models.map(each => [each.name, each.state])).toEqual([
      ['a', 'READY'],
      ['b', 'FAILED']
    ]);
    expect(store.counts).toEqual({ ready: 1, failed: 1 });
  });

  it('keeps what was seen when the kernel is lost, and forgets it when another session greets', () => {
    const store = live();
    store.apply(message('model', { model: model() }));
    store.setPhase('lost');
    expect(store.isStale).toBe(true);
    expect(store.models).toHaveLength(1);
    store.apply(hello('s1'));
    expect(store.models).toHaveLength(1);
    store.apply(hello('s2'));
    expect(store.models).toHaveLength(0);
    expect(store.phase).toBe('live');
  });

  it('keeps a selection as long as there is something of that name, and in this session', () => {
    const store = live();
    store.select('add');
    expect(store.selectedModel).toBeNull();
    store.apply(message('model', { model: model() }));
    expect(store.selectedModel).toBe('add');
    store.apply(message('models', { models: [model({ name: 'b' })] }));
    expect(store.selectedModel).toBeNull();
    store.apply(hello('s2'));
    store.apply(message('model', { model: model() }));
    expect(store.selectedModel).toBeNull();
  });

  it('shows the trace that was chosen, but no other of its number from a later session', () => {
    const store = live();
    const traces = [1, 2].map(id => ({ id, model: 'add', ok: true, error: null, wall_ns: 1, calls: 0 }));
    store.apply(message('trace', { traces }));
    expect(store.shownTrace).toBeNull();
    store.showTrace(1);
    expect(store.shownTrace).toBe(1);
    store.apply(hello('s2'));
    store.apply(message('trace', { traces }));
    expect(store.shownTrace).toBeNull();
  });

  it('ends jobs with the kernel', () => {
    const store = live();
    store.asked('1', 'replay', 'add', true);
    const ended: string[] = [];
    store.jobChanged.connect((_, job) => void ended.push(job.state));
    store.setPhase('lost');
    expect(ended).toEqual(['cancelled']);
    expect(store.jobs.size).toBe(0);
  });

  it('follows a job and remembers its model', () => {
    const store = live();
    store.asked('1', 'replay', 'add', true);
    const job = {
      id: '1',
      verb: 'replay',
      state: 'running',
      progress: 0.5,
      message: '',
      error: null,
      result: null
    };
    store.apply(message('job', job));
    expect(store.jobs.get('1')).toMatchObject({ model: 'add', progress: 0.5 });
    expect(store.jobs.get('1')?.waiting).toBeFalsy();
    store.apply(message('job', { ...job, state: 'done' }));
    expect(store.jobs.size).toBe(0);
  });

  it('keeps the newest lines and traces, each line once', () => {
    const store = live();
    const line = (number: number) => ({
      seq: number,
      model: 'add',
      level: 'info',
      text: String(number),
      line: null
    });
    store.apply(message('log', { lines: [1, 2, 3, 4].map(line), dropped: 0 }));
    store.apply(message('log', { lines: [3, 4, 5, 6, 7].map(line), dropped: 2 }));
    expect(store.log.map(each => each.seq)).toEqual([3, 4, 5, 6, 7]);
    expect(store.dropped).toBe(2);
    store.setLimits({ maxLogLines: 2, maxTraces: 1 });
    expect(store.log.map(each => each.seq)).toEqual([6, 7]);
  });
});

describe('statusText', () => {
  it('counts models in at most 28 characters', () => {
    const store = live();
    expect(statusText(store, english)).toBe('Triton 0 ready');
    store.apply(message('models', { models: [model(), model({ name: 'b', failed_src: 'src:2' })] }));
    expect(statusText(store, english)).toBe('Triton 2 ready, 1 failed');
    expect(statusText(store, english).length).toBeLessThanOrEqual(28);
    store.setPhase('lost');
    expect(statusText(store, english)).toBe('Triton stale');
  });
});
