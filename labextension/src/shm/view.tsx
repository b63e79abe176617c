// Shared memory: for each region what is used and by what, its blocks as a map and as a list.
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';
import { Context, SectionView } from '../common/section';
import { VirtualRows } from '../common/virtual';
import { formatBytes } from '../format';
import { CommandIDs } from '../ids';
import type { ShmBlock, ShmData } from '../protocol';
import type { KernelStore } from '../store';

const ROW_HEIGHT = 24;
/** Rows a list shows before it scrolls. */
const ROWS = 8;

export class ShmView extends SectionView {
  constructor(context: Context) {
    super(context, ['shm', 'selection']);
    this.addClass('jp-TritonShm');
  }

  protected draw(store: KernelStore): JSX.Element {
    const { trans } = this.context;
    if (!store.shm.length) {
      return this.empty(trans.__('No shared memory. Each running model has a region, shown here.'));
    }
    const chosen = store.shm.filter(each => each.model === store.selectedModel);
    // With the others closed: a region of every model may be too long a list.
    return (
      <>
        {store.shm.map(report => (
          <Region
            key={report.region}
            report={report}
            open={store.shm.length === 1 || chosen.includes(report)}
            trans={trans}
            goTo={block => this.run(CommandIDs.goToLine, { model: report.model, line: block.line })}
          />
        ))}
      </>
    );
  }
}

interface RegionProps {
  report: ShmData;
  open: boolean;
  trans: TranslationBundle;
  goTo: (block: ShmBlock) => void;
}

function Region({ report, open, trans, goTo }: RegionProps): JSX.Element {
  // Opened by the user or by the selection; what the user does to it stays until the selection changes.
  const [isOpen, setOpen] = React.useState(open);
  React.useEffect(() => setOpen(open), [open]);
  return (
    <details
      className="jp-TritonShm-region"
      open={isOpen}
      onToggle={event => setOpen(event.currentTarget.open)}
      data-triton-model={report.model ?? undefined}
    >
      <summary>
        {report.model ?? report.region}
        <small>
          {' '}
          {trans.__('%1 of %2 in use', formatBytes(report.in_use), formatBytes(report.capacity))}
          {!report.owner_alive && ` — ${trans.__('owner is gone')}`}
        </small>
      </summary>
      {isOpen && (
        <>
          <ShmMap report={report} trans={trans} />
          <p className="jp-TritonShm-figures">{figures(report, trans)}</p>
          {report.hint && <p className="jp-TritonShm-figures">{trans.__('hint: %1', report.hint)}</p>}
          <Kinds report={report} trans={trans} />
          <Blocks report={report} trans={trans} goTo={goTo} />
        </>
      )}
    </details>
  );
}

function ShmMap({ report, trans }: { report: ShmData; trans: TranslationBundle }): JSX.Element {
  const series = new Map(report.kinds.map((each, index) => [each.kind, 1 + (index % 6)]));
  // As far as blocks lie: most regions are empty above.
  const total = Math.max(1, ...report.blocks.map(block => block.offset + block.size));
  return (
    <svg
      className="jp-TritonRegion-map"
      role="img"
      aria-label={trans.__('Map of the region: %1 blocks', report.blocks.length)}
      viewBox="0 0 1000 20"
      preserveAspectRatio="none"
    >
      {report.blocks.map(block => (
        <rect
          key={block.offset}
          className={`jp-mod-series${series.get(block.kind) ?? 6}`}
          x={(1000 * block.offset) / total}
          width={Math.max(1, (1000 * block.size) / total)}
          y={0}
          height={20}
        />
      ))}
    </svg>
  );
}

function Kinds({ report, trans }: { report: ShmData; trans: TranslationBundle }): JSX.Element {
  return (
    <table className="jp-TritonTable">
      <caption className="jp-TritonHidden">{trans.__('What the region holds')}</caption>
      <thead>
        <tr>
          <th scope="col">{trans.__('Kind')}</th>
          <th scope="col">{trans.__('Size')}</th>
          <th scope="col">{trans.__('Blocks')}</th>
        </tr>
      </thead>
      <tbody>
        {report.kinds.map((each, index) => (
          <tr key={each.kind}>
            <th scope="row">
              <span className={`jp-TritonShm-key jp-mod-series${1 + (index % 6)}`} aria-hidden="true" />{' '}
              {each.kind}
            </th>
            <td>{formatBytes(each.bytes)}</td>
            <td>{each.blocks}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Blocks({ report, trans, goTo }: Omit<RegionProps, 'open'>): JSX.Element | null {
  const [active, setActive] = React.useState(0);
  const { blocks } = report;
  if (!blocks.length) {
    return null;
  }
  const onKeyDown = (event: React.KeyboardEvent) => {
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: ROWS, PageUp: -ROWS };
    if (event.key in steps) {
      event.preventDefault();
      setActive(Math.max(0, Math.min(blocks.length - 1, active + steps[event.key])));
    } else if (event.key === 'Enter' && blocks[active]?.line != null) {
      goTo(blocks[active]);
    }
  };
  const prefix = `jp-TritonShm-block-${report.region.replace(/\W/g, '')}`;
  return (
    <VirtualRows
      count={blocks.length}
      rowHeight={ROW_HEIGHT}
      active={active}
      attributes={{
        role: 'listbox',
        tabIndex: 0,
        'aria-label': trans.__('Blocks, largest first'),
        'aria-activedescendant': `${prefix}-${Math.min(active, blocks.length - 1)}`,
        style: { height: Math.min(ROWS, blocks.length) * ROW_HEIGHT },
        onKeyDown
      }}
      row={(index, style) => {
        const block = blocks[index];
        return (
          <div
            key={index}
            id={`${prefix}-${index}`}
            role="option"
            aria-selected={index === active}
            aria-setsize={blocks.length}
            aria-posinset={index + 1}
            className={`jp-TritonRegion-block${index === active ? ' jp-mod-selected' : ''}`}
            data-triton-model={report.model ?? undefined}
            data-triton-line={block.line ?? undefined}
            style={style}
            onClick={() => setActive(index)}
            onContextMenu={() => setActive(index)}
            onDoubleClick={() => block.line !== null && goTo(block)}
          >
            <span>{formatBytes(block.size)}</span> <span>{block.kind}</span>{' '}
            <span>{block.line === null ? '' : trans.__('line %1', block.line)}</span>
          </div>
        );
      }}
    />
  );
}

function figures(report: ShmData, trans: TranslationBundle): string {
  const words = [
    verdictWords(report, trans),
    trans.__('peak %1', formatBytes(report.peak)),
    trans.__('largest free block %1', formatBytes(report.largest_free))
  ];
  if (report.growths !== null) {
    words.push(trans._n('grew %1 time', 'grew %1 times', report.growths));
  }
  return words.join(', ');
}

function verdictWords(report: ShmData, trans: TranslationBundle): string {
  switch (report.verdict) {
    case 'busy':
      return trans.__('in use by requests');
    case 'leaks':
      return trans.__('kept for several requests');
    case 'keeps':
      return trans.__('kept for one request');
    case 'grew':
      return trans.__('nothing kept, grown');
    case 'steady':
      return trans.__('nothing kept');
  }
}
