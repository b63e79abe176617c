// The status bar: how many models are ready or failed; for a moment how long the last reload took.
import * as React from 'react';
import { Context, SectionView } from './common/section';
import { CommandIDs } from './ids';
import type { KernelStore } from './store';
import { LAST_RELOAD_MS, statusText } from './statusText';

export class StatusItem extends SectionView {
  constructor(context: Context) {
    super(context, ['models']);
    this.removeClass('jp-TritonSection');
    this.addClass('jp-TritonStatus');
    const { follower } = context;
    follower.each(({ store }) =>
      store.modelChanged.connect((_, { before, now }) => {
        if (before && now.state === 'READY' && now.reload_ms !== null && before.src !== now.src) {
          this._flash(now.name, now.reload_ms);
        }
      })
    );
    follower.settings.changed.connect(() => this.setHidden(!follower.settings.get('showStatusBar')));
    this.setHidden(!follower.settings.get('showStatusBar'));
  }

  protected empty(): JSX.Element {
    return <></>;
  }

  protected draw(store: KernelStore): JSX.Element {
    const { trans } = this.context;
    const text = this._reloaded ?? statusText(store, trans);
    return (
      <button
        className="jp-TritonStatus-button"
        title={trans.__('Show the Triton panel')}
        onClick={() => this.run(CommandIDs.showPanel)}
      >
        <span role="status" aria-live="polite">
          {text}
        </span>
      </button>
    );
  }

  private _flash(model: string, ms: number): void {
    const { trans } = this.context;
    // A long name is cut, so that the bar keeps its width.
    const name = model.length > 12 ? `${model.slice(0, 11)}…` : model;
    this._reloaded = trans.__('reloaded %1 %2 ms', name, Math.round(ms));
    this.update();
    window.clearTimeout(this._timer);
    this._timer = window.setTimeout(() => {
      this._reloaded = null;
      this.update();
    }, LAST_RELOAD_MS);
  }

  private _reloaded: string | null = null;
  private _timer = 0;
}
