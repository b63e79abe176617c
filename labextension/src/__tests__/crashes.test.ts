import { NotificationManager } from '@jupyterlab/apputils/lib/notification';
import { beforeEach, describe, expect, it } from 'vitest';
import { Crashes } from '../crashes';
import { english } from './words';

const crash = (model: string, evalue: string) => ({
  model,
  ename: 'StubCrashedError',
  evalue,
  hint: '',
  line: null,
  cell: null,
  op: null
});

describe('crashes', () => {
  let notifications: NotificationManager;
  let crashes: Crashes;
  const tell = (model: string, evalue: string, label = 'Show Logs') =>
    crashes.tell(crash(model, evalue), { label, callback: () => {} });
  const shown = () => notifications.notifications.map(each => each.message);

  beforeEach(() => {
    notifications = new NotificationManager();
    crashes = new Crashes(notifications, english);
  });

  it('of one model are told in one notification, with the last error and what to do about it', () => {
    for (let time = 1; time <= 50; time++) {
      tell('fragile', `fragile died: ${time}`, `Go to Line ${time}`);
    }
    expect(shown()).toEqual(['50 crashes, the last: fragile died: 50']);
    const [{ type, options }] = notifications.notifications;
    expect(type).toBe('error');
    expect(options.autoClose).toBe(false);
    expect(options.actions!.map(each => each.label)).toEqual(['Go to Line 50']);
  });

  it('of two models are told apart', () => {
    tell('fragile', 'fragile died');
    tell('brittle', 'brittle died');
    tell('fragile', 'fragile died');
    expect(shown()).toEqual(['2 crashes, the last: fragile died', 'brittle died']);
  });

  it('are told anew, and counted anew, once the notification was closed', () => {
    tell('fragile', 'first');
    tell('fragile', 'second');
    notifications.dismiss(notifications.notifications[0].id);
    tell('fragile', 'third');
    expect(shown()).toEqual(['third']);
  });
});
