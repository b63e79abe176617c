// Model cells: which cells are one, what the kernel calls their text, and whether they were edited since.
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import type { ModelData } from './protocol';

const CELL_MAGIC = /^\s*%%triton\s+model\s+([A-Za-z0-9_][\w.-]*)/;
const THIS_CELL = /^[ \t]*%triton\s+model\s+([A-Za-z0-9_][\w.-]*)[^\n]*--this-cell\b[^\n]*$/m;
/** Code after which a kernel may have the workbench: worth a try to attach. */
const MENTIONS = /\bworkbench\b|%triton\b/;
const ANY_MAGIC = /^[ \t]*%triton\b[^\n]*$/gm;

/** The name of the model that a cell defines, or null. */
export function modelOfCell(text: string): string | null {
  return (CELL_MAGIC.exec(text) ?? THIS_CELL.exec(text))?.[1] ?? null;
}

/** Whether code may load the workbench, or uses it. */
export function mentionsWorkbench(text: string): boolean {
  return MENTIONS.test(text);
}

/** Seven hex digits that the kernel shows as `src:`, for a model cell without helpers of other cells. */
export function sourceHash(cell: string): string {
  let text: string;
  if (CELL_MAGIC.test(cell)) {
    const lines = cell.split('\n');
    const first = lines.findIndex(line => line.trim() !== '');
    // The magic's line is a comment in model.py, with the lines it goes on over joined to it; those are comments too.
    let head = lines[first];
    for (let at = first + 1; head.endsWith('\\') && at < lines.length; at++) {
      head = `${head.slice(0, -1)} ${lines[at].trim()}`;
      lines[at] = `# ${lines[at]}`.trimEnd();
    }
    lines[first] = `# ${head}`.trimEnd();
    text = lines.join('\n');
  } else {
    text = cell.replace(ANY_MAGIC, line => `# ${line.trim()}`);
  }
  if (!text.endsWith('\n')) {
    text += '\n';
  }
  return bytesToHex(sha256(utf8ToBytes(text))).slice(0, 7);
}

export type Mark = 'ready' | 'failed' | 'edited' | 'loading' | null;

/** Texts of cells as they were run last, by model: they hold where the hash cannot be computed here. */
export class RunTexts {
  ran(model: string, text: string): void {
    this._texts.set(model, { text, hash: null });
  }

  /** The kernel reports the text it tried; the one that was run last is that text. */
  tried(model: string, hash: string | null): void {
    const known = this._texts.get(model);
    if (known && known.hash === null) {
      known.hash = hash;
    }
  }

  isText(model: string, hash: string, text: string): boolean {
    const known = this._texts.get(model);
    return known !== undefined && known.hash === hash && known.text === text;
  }

  private _texts = new Map<string, { text: string; hash: string | null }>();
}

/** What the gutter of a model cell shows. */
export function markOf(cell: string, model: ModelData | undefined, texts: RunTexts): Mark {
  if (!model) {
    return null;
  }
  const hash = bare(model.cell_text_hash);
  if (hash !== null && sourceHash(cell) !== hash && !texts.isText(model.name, hash, cell)) {
    return 'edited';
  }
  if (model.state === 'LOADING') {
    return 'loading';
  }
  return model.state === 'READY' && bare(model.failed_src) === null ? 'ready' : 'failed';
}

/** A hash without its `src:`. */
export function bare(src: string | null): string | null {
  return src === null ? null : src.replace(/^src:/, '');
}
