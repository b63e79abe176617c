// Trace: the calls of one request as a tree, each with its time as a bar on the request's line of time.
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';
import { Context, SectionView } from '../common/section';
import { VirtualRows } from '../common/virtual';
import { formatTensors, formatTime, TimeUnit } from '../format';
import { CommandIDs } from '../ids';
import type { SpanData, TraceData } from '../protocol';
import type { KernelStore } from '../store';
import { found, Row, rowsOf, step } from './rows';

const ROW_HEIGHT = 24;
const PAGE = 10;

export class TraceView extends SectionView {
  constructor(context: Context) {
    super(context, ['trace']);
    this.addClass('jp-TritonTrace');
    context.follower.settings.changed.connect(() => this.update());
  }

  protected draw(store: KernelStore): JSX.Element {
    const { trans, follower } = this.context;
    if (!store.traces.length) {
      return this.empty(
        trans.__('No traces. Replay a request with "Trace Last Request", or run %triton trace.')
      );
    }
    const traces = [...store.traces].reverse();
    const trace = traces.find(each => each.id === store.shownTrace) ?? traces[0];
    return (
      <>
        <div className="jp-TritonTrace-track">
          <select
            className="jp-mod-styled"
            aria-label={trans.__('Trace')}
            value={String(trace.id)}
            onChange={event =>
              store.showTrace(traces.find(each => String(each.id) === event.target.value)!.id)
            }
          >
            {traces.map(each => (
              <option key={each.id} value={String(each.id)}>
                {label(each, follower.settings.get('timeUnit'), trans)}
              </option>
            ))}
          </select>
          <button
            className="jp-Button jp-mod-styled jp-TritonButton"
            onClick={() => this.run(CommandIDs.copyTrace, { trace: String(trace.id) })}
          >
            {trans.__('Copy as JSON')}
          </button>
        </div>
        <TraceTree
          key={trace.id}
          trace={trace}
          unit={follower.settings.get('timeUnit')}
          trans={trans}
          goTo={span =>
            this.run(CommandIDs.goToLine, { model: span.model, line: span.line, cell: span.cell })
          }
        />
      </>
    );
  }
}

interface TreeProps {
  trace: TraceData;
  unit: TimeUnit;
  trans: TranslationBundle;
  goTo: (span: SpanData) => void;
}

function TraceTree({ trace, unit, trans, goTo }: TreeProps): JSX.Element {
  const [collapsed, setCollapsed] = React.useState<ReadonlySet<SpanData['id']>>(new Set());
  const [active, setActive] = React.useState(0);
  const [search, setSearch] = React.useState('');
  const all = React.useMemo(() => rowsOf(trace.root, collapsed), [trace, collapsed]);
  const rows = React.useMemo(() => (search ? found(all, search) : all), [all, search]);
  const span = Math.max(1, trace.wall_ns, trace.root.duration_ns);

  const toggle = (id: SpanData['id']) => {
    const next = new Set(collapsed);
    if (!next.delete(id)) {
      next.add(id);
    }
    setCollapsed(next);
  };
  const onKeyDown = (event: React.KeyboardEvent) => {
    if (event.key === 'Enter' && rows[active]?.span.line != null) {
      goTo(rows[active].span);
      return;
    }
    const next = step(rows, active, event.key, collapsed, PAGE);
    if (next) {
      event.preventDefault();
      setActive(next.active);
      if (next.toggle) {
        toggle(rows[active].span.id);
      }
    }
  };
  const row = (index: number, style: React.CSSProperties) => (
    <SpanRow
      key={rows[index].span.id}
      row={rows[index]}
      index={index}
      style={style}
      active={index === active}
      open={!collapsed.has(rows[index].span.id)}
      total={span}
      unit={unit}
      trans={trans}
      activate={() => setActive(index)}
      toggle={() => toggle(rows[index].span.id)}
      goTo={() => goTo(rows[index].span)}
    />
  );
  return (
    <>
      <input
        type="search"
        className="jp-mod-styled jp-TritonTrace-search"
        placeholder={trans.__('Find a model, kind or error')}
        aria-label={trans.__('Find in the trace')}
        value={search}
        onChange={event => {
          setSearch(event.target.value);
          setActive(0);
        }}
      />
      {trace.error && <p className="jp-TritonTrace-error">{trace.error}</p>}
      <VirtualRows
        count={rows.length}
        rowHeight={ROW_HEIGHT}
        active={active}
        row={row}
        attributes={{
          role: 'treegrid',
          tabIndex: 0,
          'aria-label': trans.__('Calls of %1', trace.model),
          'aria-rowcount': rows.length,
          'aria-activedescendant': rows.length ? rowId(Math.min(active, rows.length - 1)) : undefined,
          className: 'jp-TritonTrace-tree',
          ...{ 'data-triton-trace': String(trace.id) }, // for the context menu
          onKeyDown
        }}
      />
    </>
  );
}

interface SpanProps {
  row: Row;
  index: number;
  style: React.CSSProperties;
  active: boolean;
  open: boolean;
  total: number;
  unit: TimeUnit;
  trans: TranslationBundle;
  activate: () => void;
  toggle: () => void;
  goTo: () => void;
}

function SpanRow(props: SpanProps): JSX.Element {
  const { row, index, style, active, open, total, unit, trans, activate, toggle, goTo } = props;
  const { span } = row;
  const branch = span.children.length > 0;
  const kind = [span.how ?? span.kind, span.decoupled ? trans.__('decoupled') : '']
    .filter(each => each)
    .join(', ');
  const left = (100 * span.start_ns) / total;
  const classes = ['jp-TritonTrace-row', active && 'jp-mod-selected', span.error && 'jp-mod-failed'];
  return (
    <div
      id={rowId(index)}
      role="row"
      aria-rowindex={index + 1}
      aria-level={row.level}
      aria-posinset={row.position}
      aria-setsize={row.siblings}
      aria-expanded={branch ? open : undefined}
      aria-selected={active}
      className={classes.filter(each => each).join(' ')}
      style={style}
      onClick={activate}
      onContextMenu={activate}
      onDoubleClick={goTo}
      title={tip(span, unit, trans)}
    >
      <span role="gridcell" className="jp-TritonTrace-name" style={{ paddingLeft: (row.level - 1) * 12 }}>
        <span className="jp-TritonTrace-twist" aria-hidden="true" onClick={branch ? toggle : undefined}>
          {branch ? (open ? '▾' : '▸') : ''}
        </span>
        {span.error && <span aria-label={trans.__('failed')}>✕ </span>}
        {span.model}
        <small>{` ${kind}`}</small>
      </span>
      <span role="gridcell" className="jp-TritonTrace-duration">
        {formatTime(span.duration_ns, unit)}
      </span>
      <span role="gridcell" className="jp-TritonTrace-line" aria-label={barWords(span, unit, trans)}>
        <span
          className={`jp-TritonTrace-bar-span jp-mod-series${1 + ((row.level - 1) % 6)}${
            span.critical ? ' jp-mod-critical' : ''
          }`}
          style={{ left: `${left}%`, width: `${Math.max(0.5, (100 * span.duration_ns) / total)}%` }}
        />
      </span>
    </div>
  );
}

function rowId(index: number): string {
  return `jp-TritonTrace-row-${index}`;
}

function label(trace: TraceData, unit: TimeUnit, trans: TranslationBundle): string {
  const calls = trans._n('%1 call', '%1 calls', trace.calls);
  return `${trace.model}: ${trace.ok ? trans.__('ok') : trans.__('failed')}, ${calls}, ${formatTime(trace.wall_ns, unit)}`;
}

function barWords(span: SpanData, unit: TimeUnit, trans: TranslationBundle): string {
  const words = trans.__('starts after %1', formatTime(span.start_ns, unit));
  return span.critical ? `${words}, ${trans.__('on the critical path')}` : words;
}

function tip(span: SpanData, unit: TimeUnit, trans: TranslationBundle): string {
  return [
    `${formatTensors(span.inputs)} → ${formatTensors(span.outputs)}${span.responses > 1 ? ` x${span.responses}` : ''}`,
    barWords(span, unit, trans),
    span.line === null ? '' : trans.__('line %1 of %2', span.line, span.cell ?? ''),
    span.error ?? ''
  ]
    .filter(each => each)
    .join('\n');
}
