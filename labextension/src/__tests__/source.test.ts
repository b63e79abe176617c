import { describe, expect, it } from 'vitest';
import { markOf, modelOfCell, RunTexts, sourceHash } from '../source';
import examples from './cells.json';
import { model } from './data';

describe('modelOfCell', () => {
  it.each([
    ['%%triton model add_sub --in X:FP32[1]\nclass TritonPythonModel: ...', 'add_sub'],
    ['\n%%triton model late', 'late'],
    ['import numpy\n%triton model here --this-cell --out Y:FP32[1]\n', 'here'],
    ['%triton model here --file model.py', null],
    ['%%triton config add_sub\nbackend: "python"', null],
    ['text = """\n%%triton model no\n"""', null],
    ['', null]
  ])('%j defines %s', (cell, name) => expect(modelOfCell(cell)).toBe(name));
});

describe('sourceHash', () => {
  it.each(examples)("is the kernel's: $name", ({ cell, src }) => expect(`src:${sourceHash(cell)}`).toBe(src));
});

describe('markOf', () => {
  const cell = examples[0].cell;
  const tried = examples[0].src;

  it('tells ready, failed, loading and edited apart', () => {
    const texts = new RunTexts();
    const ready = model({ cell_text_hash: tried });
    expect(markOf(cell, ready, texts)).toBe('ready');
    expect(markOf(cell + '# more', ready, texts)).toBe('edited');
    expect(markOf(cell, { ...ready, state: 'LOADING' }, texts)).toBe('loading');
    expect(markOf(cell, { ...ready, state: 'FAILED' }, texts)).toBe('failed');
    // The revision before serves, the text in the cell failed.
    expect(markOf(cell, { ...ready, failed_src: tried }, texts)).toBe('failed');
  });

  it('shows nothing for a model that the kernel does not have', () => {
    expect(markOf(cell, undefined, new RunTexts())).toBeNull();
  });

  it('holds a text to be loaded that ran last, where its hash has more in it than the cell', () => {
    const texts = new RunTexts();
    const withHelpers = model({ cell_text_hash: 'abcdef0' });
    texts.ran('add', cell);
    texts.tried('add', 'abcdef0');
    expect(markOf(cell, withHelpers, texts)).toBe('ready');
    expect(markOf(cell + ' ', withHelpers, texts)).toBe('edited');
    expect(markOf(cell, { ...withHelpers, cell_text_hash: '1234567' }, texts)).toBe('edited');
  });
});
