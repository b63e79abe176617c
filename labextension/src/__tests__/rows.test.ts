import { describe, expect, it } from 'vitest';
import type { SpanData } from '../protocol';
import { found, matches, rowsOf, step } from '../trace/rows';
import { span } from './data';

const tree = span('a', [span('b', [span('c')]), span('d')]);

describe('rowsOf', () => {
  it('lists spans in order with level and place', () => {
    const rows = rowsOf(tree, new Set());
    expect(rows.map(row => [row.span.id, row.level, row.position, row.siblings, row.parent])).toEqual([
      ['a', 1, 1, 1, -1],
      ['b', 2, 1, 2, 0],
      ['c', 3, 1, 1, 1],
      ['d', 2, 2, 2, 0]
    ]);
  });

  it('leaves out what is below a collapsed span', () => {
    expect(rowsOf(tree, new Set(['b'])).map(row => row.span.id)).toEqual(['a', 'b', 'd']);
  });

  it('takes chains deeper than the stack of the page', () => {
    let deep: SpanData = span('end');
    for (let level = 0; level < 50_000; level++) {
      deep = span(String(level), [deep]);
    }
    expect(rowsOf(deep, new Set())).toHaveLength(50_001);
  });
});

describe('step', () => {
  const rows = rowsOf(tree, new Set());
  const none = new Set<string>();

  it.each([
    ['ArrowDown', 0, 1],
    ['ArrowDown', 3, 3],
    ['ArrowUp', 0, 0],
    ['End', 0, 3],
    ['Home', 3, 0],
    ['PageDown', 1, 3],
    ['ArrowRight', 1, 2],
    ['ArrowLeft', 2, 1]
  ])('%s leads from row %i to %i', (key, from, to) => {
    expect(step(rows, from, key, none, 10)).toEqual({ active: to });
  });

  it('closes an open span and opens a closed one', () => {
    expect(step(rows, 1, 'ArrowLeft', none, 10)).toEqual({ active: 1, toggle: true });
    const closed = new Set(['b']);
    expect(step(rowsOf(tree, closed), 1, 'ArrowRight', closed, 10)).toEqual({ active: 1, toggle: true });
  });

  it('leaves other keys to others', () => expect(step(rows, 0, 'Tab', none, 10)).toBeNull());
});

describe('found', () => {
  const deep = span('a', [span('b', [span('c', [span('e')])]), span('d')]);
  const all = rowsOf(deep, new Set());

  it('keeps the rows that answer, each with the place of the nearest above it that does', () => {
    expect(found(all, 'model_')).toEqual(all);
    const only = (...ids: string[]) =>
      found(
        all.map(row => ({
          ...row,
          span: { ...row.span, error: ids.includes(String(row.span.id)) ? 'wrong' : null }
        })),
        'wrong'
      ).map(row => [row.span.id, row.parent]);
    expect(only('b', 'e', 'd')).toEqual([
      ['b', -1],
      ['e', 0],
      ['d', -1]
    ]);
    expect(only('a', 'e')).toEqual([
      ['a', -1],
      ['e', 0]
    ]);
  });

  it('is where the keys lead', () => {
    const rows = found(
      all.map(row => ({ ...row, span: { ...row.span, error: row.span.id === 'a' ? null : 'wrong' } })),
      'wrong'
    );
    const none = new Set<string>();
    expect(rows.map(row => row.span.id)).toEqual(['b', 'c', 'e', 'd']);
    expect(step(rows, 2, 'ArrowLeft', none, 10)).toEqual({ active: 1 });
    expect(step(rows, 3, 'ArrowLeft', none, 10)).toEqual({ active: 3 });
    expect(step(rows, 1, 'ArrowRight', none, 10)).toEqual({ active: 2 });
  });
});

describe('matches', () => {
  it('finds by model, kind and error', () => {
    expect(matches({ ...span('a'), error: 'ZeroDivisionError' }, 'zerod')).toBe(true);
    expect(matches(span('a'), 'MODEL_A')).toBe(true);
    expect(matches(span('a'), 'other')).toBe(false);
  });
});
