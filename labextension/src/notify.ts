// Notifications: what happened away from any cell's output, each with one thing to do about it.
import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import { showText } from './common/form';
import type { Followed, Follower } from './follow';
import { CommandIDs } from './ids';
import type { ErrorData, ModelData, ShmData } from './protocol';
import type { Job } from './store';

const SUCCESS_MS = 4000;
const WARNING_MS = 8000;
const SERVER_VERBS = new Set(['push', 'rollback']);
const CRASH = 'StubCrashedError';

export class Notifier {
  constructor(
    private readonly follower: Follower,
    private readonly commands: CommandRegistry,
    private readonly trans: TranslationBundle
  ) {
    follower.added.connect((_, followed) => this._watch(followed));
    follower.all.forEach(followed => this._watch(followed));
  }

  /** A job that the user asked for has ended. */
  jobEnded(job: Job, title: string): void {
    const { trans } = this;
    if (job.state === 'cancelled') {
      Notification.info(trans.__('%1: cancelled', title), { autoClose: SUCCESS_MS });
      return;
    }
    if (SERVER_VERBS.has(job.verb) && !this._wants('push')) {
      return;
    }
    if (job.state === 'failed') {
      const error = job.error;
      this.failed(error ? `${title}: ${error.ename}: ${error.evalue}` : `${title}: ${job.message}`, error);
      return;
    }
    const text = job.result?.text.trim() ?? '';
    const [first] = text.split('\n');
    Notification.success(first ? `${title}: ${first}` : trans.__('%1: done', title), {
      autoClose: SUCCESS_MS,
      actions: text.includes('\n')
        ? [{ label: trans.__('Show Result'), callback: () => showText(title, text, trans) }]
        : [{ label: trans.__('Show Logs'), callback: () => this._run(CommandIDs.openLogs) }]
    });
  }

  /** Something failed; the message stays until it is closed. */
  failed(message: string, error: ErrorData | null = null): void {
    const { trans } = this;
    const action =
      error && error.line !== null
        ? {
            label: trans.__('Go to Line'),
            callback: () =>
              this._run(CommandIDs.goToLine, { model: error.model, line: error.line!, cell: error.cell })
          }
        : { label: trans.__('Show Logs'), callback: () => this._run(CommandIDs.openLogs) };
    Notification.error(message, { autoClose: false, actions: [action] });
  }

  private _watch(followed: Followed): void {
    const told = new Set<string>();
    followed.store.modelChanged.connect((_, { before, now }) => this._onModel(followed, before, now));
    followed.store.changed.connect((store, change) => {
      if (change === 'shm') {
        this._onShm(store.shm, told);
      }
    });
  }

  private _onShm(reports: readonly ShmData[], told: Set<string>): void {
    const { trans } = this;
    for (const report of reports) {
      // Once for a region: it leaks until its model is loaded again, in a region of another name.
      if (report.verdict !== 'leaks' || told.has(report.region) || !this._wants('leak')) {
        continue;
      }
      told.add(report.region);
      const words = trans.__(
        '%1 keeps shared memory of its requests: %2',
        report.model ?? report.region,
        report.hint
      );
      Notification.warning(words, {
        autoClose: WARNING_MS,
        actions: [{ label: trans.__('Show Shared Memory'), callback: () => this._run(CommandIDs.showShm) }]
      });
    }
  }

  private _onModel(followed: Followed, before: ModelData | null, now: ModelData): void {
    const error = now.error;
    const isNew = JSON.stringify(before?.error ?? null) !== JSON.stringify(error);
    // While a cell runs, its output says it.
    const isSaid = followed.link?.kernel.status === 'busy';
    if (before && error?.ename === CRASH && isNew && !isSaid && this._wants('crash')) {
      this.failed(`${now.name}: ${error.evalue}`, error);
    }
  }

  private _wants(event: 'crash' | 'leak' | 'push'): boolean {
    return this.follower.settings.get('notifyOn').includes(event);
  }

  private _run(command: string, args: Record<string, string | number | null> = {}): void {
    void this.commands.execute(command, args);
  }
}
