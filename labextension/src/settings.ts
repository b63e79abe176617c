// The user's settings as one typed value; their defaults and documentation are in schema/plugin.json.
import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ISignal, Signal } from '@lumino/signaling';
import { PLUGIN_ID } from './ids';
import type { TimeUnit } from './format';

export type Event = 'crash' | 'leak' | 'push';

export interface Values {
  autoAttach: boolean;
  updateHz: number;
  showStatusBar: boolean;
  showCellMarks: boolean;
  maxLogLines: number;
  maxTraces: number;
  confirmPush: boolean;
  notifyOn: Event[];
  defaultTarget: string;
  timeUnit: TimeUnit;
}

export class Settings {
  constructor(private readonly source: ISettingRegistry.ISettings) {
    source.changed.connect(() => this._changed.emit());
  }

  static async load(registry: ISettingRegistry): Promise<Settings> {
    return new Settings(await registry.load(PLUGIN_ID));
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get<K extends keyof Values>(key: K): Values[K] {
    return this.source.get(key).composite as unknown as Values[K];
  }

  private _changed = new Signal<this, void>(this);
}
