// A trace as rows of a treegrid: the spans in order, without those below a collapsed one.
import type { SpanData } from '../protocol';

export interface Row {
  span: SpanData;
  /** From 1, as aria-level counts. */
  level: number;
  /** From 1, among the children of the same span. */
  position: number;
  siblings: number;
  /** The parent's place among the rows, -1 where there is none. */
  parent: number;
}

export function rowsOf(root: SpanData, collapsed: ReadonlySet<SpanData['id']>): Row[] {
  const rows: Row[] = [];
  // By a stack of our own: a chain of calls may be deeper than JavaScript's.
  const left: Row[] = [{ span: root, level: 1, position: 1, siblings: 1, parent: -1 }];
  while (left.length) {
    const row = left.pop()!;
    const at = rows.push(row) - 1;
    const { children } = row.span;
    if (collapsed.has(row.span.id)) {
      continue;
    }
    for (let index = children.length - 1; index >= 0; index--) {
      left.push({
        span: children[index],
        level: row.level + 1,
        position: index + 1,
        siblings: children.length,
        parent: at
      });
    }
  }
  return rows;
}

/** Whether a span's row answers a search: by model, kind or error. */
export function matches(span: SpanData, words: string): boolean {
  const wanted = words.toLowerCase();
  return [span.model, span.kind, span.how ?? '', span.error ?? ''].some(text =>
    text.toLowerCase().includes(wanted)
  );
}

/** The rows that answer a search; the parent of each is the nearest of those above it that is still there. */
export function found(rows: readonly Row[], words: string): Row[] {
  const kept: Row[] = [];
  /** For each of `rows` its place in `kept`, or that of the row above it that stands in for it. */
  const places: number[] = [];
  for (const row of rows) {
    const parent = row.parent < 0 ? -1 : places[row.parent];
    const isKept = matches(row.span, words);
    places.push(isKept ? kept.push({ ...row, parent }) - 1 : parent);
  }
  return kept;
}

/** The row a key leads to, and whether the active row is to be opened or closed. */
export function step(
  rows: readonly Row[],
  active: number,
  key: string,
  collapsed: ReadonlySet<SpanData['id']>,
  page: number
): { active: number; toggle?: boolean } | null {
  const row = rows[active];
  const last = rows.length - 1;
  switch (key) {
    case 'ArrowDown':
      return { active: Math.min(last, active + 1) };
    case 'ArrowUp':
      return { active: Math.max(0, active - 1) };
    case 'PageDown':
      return { active: Math.min(last, active + page) };
    case 'PageUp':
      return { active: Math.max(0, active - page) };
    case 'Home':
      return { active: 0 };
    case 'End':
      return { active: last };
    case 'ArrowRight':
      if (row?.span.children.length && collapsed.has(row.span.id)) {
        return { active, toggle: true };
      }
      return { active: rows[active + 1]?.parent === active ? active + 1 : active };
    case 'ArrowLeft':
      if (row?.span.children.length && !collapsed.has(row.span.id)) {
        return { active, toggle: true };
      }
      return { active: row && row.parent >= 0 ? row.parent : active };
    default:
      return null;
  }
}
