// Tells a leak from memory that is only kept: what is in use grew at each of several looks, while nothing ran.
import type { ShmData } from './protocol';

/** Growths in a row after which it is said, once for a region. */
const GROWTHS = 4;

export interface Leak {
  model: string;
  bytes: number;
}

export class LeakWatch {
  /** Compare with what was seen before; the regions that are found to leak now. */
  look(reports: readonly ShmData[]): Leak[] {
    const leaks: Leak[] = [];
    for (const report of reports) {
      if (report.queues.some(queue => queue.depth > 0)) {
        continue; // requests are on their way: what they use is no leak
      }
      const known = this._seen.get(report.region);
      const state = known ?? { first: report.in_use, last: report.in_use, growths: 0, told: false };
      if (report.in_use > state.last) {
        state.growths++;
      } else if (report.in_use < state.last) {
        state.growths = 0;
        state.first = report.in_use;
      }
      state.last = report.in_use;
      if (state.growths >= GROWTHS && !state.told) {
        state.told = true;
        leaks.push({ model: report.model ?? report.region, bytes: state.last - state.first });
      }
      this._seen.set(report.region, state);
    }
    for (const region of [...this._seen.keys()]) {
      if (!reports.some(report => report.region === region)) {
        this._seen.delete(region);
      }
    }
    return leaks;
  }

  private _seen = new Map<string, { first: number; last: number; growths: number; told: boolean }>();
}
