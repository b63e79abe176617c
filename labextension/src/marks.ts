// Marks beside model cells: ready, failed, or edited since the model was loaded.
import { Cell } from '@jupyterlab/cells';
import { NotebookActions } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import { modelOf } from './cells';
import type { Followed, Follower } from './follow';
import { SIGNS } from './models/state';
import { Mark, markOf } from './source';

const MARK = 'jp-TritonMark';
/** Rest after the last key before marks are looked at again. */
const QUIET_MS = 150;

export class CellMarks {
  constructor(
    private readonly follower: Follower,
    private readonly trans: TranslationBundle,
    /** Called when a cell became or ceased to be a model cell, or another is active. */
    private readonly changed: () => void
  ) {
    follower.each(followed => this._watch(followed));
    follower.settings.changed.connect(() => follower.all.forEach(each => this._draw(each)));
    NotebookActions.executionScheduled.connect((_, { notebook, cell }) => {
      const followed = follower.all.find(each => each.panel.content === notebook);
      const model = modelOf(cell);
      if (followed && model) {
        followed.texts.ran(model, cell.model.sharedModel.getSource());
      }
    });
  }

  private _watch(followed: Followed): void {
    const { panel, store } = followed;
    const draw = () => this._draw(followed);
    let timer = 0;
    const soon = () => {
      window.clearTimeout(timer);
      timer = window.setTimeout(draw, QUIET_MS);
    };
    store.changed.connect((_, change) => {
      if (change === 'models' || change === 'phase') {
        draw();
      }
    });
    panel.content.modelContentChanged.connect(soon);
    panel.content.activeCellChanged.connect(this.changed);
    panel.disposed.connect(() => window.clearTimeout(timer));
    void panel.revealed.then(draw);
  }

  private _draw(followed: Followed): void {
    if (followed.panel.isDisposed) {
      return;
    }
    const isShown = this.follower.settings.get('showCellMarks');
    for (const cell of followed.panel.content.widgets) {
      const name = modelOf(cell);
      cell.toggleClass('jp-mod-tritonModel', name !== null);
      const model = name === null ? undefined : followed.store.model(name);
      const text = cell.model.sharedModel.getSource();
      this._show(cell, isShown && name !== null ? markOf(text, model, followed.texts) : null, name ?? '');
    }
    this.changed();
  }

  private _show(cell: Cell, mark: Mark, model: string): void {
    const known = cell.node.querySelector<HTMLElement>(`:scope > .${MARK}`);
    if (mark === null) {
      known?.remove();
      return;
    }
    const node = known ?? document.createElement('div');
    const words = this._words(mark, model);
    if (node.dataset.mark === mark && node.title === words) {
      return;
    }
    node.dataset.mark = mark;
    node.className = `${MARK} jp-mod-${mark}`;
    node.textContent = SIGNS[mark];
    node.title = words;
    node.setAttribute('role', 'img');
    node.setAttribute('aria-label', words);
    if (!known) {
      cell.node.append(node);
    }
  }

  private _words(mark: NonNullable<Mark>, model: string): string {
    const { trans } = this;
    switch (mark) {
      case 'ready':
        return trans.__('%1 is ready with this text', model);
      case 'failed':
        return trans.__('%1 failed to load with this text', model);
      case 'edited':
        return trans.__('Edited since %1 was loaded', model);
      case 'loading':
        return trans.__('%1 is loading', model);
    }
  }
}
