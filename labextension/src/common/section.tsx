// What every section of the panel is: a React view that follows the focused notebook's store.
import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import * as React from 'react';
import type { Followed, Follower } from '../follow';
import type { Change, KernelStore } from '../store';

/** What views are handed: whom to follow, how to act, the words' translation. */
export interface Context {
  follower: Follower;
  commands: CommandRegistry;
  trans: TranslationBundle;
}

export abstract class SectionView extends ReactWidget {
  constructor(
    protected readonly context: Context,
    /** The parts of the store this view shows. */
    private readonly shows: readonly Change[]
  ) {
    super();
    this.addClass('jp-TritonSection');
    const { follower } = context;
    follower.currentChanged.connect((_, now) => this._follow(now));
    this._follow(follower.current);
  }

  protected abstract draw(store: KernelStore): JSX.Element;

  /** What is shown where there is nothing to show. */
  protected empty(words: string): JSX.Element {
    return <p className="jp-TritonSection-empty">{words}</p>;
  }

  protected run(command: string, args: ReadonlyPartialJSONObject = {}): void {
    void this.context.commands.execute(command, args);
  }

  protected render(): JSX.Element {
    const store = this._store;
    this.toggleClass('jp-mod-stale', store?.isStale ?? false);
    return store ? this.draw(store) : this.empty(this.context.trans.__('No notebook has the focus.'));
  }

  private _follow(followed: Followed | null): void {
    this._store?.changed.disconnect(this._onChange, this);
    this._store = followed?.store ?? null;
    this._store?.changed.connect(this._onChange, this);
    this.update();
  }

  private _onChange(_: KernelStore, change: Change): void {
    if (change === 'phase' || this.shows.includes(change)) {
      this.update();
    }
  }

  private _store: KernelStore | null = null;
}
