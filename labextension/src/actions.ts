// What commands act on, and whether they may: the focused notebook, the model that is meant, the reason why not.
import { NotebookActions } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { JSONObject, ReadonlyPartialJSONObject } from '@lumino/coreutils';
import { cellOfLabel, cellOfModel, goToLine, modelOf } from './cells';
import type { Followed, Follower } from './follow';
import type { Notifier } from './notify';
import type { ErrorData } from './protocol';
import { markOf } from './source';
import type { Job } from './store';

type Args = ReadonlyPartialJSONObject;
type HitTest = (test: (node: HTMLElement) => boolean) => HTMLElement | undefined;

export class Actions {
  constructor(
    readonly follower: Follower,
    private readonly notifier: Notifier,
    private readonly trans: TranslationBundle,
    private readonly contextNode: HitTest
  ) {}

  get current(): Followed | null {
    return this.follower.current;
  }

  /** The model that a command means: named, of the row or cell whose menu it is, of the active cell, selected, or the only one. */
  modelFor(args: Args): string | null {
    if (typeof args.model === 'string') {
      return args.model;
    }
    if (args.ofRow) {
      return this.contextValue('data-triton-model');
    }
    const current = this.current;
    if (!current) {
      return null;
    }
    if (args.ofCell) {
      const node = this.contextNode(each => each.classList.contains('jp-CodeCell'));
      return modelOf(current.panel.content.widgets.find(each => each.node === node) ?? null);
    }
    const active = modelOf(current.panel.content.activeCell);
    const { store } = current;
    return active ?? store.selectedModel ?? (store.models.length === 1 ? store.models[0].name : null);
  }

  /** Why a command that asks the kernel's workbench for a verb is off, or null. */
  reasonAgainst(verb: string): string | null {
    const { trans } = this;
    const current = this.current;
    if (!current) {
      return trans.__('Open a notebook first');
    }
    if (!current.link || !current.store.isLive) {
      return trans.__('Load the extension in the kernel first');
    }
    if (!current.store.hello?.features?.includes(verb)) {
      return trans.__("The kernel's triton-workbench cannot do this: upgrade it there");
    }
    return current.isTrusted ? null : trans.__('Trust the notebook first');
  }

  /** The same for a command on a model. */
  reasonAgainstModel(verb: string, args: Args, wants?: (model: string) => string | null): string | null {
    const reason = this.reasonAgainst(verb);
    if (reason) {
      return reason;
    }
    const name = this.modelFor(args);
    if (!name) {
      return this.trans.__('Choose a model: its cell, or its row in the panel');
    }
    return wants ? wants(name) : null;
  }

  /** Say why a command was not done. */
  refuse(title: string, reason: string): void {
    this.notifier.failed(this.trans.__('%1: %2', title, reason));
  }

  /** Start a job and say how it ended. */
  async do(verb: string, args: JSONObject, title: string): Promise<Job | null> {
    // Asked again: a dialog may have been open since.
    const reason = this.reasonAgainst(verb);
    if (reason !== null) {
      this.refuse(title, reason);
      return null;
    }
    const followed = this.current!;
    try {
      const job = await followed.link!.do(verb, args);
      this.notifier.jobEnded(job, title);
      return job;
    } catch {
      this.notifier.failed(this.trans.__('%1: there is no link to the kernel any more', title));
      return null;
    }
  }

  loadFailed(message: string, again: (() => void) | null): void {
    this.notifier.loadFailed(message, again);
  }

  /** Load a model again, where nothing is against it: its cell is run where it was edited, else the kernel does it. */
  async reload(model: string, title: string): Promise<void> {
    const followed = this.current!;
    const cell = cellOfModel(followed.panel, model);
    const known = followed.store.model(model);
    const text = cell?.model.sharedModel.getSource();
    if (cell && (!known || markOf(text!, known, followed.texts) === 'edited')) {
      const { content, sessionContext } = followed.panel;
      await NotebookActions.runCells(content, [cell], sessionContext);
      return;
    }
    await this.do('reload', { model }, title);
  }

  /** The error to show for a model: the one of its last load or request. */
  errorOf(model: string | null): ErrorData | null {
    const store = this.current?.store;
    const error = store?.model(model)?.error ?? store?.lastError ?? null;
    return error && (model === null || error.model === model) ? error : null;
  }

  /** Show a line of a model's cell. */
  async goTo(model: string, cell: string | null, line: number): Promise<void> {
    const panel = this.current?.panel;
    const found = panel && cellOfLabel(panel, cell, model);
    if (panel && found) {
      await goToLine(panel, found, line);
    }
  }

  /** The row under an open context menu, by an attribute its node has. */
  contextValue(attribute: string): string | null {
    return this.contextNode(node => node.hasAttribute(attribute))?.getAttribute(attribute) ?? null;
  }
}
