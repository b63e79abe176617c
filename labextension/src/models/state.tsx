// A model's state as an icon and a word: never by colour alone.
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';
import type { ModelData } from '../protocol';

/** `kept`: the last load failed, and the revision before it serves. */
export type ShownState = 'ready' | 'failed' | 'kept' | 'loading' | 'unavailable';

export function stateOf(model: ModelData): ShownState {
  switch (model.state) {
    case 'READY':
      return model.failed_src === null ? 'ready' : 'kept';
    case 'FAILED':
      return 'failed';
    case 'LOADING':
      return 'loading';
    case 'UNAVAILABLE':
      return 'unavailable';
  }
}

export const SIGNS = {
  ready: '✓',
  failed: '✕',
  kept: '!',
  loading: '…',
  unavailable: '–',
  edited: '✎'
} as const;

export function stateWords(state: ShownState, trans: TranslationBundle): string {
  switch (state) {
    case 'ready':
      return trans.__('ready');
    case 'failed':
      return trans.__('failed');
    case 'kept':
      return trans.__('ready, last load failed');
    case 'loading':
      return trans.__('loading');
    case 'unavailable':
      return trans.__('unavailable');
  }
}

export function StateMark(props: { state: ShownState; trans: TranslationBundle }): JSX.Element {
  return (
    <span className={`jp-TritonState jp-mod-${props.state}`}>
      <span aria-hidden="true">{SIGNS[props.state]}</span> {stateWords(props.state, props.trans)}
    </span>
  );
}
