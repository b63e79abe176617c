// A list of rows of equal height of which only those in sight are in the page.
import * as React from 'react';

/** Rows above and below the visible ones that are drawn too, so that scrolling shows no gap. */
const SPARE = 8;

export interface VirtualProps {
  count: number;
  rowHeight: number;
  /** Draws one row; `style` places it. */
  row: (index: number, style: React.CSSProperties) => JSX.Element;
  /** The row that is kept in sight when it changes. */
  active?: number;
  /** Keep the last row in sight while rows are added, unless the user scrolled up. */
  follow?: boolean;
  /** Attributes of the scrolling element: role, label, keys. */
  attributes: React.HTMLAttributes<HTMLDivElement>;
}

export function VirtualRows(props: VirtualProps): JSX.Element {
  const { count, rowHeight, row, active, follow, attributes } = props;
  const box = React.useRef<HTMLDivElement>(null);
  const atEnd = React.useRef(true);
  const [top, setTop] = React.useState(0);
  const [height, setHeight] = React.useState(0);

  React.useLayoutEffect(() => {
    const element = box.current!;
    const watch = new ResizeObserver(() => setHeight(element.clientHeight));
    watch.observe(element);
    setHeight(element.clientHeight);
    return () => watch.disconnect();
  }, []);

  React.useLayoutEffect(() => {
    const element = box.current!;
    if (active === undefined || active < 0) {
      return;
    }
    if (active * rowHeight < element.scrollTop) {
      element.scrollTop = active * rowHeight;
    } else if ((active + 1) * rowHeight > element.scrollTop + element.clientHeight) {
      element.scrollTop = (active + 1) * rowHeight - element.clientHeight;
    }
  }, [active, rowHeight]);

  React.useLayoutEffect(() => {
    if (follow && atEnd.current) {
      box.current!.scrollTop = count * rowHeight;
    }
  }, [follow, count, rowHeight]);

  const onScroll = (event: React.UIEvent<HTMLDivElement>) => {
    const element = event.currentTarget;
    atEnd.current = element.scrollTop + element.clientHeight >= element.scrollHeight - rowHeight;
    setTop(element.scrollTop);
  };

  const first = Math.max(0, Math.floor(top / rowHeight) - SPARE);
  const last = Math.min(count, Math.ceil((top + height) / rowHeight) + SPARE);
  const rows: JSX.Element[] = [];
  for (let index = first; index < last; index++) {
    rows.push(
      row(index, { position: 'absolute', top: index * rowHeight, height: rowHeight, left: 0, right: 0 })
    );
  }
  return (
    <div
      {...attributes}
      className={`jp-TritonRows ${attributes.className ?? ''}`}
      ref={box}
      onScroll={onScroll}
    >
      <div role="presentation" style={{ position: 'relative', height: count * rowHeight }}>
        {rows}
      </div>
    </div>
  );
}
