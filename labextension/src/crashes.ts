// The crashes of one notebook's models: a notification for each model, however often it dies.
import type { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { ErrorData } from './protocol';

export class Crashes {
  /**
   * @param notifications - JupyterLab's own; a closed notification is one that it has no more.
   * @param trans - The language of what is told.
   */
  constructor(
    private readonly notifications: typeof Notification.manager,
    private readonly trans: TranslationBundle
  ) {}

  /**
   * Tell of a crash. Stays until it is closed; until then the model's next ones are counted in it, so that a cell that
   * tries again and again does not cover the page.
   */
  tell(error: ErrorData, action: Notification.IAction): void {
    const { notifications, trans } = this;
    const open = this._open.get(error.model);
    const options = { autoClose: false as const, actions: [action] };
    if (open && notifications.has(open.id)) {
      open.times++;
      // What is long is cut at its end: the number is before the error.
      const message = trans.__('%1 crashes, the last: %2', open.times, error.evalue);
      notifications.update({ id: open.id, message, ...options });
      return;
    }
    this._open.set(error.model, { id: notifications.notify(error.evalue, 'error', options), times: 1 });
  }

  private _open = new Map<string, { id: string; times: number }>();
}
