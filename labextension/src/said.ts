// What cells' outputs and the ends of jobs have said: nothing else need say it again.

/** How long an error stays said: longer than the slowest rate of updates takes to tell of it. */
const SAID_MS = 10_000;

export class Said {
  /** How many errors are kept. */
  get size(): number {
    return this._errors.length;
  }

  constructor(private readonly now: () => number = Date.now) {}

  /** A cell's output, or what is told of a job's end, shows an error. */
  heard(ename: string, evalue: string): void {
    this._forget();
    this._errors.push({ ename, evalue, at: this.now() });
  }

  /** Whether it has just been shown. One output answers for one error: the next may be nobody's. */
  take(ename: string, evalue: string): boolean {
    this._forget();
    const at = this._errors.findIndex(each => each.ename === ename && each.evalue.includes(evalue));
    if (at < 0) {
      return false;
    }
    this._errors.splice(at, 1);
    return true;
  }

  private _forget(): void {
    const oldest = this.now() - SAID_MS;
    this._errors = this._errors.filter(each => each.at >= oldest);
  }

  private _errors: { ename: string; evalue: string; at: number }[] = [];
}
