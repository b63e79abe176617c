// Numbers as text: the same forms as in cell outputs (IEC units, three significant digits).

export type TimeUnit = 'auto' | 'ns' | 'us' | 'ms' | 's';

const STEPS: [Exclude<TimeUnit, 'auto'>, string, number][] = [
  ['s', 's', 1e9],
  ['ms', 'ms', 1e6],
  ['us', 'µs', 1e3],
  ['ns', 'ns', 1]
];

/** A duration in nanoseconds. */
export function formatTime(ns: number, unit: TimeUnit): string {
  const step =
    STEPS.find(([name, , size]) => (unit === 'auto' ? ns >= size : name === unit)) ?? STEPS[STEPS.length - 1];
  return `${significant(ns / step[2])} ${step[1]}`;
}

export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let at = 0;
  let value = bytes;
  while (value >= 1024 && at < units.length - 1) {
    value /= 1024;
    at++;
  }
  return `${significant(value)} ${units[at]}`;
}

function significant(value: number): string {
  return value >= 1000 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}

export function formatTensors(tensors: { datatype: string; shape: number[] }[]): string {
  return tensors.map(each => `${each.datatype}[${each.shape.join(',')}]`).join(', ');
}
