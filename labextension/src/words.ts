// Words for what the kernel names: names that are not known here stay as they are.
import type { TranslationBundle } from '@jupyterlab/translation';

export function verbWords(verb: string, trans: TranslationBundle): string {
  const words: Record<string, string> = {
    reload: trans.__('Reload'),
    replay: trans.__('Replay'),
    replay_error: trans.__('Replay Last Error'),
    trace_last: trans.__('Trace'),
    lint: trans.__('Lint'),
    debug: trans.__('Debug'),
    export: trans.__('Export'),
    unload: trans.__('Unload'),
    push: trans.__('Push'),
    rollback: trans.__('Roll Back'),
    parity: trans.__('Parity Check'),
    verify: trans.__('Verify Export'),
    connect: trans.__('Connect to Server'),
    reset: trans.__('Stop All Stubs')
  };
  return words[verb] ?? verb;
}

/** The state of a server. */
export function serverWords(state: string, trans: TranslationBundle): string {
  const ending = /^ended with (.+)$/.exec(state);
  if (ending) {
    return trans.__('ended with %1', ending[1]);
  }
  const words: Record<string, string> = {
    ready: trans.__('ready'),
    'no answer': trans.__('no answer'),
    stopped: trans.__('stopped')
  };
  return words[state] ?? state;
}

/** The state of a model on a server. */
export function modelStateWords(state: string, trans: TranslationBundle): string {
  const words: Record<string, string> = {
    READY: trans.__('ready'),
    LOADING: trans.__('loading'),
    UNLOADING: trans.__('unloading'),
    UNAVAILABLE: trans.__('unavailable')
  };
  return words[state] ?? state;
}

export function levelWords(level: string, trans: TranslationBundle): string {
  const words: Record<string, string> = {
    verbose: trans.__('verbose'),
    debug: trans.__('debug'),
    info: trans.__('info'),
    warning: trans.__('warning'),
    error: trans.__('error')
  };
  return words[level] ?? level;
}
