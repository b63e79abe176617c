// Notifications: what happened away from any cell's output, each with one thing to do about it.
import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import { showText } from './common/form';
import { Crashes } from './crashes';
import type { Followed, Follower } from './follow';
import { CommandIDs } from './ids';
import type { ErrorData, ShmData } from './protocol';
import type { Event } from './settings';
import type { Job } from './store';

const SUCCESS_MS = 4000;
const WARNING_MS = 8000;
const SERVER_VERBS = new Set(['push', 'rollback']);
const CRASH = 'StubCrashedError';
/** While a cell or a job runs, how long its end has to say an error before a notification of its own does. */
const GRACE_MS = 2000;

export class Notifier {
  constructor(
    private readonly follower: Follower,
    private readonly commands: CommandRegistry,
    private readonly trans: TranslationBundle
  ) {
    follower.each(followed => this._watch(followed));
  }

  /** A job that the user asked for has ended. */
  jobEnded(job: Job, title: string): void {
    const { trans } = this;
    if (job.state === 'cancelled') {
      const words = job.isLost
        ? trans.__('%1: ended with its kernel', title)
        : trans.__('%1: cancelled', title);
      Notification.info(words, { autoClose: SUCCESS_MS, actions: [this._showLogs()] });
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
        : [this._showLogs()]
    });
  }

  /** Something failed; the message stays until it is closed. */
  failed(message: string, error: ErrorData | null = null): void {
    Notification.error(message, { autoClose: false, actions: [this._showCause(error)] });
  }

  /** The extension could not be loaded in a kernel; it stays until it is closed. `again` tries once more. */
  loadFailed(message: string, again: (() => void) | null): void {
    const { trans } = this;
    Notification.error(trans.__('The extension could not be loaded. %1', message), {
      autoClose: false,
      actions: again ? [{ label: trans.__('Try Again'), callback: again }] : []
    });
  }

  private _watch(followed: Followed): void {
    const told = new Set<string>();
    const crashes = new Crashes(Notification.manager, this.trans);
    followed.store.failed.connect((_, error) => this._onError(followed, error, crashes));
    followed.store.jobChanged.connect((_, { error }) => {
      if (error) {
        followed.link?.said.heard(error.ename, error.evalue);
      }
    });
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

  private _onError(followed: Followed, error: ErrorData, crashes: Crashes): void {
    if (error.ename !== CRASH || !this._wants('crash')) {
      return;
    }
    const { link, store } = followed;
    const tell = () => {
      if (!link?.said.take(error.ename, error.evalue)) {
        crashes.tell(error, this._showCause(error));
      }
    };
    if (link?.kernel.status === 'busy' || store.jobs.size) {
      window.setTimeout(tell, GRACE_MS);
    } else {
      tell();
    }
  }

  private _showCause(error: ErrorData | null) {
    if (!error || error.line === null) {
      return this._showLogs();
    }
    const args = { model: error.model, line: error.line, cell: error.cell };
    return { label: this.trans.__('Go to Line'), callback: () => this._run(CommandIDs.goToLine, args) };
  }

  private _showLogs() {
    return { label: this.trans.__('Show Logs'), callback: () => this._run(CommandIDs.openLogs) };
  }

  private _wants(event: Event): boolean {
    return this.follower.settings.get('notifyOn').includes(event);
  }

  private _run(command: string, args: Record<string, string | number | null> = {}): void {
    void this.commands.execute(command, args);
  }
}
