// Logs: the last lines of the models, followed, by level.
import * as React from 'react';
import { copyText } from '../common/copy';
import { Context, SectionView } from '../common/section';
import { VirtualRows } from '../common/virtual';
import { CommandIDs } from '../ids';
import type { LogLine } from '../protocol';
import type { KernelStore } from '../store';
import { levelWords } from '../words';

const ROW_HEIGHT = 20;
const LEVELS = ['verbose', 'debug', 'info', 'warning', 'error'];

export class LogsView extends SectionView {
  constructor(context: Context) {
    super(context, ['log']);
    this.addClass('jp-TritonLogs');
  }

  protected draw(store: KernelStore): JSX.Element {
    const { trans } = this.context;
    if (!store.log.length) {
      return this.empty(trans.__('No lines. What models log with pb_utils.Logger or logging is shown here.'));
    }
    const lines = store.log.filter(each => rank(each.level) >= rank(this._level));
    return (
      <>
        <div className="jp-TritonTrace-track">
          <select
            className="jp-mod-styled"
            aria-label={trans.__('Least level')}
            value={this._level}
            onChange={event => {
              this._level = event.target.value;
              this.update();
            }}
          >
            {LEVELS.map(level => (
              <option key={level} value={level}>
                {levelWords(level, trans)}
              </option>
            ))}
          </select>
          <button
            className="jp-Button jp-mod-styled jp-TritonButton"
            onClick={() => void copyText(lines.map(asText).join('\n'))}
          >
            {trans.__('Copy')}
          </button>
          {store.dropped > 0 && (
            <small>{trans._n('%1 line dropped', '%1 lines dropped', store.dropped)}</small>
          )}
        </div>
        <VirtualRows
          count={lines.length}
          rowHeight={ROW_HEIGHT}
          follow
          attributes={{
            role: 'log',
            tabIndex: 0,
            'aria-live': 'off',
            'aria-label': trans.__('Lines of the models')
          }}
          row={(index, style) => {
            const line = lines[index];
            return (
              <div
                key={line.seq}
                style={style}
                className={`jp-TritonLogs-line jp-mod-${line.level.toLowerCase()}`}
                title={line.text}
                onDoubleClick={() =>
                  line.line !== null && this.run(CommandIDs.goToLine, { model: line.model, line: line.line })
                }
              >
                {asText(line)}
              </div>
            );
          }}
        />
      </>
    );
  }

  private _level = 'info';
}

function rank(level: string): number {
  // A level that is not known is shown rather than lost.
  const at = LEVELS.indexOf(level.toLowerCase());
  return at < 0 ? LEVELS.length : at;
}

function asText(line: LogLine): string {
  return `[${line.model}] ${line.level.toUpperCase()} ${line.text}`;
}
