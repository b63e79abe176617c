import { describe, expect, it } from 'vitest';
import { formatBytes, formatTensors, formatTime } from '../format';
import { templateNotebook } from '../template';
import { english } from './words';

describe('formats', () => {
  it.each([
    [0, 'auto', '0 ns'],
    [999, 'auto', '999 ns'],
    [1_234_000, 'auto', '1.23 ms'],
    [2_500_000_000, 'auto', '2.5 s'],
    [1_234_000, 'us', '1234 µs'],
    [5, 's', '5e-9 s']
  ] as const)('%i ns in %s is %s', (ns, unit, text) => expect(formatTime(ns, unit)).toBe(text));

  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1 KiB'],
    [3 * 1024 * 1024, '3 MiB'],
    [1_750_000, '1.67 MiB']
  ])('%i bytes are %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));

  it('shows tensors as signatures do', () => {
    expect(formatTensors([{ datatype: 'FP32', shape: [1, 4] }])).toBe('FP32[1,4]');
  });
});

describe('templateNotebook', () => {
  it('has the cells a user runs from the top', () => {
    const notebook = templateNotebook(english, { name: 'python3' });
    const code = (notebook.cells as { cell_type: string; source: string }[])
      .filter(cell => cell.cell_type === 'code')
      .map(cell => cell.source.split(' ').slice(0, 2).join(' '));
    expect(code).toEqual([
      '%load_ext workbench',
      '%%triton model',
      '%triton infer',
      '%triton replay',
      '%triton export'
    ]);
  });
});
