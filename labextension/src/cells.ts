// Cells of the focused notebook: which one defines a model, and how to get to a line of it.
import type { Cell } from '@jupyterlab/cells';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { modelOfCell } from './source';

export function modelOf(cell: Cell | null | undefined): string | null {
  return cell?.model.type === 'code' ? modelOfCell(cell.model.sharedModel.getSource()) : null;
}

/** The cell that defines a model; of several the one that was run last. */
export function cellOfModel(panel: NotebookPanel, model: string): Cell | null {
  let found: Cell | null = null;
  let latest = -1;
  for (const cell of panel.content.widgets) {
    if (modelOf(cell) === model && countOf(cell) > latest) {
      found = cell;
      latest = countOf(cell);
    }
  }
  return found;
}

/** The cell that the kernel calls by a label such as `Cell In[2]`; else the model's own. */
export function cellOfLabel(panel: NotebookPanel, label: string | null, model: string): Cell | null {
  const own = cellOfModel(panel, model);
  const count = Number(/In\s?\[(\d+)\]/.exec(label ?? '')?.[1] ?? NaN);
  if (Number.isNaN(count) || (own && countOf(own) === count)) {
    return own;
  }
  return panel.content.widgets.find(cell => countOf(cell) === count) ?? own;
}

/** Bring a line (from 1) of a cell into sight, selected, with the cursor in it. */
export async function goToLine(panel: NotebookPanel, cell: Cell, line: number): Promise<void> {
  const notebook = panel.content;
  const index = notebook.widgets.indexOf(cell);
  notebook.activeCellIndex = index;
  notebook.deselectAll();
  await notebook.scrollToItem(index, 'smart');
  // A cell out of sight has no editor yet.
  await cell.ready;
  const editor = cell.editor;
  if (!editor) {
    return;
  }
  notebook.mode = 'edit';
  const row = Math.max(0, Math.min(editor.lineCount, line) - 1);
  const end = { line: row, column: editor.getLine(row)?.length ?? 0 };
  editor.focus();
  editor.setSelection({ start: { line: row, column: 0 }, end });
  editor.revealPosition(end);
}

function countOf(cell: Cell): number {
  return (cell.model as { executionCount?: number | null }).executionCount ?? 0;
}
