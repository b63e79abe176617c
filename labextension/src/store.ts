// What is known of one kernel's workbench: a value that views read, and a signal that says which part changed.
import { ISignal, Signal } from '@lumino/signaling';
import type { ErrorData, HelloData, JobData, KernelMessage, LogLine, ModelData } from './protocol';
import type { ServerData, ShmData, TraceData } from './protocol';

/**
 * `lost`: there was a link and the kernel died, restarted or went away; what was seen last stays, marked stale.
 */
export type Phase = 'no-kernel' | 'not-loaded' | 'connecting' | 'live' | 'lost' | 'mismatch';
export type Change = 'phase' | 'models' | 'shm' | 'trace' | 'servers' | 'log' | 'jobs' | 'selection';
export interface Limits {
  maxLogLines: number;
  maxTraces: number;
}

/**
 * A job with what only this side knows: `waiting`, it was asked for and waits for the running cell; `cancel`, it was
 * called off, and the kernel was told (`sent`) or will be when the running cell has ended (`held`); `isLost`, it
 * ended because its kernel did.
 */
export type Job = JobData & { waiting?: boolean; model?: string; cancel?: 'sent' | 'held'; isLost?: boolean };

export class KernelStore {
  phase: Phase = 'no-kernel';
  hello: HelloData | null = null;
  models: readonly ModelData[] = [];
  shm: readonly ShmData[] = [];
  traces: readonly TraceData[] = [];
  servers: readonly ServerData[] = [];
  log: readonly LogLine[] = [];
  dropped = 0;
  jobs: ReadonlyMap<string, Job> = new Map();
  lastError: ErrorData | null = null;

  constructor(private limits: Limits) {}

  get changed(): ISignal<this, Change> {
    return this._changed;
  }

  /** Emits a model's new state with the one before. */
  get modelChanged(): ISignal<this, { before: ModelData | null; now: ModelData }> {
    return this._modelChanged;
  }

  /** Emits the error of a load or a request that failed. */
  get failed(): ISignal<this, ErrorData> {
    return this._failed;
  }

  get jobChanged(): ISignal<this, Job> {
    return this._jobChanged;
  }

  /** The model whose row was chosen, while there is one of that name. */
  get selectedModel(): string | null {
    return this.model(this._selectedModel)?.name ?? null;
  }

  /** The trace that was chosen to be shown, while there is one; null: the newest. */
  get shownTrace(): TraceData['id'] | null {
    return this.traces.find(each => each.id === this._shownTrace)?.id ?? null;
  }

  get isStale(): boolean {
    return this.phase === 'lost';
  }

  get isLive(): boolean {
    return this.phase === 'live';
  }

  model(name: string | null | undefined): ModelData | undefined {
    return this.models.find(each => each.name === name);
  }

  /** Counts for the status bar. */
  get counts(): { ready: number; failed: number } {
    const failed = this.models.filter(each => each.state === 'FAILED' || each.failed_src !== null).length;
    return { ready: this.models.filter(each => each.state === 'READY').length, failed };
  }

  setLimits(limits: Limits): void {
    this.limits = limits;
    this.log = this.log.slice(-limits.maxLogLines);
    this.traces = this.traces.slice(-limits.maxTraces);
    this._changed.emit('log');
    this._changed.emit('trace');
  }

  setPhase(phase: Phase): void {
    if (phase === this.phase) {
      return;
    }
    this.phase = phase;
    if (phase === 'lost' || phase === 'no-kernel' || phase === 'not-loaded') {
      this.endJobs();
    }
    this._changed.emit('phase');
  }

  /** Forget what an earlier session of the kernel sent. */
  clear(): void {
    this.models = [];
    this.shm = [];
    this.traces = [];
    this.servers = [];
    this.log = [];
    this.dropped = 0;
    this.lastError = null;
    this._selectedModel = null;
    this._shownTrace = null;
    for (const part of ['models', 'shm', 'trace', 'servers', 'log', 'selection'] as const) {
      this._changed.emit(part);
    }
  }

  select(model: string | null): void {
    this._selectedModel = model;
    this._changed.emit('selection');
  }

  showTrace(id: TraceData['id']): void {
    this._shownTrace = id;
    this._changed.emit('trace');
  }

  asked(id: string, verb: string, model: string | undefined, waiting: boolean): void {
    const job: Job = {
      id,
      verb,
      model,
      waiting,
      state: 'running',
      progress: null,
      message: '',
      error: null,
      result: null
    };
    this._setJob(job);
  }

  /** A job that the kernel never heard of is called off. */
  end(id: string): void {
    const job = this.jobs.get(id);
    if (job) {
      this._setJob({ ...job, waiting: false, state: 'cancelled' });
    }
  }

  /** A job is called off; it ends when the kernel says so. */
  cancelling(id: string, isHeld: boolean): void {
    const job = this.jobs.get(id);
    if (job) {
      this._setJob({ ...job, cancel: isHeld ? 'held' : 'sent' });
    }
  }

  /** Nobody will tell how the jobs end that run now. */
  endJobs(): void {
    for (const job of [...this.jobs.values()]) {
      this._setJob({ ...job, waiting: false, state: 'cancelled', isLost: true });
    }
  }

  /** Nothing holds the kernel's messages any more. */
  released(): void {
    for (const job of this.jobs.values()) {
      if (job.waiting || job.cancel === 'held') {
        this._setJob({ ...job, waiting: false, cancel: job.cancel && 'sent' });
      }
    }
  }

  apply(message: KernelMessage): void {
    switch (message.kind) {
      case 'hello':
        this._greet(message.body);
        break;
      case 'models':
        this._setModels(message.body.models);
        break;
      case 'model':
        this._setModel(message.body.model);
        break;
      case 'error':
        this.lastError = message.body;
        this._changed.emit('models');
        this._failed.emit(message.body);
        break;
      case 'shm':
        this.shm = message.body.reports;
        this._changed.emit('shm');
        break;
      case 'trace':
        this.traces = message.body.traces.slice(-this.limits.maxTraces);
        this._changed.emit('trace');
        break;
      case 'servers':
        this.servers = message.body.servers;
        this._changed.emit('servers');
        break;
      case 'log':
        this._addLines(message.body.lines, message.body.dropped);
        break;
      case 'job':
        this._setJob({ ...this._known(message.body.id), ...message.body });
        break;
    }
  }

  private _greet(hello: HelloData): void {
    const restarted = this.hello?.session !== hello.session;
    this.hello = hello;
    if (hello.upgrade) {
      this.setPhase('mismatch');
      return;
    }
    if (restarted) {
      this.clear();
    }
    this.setPhase('live');
  }

  private _setModels(models: ModelData[]): void {
    const before = new Map(this.models.map(each => [each.name, each]));
    // A row whose data did not change keeps its object, so that views can skip it.
    this.models = models.map(now => {
      const known = before.get(now.name);
      return known && JSON.stringify(known) === JSON.stringify(now) ? known : now;
    });
    this._changed.emit('models');
    for (const now of this.models) {
      if (before.get(now.name) !== now) {
        this._modelChanged.emit({ before: before.get(now.name) ?? null, now });
      }
    }
  }

  private _setModel(now: ModelData): void {
    const at = this.models.findIndex(each => each.name === now.name);
    const before = at < 0 ? null : this.models[at];
    const models = this.models.filter(each => each.name !== now.name).concat(now);
    this.models = models.sort((a, b) => (a.name < b.name ? -1 : 1));
    this._changed.emit('models');
    this._modelChanged.emit({ before, now });
  }

  private _addLines(lines: LogLine[], dropped: number): void {
    const last = this.log.length ? this.log[this.log.length - 1].seq : -1;
    const fresh = lines.filter(each => each.seq > last);
    this.log = this.log.concat(fresh).slice(-this.limits.maxLogLines);
    this.dropped += dropped;
    this._changed.emit('log');
  }

  private _setJob(job: Job): void {
    const jobs = new Map(this.jobs);
    if (job.state === 'running') {
      jobs.set(job.id, job);
    } else {
      jobs.delete(job.id);
    }
    this.jobs = jobs;
    this._changed.emit('jobs');
    this._jobChanged.emit(job);
  }

  /** What this side alone knows of a job. */
  private _known(id: string): Pick<Job, 'model' | 'cancel'> {
    const job = this.jobs.get(id);
    return { model: job?.model, cancel: job?.cancel };
  }

  private _selectedModel: string | null = null;
  private _shownTrace: TraceData['id'] | null = null;
  private _changed = new Signal<this, Change>(this);
  private _modelChanged = new Signal<this, { before: ModelData | null; now: ModelData }>(this);
  private _failed = new Signal<this, ErrorData>(this);
  private _jobChanged = new Signal<this, Job>(this);
}
