// The words of the status bar, at most 28 characters.
import type { TranslationBundle } from '@jupyterlab/translation';
import type { KernelStore } from './store';

/** How long "reloaded …" is shown. */
export const LAST_RELOAD_MS = 4000;

export function statusText(store: KernelStore, trans: TranslationBundle): string {
  switch (store.phase) {
    case 'lost':
      return trans.__('Triton stale');
    case 'mismatch':
      return trans.__('Triton: versions differ');
    case 'live': {
      const { ready, failed } = store.counts;
      return failed
        ? trans.__('Triton %1 ready, %2 failed', ready, failed)
        : trans.__('Triton %1 ready', ready);
    }
    default:
      return trans.__('Triton');
  }
}
