import { describe, expect, it } from 'vitest';
import { Said } from '../said';

describe('Said', () => {
  it('answers for an error once', () => {
    const said = new Said();
    said.heard('StubCrashedError', 'add crashed: SIGSEGV\nhint: look');
    expect(said.take('ModelLoadError', 'add crashed: SIGSEGV')).toBe(false);
    expect(said.take('StubCrashedError', 'other crashed: SIGSEGV')).toBe(false);
    expect(said.take('StubCrashedError', 'add crashed: SIGSEGV')).toBe(true);
    expect(said.take('StubCrashedError', 'add crashed: SIGSEGV')).toBe(false);
  });

  it('forgets', () => {
    let now = 0;
    const said = new Said(() => now);
    said.heard('StubCrashedError', 'add crashed');
    now = 10_001;
    expect(said.take('StubCrashedError', 'add crashed')).toBe(false);
  });

  it('keeps no errors that nobody will ask for', () => {
    let now = 0;
    const said = new Said(() => now);
    for (; now < 60_000; now += 100) {
      said.heard('ValueError', 'x'.repeat(1000));
    }
    expect(said.size).toBeLessThan(200);
  });
});
