// The one door to a kernel: opens the comm, follows the kernel's life, sends what the user asks for.
import type { Kernel, KernelMessage as Messages } from '@jupyterlab/services';
import type { JSONObject, JSONValue } from '@lumino/coreutils';
import { UUID } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';
import { COMM_TARGET, PROTOCOL } from './ids';
import { readMessage, TOPICS } from './protocol';
import { Said } from './said';
import { mentionsWorkbench } from './source';
import type { Job, KernelStore } from './store';

const DEAD = new Set<Kernel.Status>(['dead', 'terminating']);
/** JupyterLab's `CommsOverSubshells.Disabled`: the user's setting, or that of the page. */
const NO_SUBSHELLS = 'disabled' as Kernel.IKernelConnection['commsOverSubshells'];
const RESTARTS = new Set<Kernel.Status>(['restarting', 'autorestarting']);

export class KernelLink implements IDisposable {
  /** Errors in the outputs of cells. */
  readonly said = new Said();
  /** Whether to open the comm once a cell that mentions the workbench has run. */
  attachesItself = true;

  /**
   * @param kernel - The kernel; the link disposes the comm, not the kernel.
   * @param store - Filled with what the kernel says.
   * @param hz - The most updates a second and topic that the kernel shall send.
   */
  constructor(
    readonly kernel: Kernel.IKernelConnection,
    readonly store: KernelStore,
    private hz: number
  ) {
    kernel.statusChanged.connect(this._onStatus, this);
    kernel.iopubMessage.connect(this._onOutput, this);
    kernel.anyMessage.connect(this._onAny, this);
    // An answer may be lost with the connection.
    kernel.connectionStatusChanged.connect(() => this._cells.clear(), this);
    kernel.disposed.connect(this._onGone, this);
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /** Whether a message would wait for a running cell: the kernel has or expects one, and cannot serve both. */
  get waits(): boolean {
    const { kernel } = this;
    const serves = kernel.supportsSubshells && kernel.commsOverSubshells !== NO_SUBSHELLS;
    return !serves && (kernel.status === 'busy' || this._cells.size > 0);
  }

  /** Try to open the comm; the store's phase tells the outcome. */
  open(): void {
    if (this._comm || this._isDisposed) {
      return;
    }
    if (this.store.phase !== 'lost') {
      this.store.setPhase('connecting');
    }
    try {
      this._open(this.kernel.createComm(COMM_TARGET));
    } catch {
      this._drop(); // a kernel that is dead, or takes no comms
    }
  }

  /** Load the extension in the kernel, then open the comm. Rejects with the kernel's words. */
  async load(): Promise<void> {
    const future = this.kernel.requestExecute({
      code: '%load_ext workbench',
      silent: true,
      store_history: false
    });
    const reply = await future.done;
    if (reply && reply.content.status === 'error') {
      throw new Error(`${reply.content.ename}: ${reply.content.evalue}`);
    }
    this.open();
  }

  /** Ask for something to be done; resolves when it has ended, well or not. Rejects where nobody will tell of that. */
  do(verb: string, args: JSONObject): Promise<Job> {
    const id = UUID.uuid4();
    return new Promise<Job>((resolve, reject) => {
      if (!this._comm || !this.store.isLive) {
        reject(new Error('no link to the kernel'));
        return;
      }
      const settle = (_: KernelStore, job: Job) => {
        if (job.id === id && job.state !== 'running') {
          leave();
          resolve(job);
        }
      };
      const leave = () => {
        this.store.jobChanged.disconnect(settle);
        this._asked.delete(abandon);
      };
      const abandon = () => {
        leave();
        reject(new Error('the link to the kernel was given up'));
      };
      this.store.jobChanged.connect(settle);
      this._asked.add(abandon);
      this.store.asked(id, verb, args.model as string | undefined, this.waits);
      // One that would wait is kept here, where it can still be dropped.
      this._queue.set(id, { job: id, verb, args });
      this._flush();
    });
  }

  /**
   * Call a job off. One that still waits here ends at once. The kernel is told of another; where it is told only
   * when the running cell has ended, the store says that the job's end is held, and `interrupt` ends the cell.
   */
  cancel(job: string): void {
    if (this._queue.delete(job)) {
      this.store.end(job);
      return;
    }
    this._send('cancel', { job });
    this.store.cancelling(job, this.waits);
  }

  /** End the running cell, as the notebook's stop button does. */
  async interrupt(): Promise<void> {
    await this.kernel.interrupt();
  }

  setRate(hz: number): void {
    if (hz === this.hz) {
      return;
    }
    this.hz = hz;
    if (this.store.isLive) {
      this._subscribe();
    }
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    Signal.clearData(this);
    this._queue.clear();
    this._asked.forEach(abandon => abandon());
    // Another kernel's link may fill the store next, and will tell nothing of these.
    this.store.endJobs();
    const comm = this._comm;
    this._comm = null;
    if (comm && !comm.isDisposed && !this.kernel.isDisposed) {
      comm.close();
    }
  }

  private _open(comm: Kernel.IComm): void {
    this._comm = comm;
    this._seq = 0;
    comm.onMsg = message => {
      if (comm === this._comm) {
        this._receive(message.content.data);
      }
    };
    comm.onClose = () => {
      if (comm === this._comm) {
        this._comm = null;
        // Their end is told with the new phase: the workbench that is loaded next must not do them.
        this._queue.clear();
        // A kernel without the extension knows no such target, and closes at once.
        this.store.setPhase(this.store.isLive || this.store.isStale ? 'lost' : 'not-loaded');
      }
    };
    comm.open({ v: [PROTOCOL] });
  }

  private _receive(data: JSONValue): void {
    const message = readMessage(data);
    if (!message) {
      return;
    }
    this.store.apply(message);
    if (message.kind === 'hello' && this.store.isLive) {
      this._subscribe();
    }
  }

  private _subscribe(): void {
    this._send('subscribe', { topics: [...TOPICS], hz: this.hz });
  }

  /** Send the jobs that wait here, once nothing is before them; not those whose end was told. */
  private _flush(): void {
    if (this.waits) {
      return;
    }
    for (const [job, body] of this._queue) {
      if (this.store.jobs.has(job)) {
        this._send('do', body);
      }
    }
    this._queue.clear();
    this.store.released();
  }

  private _send(kind: string, body: JSONObject): void {
    if (this._comm && !this._comm.isDisposed) {
      this._comm.send({ v: PROTOCOL, kind, seq: ++this._seq, body });
    }
  }

  private _drop(): void {
    const comm = this._comm;
    this._comm = null;
    this._queue.clear();
    this._cells.clear();
    comm?.dispose();
    const known = this.store.isLive || this.store.isStale;
    this.store.setPhase(known ? 'lost' : 'not-loaded');
  }

  private _onStatus(_: unknown, status: Kernel.Status): void {
    if (DEAD.has(status) || RESTARTS.has(status)) {
      this._drop();
    }
    this._flush();
  }

  /** Which cells of this page the kernel has yet to answer. */
  private _onAny(_: unknown, { msg, direction }: Kernel.IAnyMessageArgs): void {
    if (direction === 'send' && msg.header.msg_type === 'execute_request') {
      this._cells.add(msg.header.msg_id);
    } else if (direction === 'recv' && msg.header.msg_type === 'execute_reply') {
      this._cells.delete((msg.parent_header as { msg_id: string }).msg_id);
      this._flush();
    }
  }

  private _onGone(): void {
    this._drop();
  }

  private _onOutput(_: unknown, message: Messages.IIOPubMessage): void {
    const parent = (message.parent_header as { msg_id?: string }).msg_id;
    if (message.header.msg_type === 'execute_input') {
      const code = (message as Messages.IExecuteInputMsg).content.code;
      if (!this._comm && this.attachesItself && mentionsWorkbench(code)) {
        this._loader = parent ?? null;
      }
    } else if (message.header.msg_type === 'error') {
      const { ename, evalue } = (message as Messages.IErrorMsg).content;
      this.said.heard(ename, evalue);
    } else if (message.header.msg_type === 'status' && this._loader && parent === this._loader) {
      if ((message as Messages.IStatusMsg).content.execution_state === 'idle') {
        this._loader = null;
        this.open();
      }
    }
  }

  private _comm: Kernel.IComm | null = null;
  private _seq = 0;
  private _loader: string | null = null;
  private _queue = new Map<string, JSONObject>();
  private _cells = new Set<string>();
  /** Gives up the promise of each job that has not ended. */
  private _asked = new Set<() => void>();
  private _isDisposed = false;
}
