import { describe, expect, it } from 'vitest';
import { isTrusted } from '../trust';

describe('isTrusted', () => {
  const [mine, text] = [
    { type: 'code', trusted: true },
    { type: 'markdown', trusted: false }
  ];

  it('wants every code cell to be trusted, whether or not it has outputs', () => {
    expect(isTrusted([mine, text])).toBe(true);
    expect(isTrusted([mine, { type: 'code', trusted: false }])).toBe(false);
    expect(isTrusted([])).toBe(true);
  });
});
