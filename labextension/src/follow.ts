// Follows notebooks and their kernels: a store and a link for each, and which of them has the focus.
import type { ICellModel } from '@jupyterlab/cells';
import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { ISignal, Signal } from '@lumino/signaling';
import { KernelLink } from './link';
import type { Settings } from './settings';
import { bare, mentionsWorkbench, RunTexts } from './source';
import { KernelStore } from './store';
import { isTrusted } from './trust';

/** One notebook with what is known of its kernel. */
export class Followed {
  readonly store: KernelStore;
  readonly texts = new RunTexts();
  link: KernelLink | null = null;

  constructor(
    readonly panel: NotebookPanel,
    readonly settings: Settings
  ) {
    this.store = new KernelStore(limits(settings));
    this.store.modelChanged.connect((_, { now }) => this.texts.tried(now.name, bare(now.cell_text_hash)));
    const session = panel.sessionContext;
    session.kernelChanged.connect(this._onKernel, this);
    settings.changed.connect(this._onSettings, this);
    panel.disposed.connect(this._dispose, this);
    void panel.context.ready.then(() => this._watchTrust());
    void Promise.all([session.ready, panel.revealed]).then(() => this._attach());
  }

  /** Whether the user trusts the notebook: else nothing is asked of the kernel. */
  get isTrusted(): boolean {
    return isTrusted(this.panel.content.model?.cells ?? []);
  }

  /** Emits when the notebook may have become trusted, or ceased to be. */
  get trustChanged(): ISignal<this, void> {
    return this._trustChanged;
  }

  /** The name a user knows the notebook by. */
  get title(): string {
    return this.panel.title.label;
  }

  private get _mentions(): boolean {
    for (const cell of this.panel.content.model?.cells ?? []) {
      if (cell.type === 'code' && mentionsWorkbench(cell.sharedModel.getSource())) {
        return true;
      }
    }
    return false;
  }

  private _watchTrust(): void {
    if (this.panel.isDisposed) {
      return;
    }
    const cells = this.panel.content.model?.cells;
    const watch = () => {
      for (const cell of cells ?? []) {
        cell.stateChanged.connect(this._onCell, this);
      }
      this._trustChanged.emit();
    };
    cells?.changed.connect(watch, this);
    watch();
  }

  private _onCell(_: ICellModel, { name }: { name: string }): void {
    if (name === 'trusted') {
      this._trustChanged.emit();
    }
  }

  private _onKernel(): void {
    this._attach();
  }

  private _attach(): void {
    // It may have been closed while its kernel was starting.
    if (this.panel.isDisposed) {
      return;
    }
    const kernel = this.panel.sessionContext.session?.kernel ?? null;
    if (kernel && this.link?.kernel === kernel) {
      return;
    }
    this.link?.dispose();
    this.link = null;
    if (!kernel) {
      this.store.setPhase(this.store.isLive || this.store.isStale ? 'lost' : 'no-kernel');
      return;
    }
    this.link = new KernelLink(kernel, this.store, this.settings.get('updateHz'));
    this.link.attachesItself = this.settings.get('autoAttach');
    if (this.link.attachesItself && this._mentions) {
      this.link.open();
    } else if (!this.store.isStale) {
      this.store.setPhase('not-loaded');
    }
  }

  private _onSettings(): void {
    this.store.setLimits(limits(this.settings));
    const { link } = this;
    if (!link) {
      return;
    }
    link.setRate(this.settings.get('updateHz'));
    const wasOff = !link.attachesItself;
    link.attachesItself = this.settings.get('autoAttach');
    if (wasOff && link.attachesItself && this._mentions) {
      link.open();
    }
  }

  private _dispose(): void {
    this.link?.dispose();
    this.link = null;
    Signal.clearData(this);
  }

  private _trustChanged = new Signal<this, void>(this);
}

export class Follower {
  constructor(
    readonly tracker: INotebookTracker,
    readonly settings: Settings
  ) {
    tracker.widgetAdded.connect((_, panel) => this._add(panel));
    tracker.forEach(panel => this._add(panel));
    tracker.currentChanged.connect(() => this._focus());
    this._focus();
  }

  /** The focused notebook, or null where there is none. */
  get current(): Followed | null {
    return this._current;
  }

  /** Emits when another notebook has the focus. */
  get currentChanged(): ISignal<this, Followed | null> {
    return this._currentChanged;
  }

  /** Emits a notebook that may have become trusted, or ceased to be. */
  get trustChanged(): ISignal<this, Followed> {
    return this._trustChanged;
  }

  /** The notebooks that are open. */
  get all(): Followed[] {
    return [...this._all.values()];
  }

  /** Call `watch` with each notebook that is open, and with each that will be. */
  each(watch: (followed: Followed) => void): void {
    this._added.connect((_, followed) => watch(followed));
    this.all.forEach(watch);
  }

  private _add(panel: NotebookPanel): void {
    if (this._all.has(panel)) {
      return;
    }
    const followed = new Followed(panel, this.settings);
    this._all.set(panel, followed);
    followed.trustChanged.connect(() => this._trustChanged.emit(followed));
    panel.disposed.connect(() => {
      this._all.delete(panel);
      this._focus();
    });
    this._added.emit(followed);
    this._focus();
  }

  private _focus(): void {
    const panel = this.tracker.currentWidget;
    const now = (panel && this._all.get(panel)) ?? null;
    if (now !== this._current) {
      this._current = now;
      this._currentChanged.emit(now);
    }
  }

  private _all = new Map<NotebookPanel, Followed>();
  private _current: Followed | null = null;
  private _currentChanged = new Signal<this, Followed | null>(this);
  private _trustChanged = new Signal<this, Followed>(this);
  private _added = new Signal<this, Followed>(this);
}

function limits(settings: Settings): { maxLogLines: number; maxTraces: number } {
  return { maxLogLines: settings.get('maxLogLines'), maxTraces: settings.get('maxTraces') };
}
