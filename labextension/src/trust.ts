// Whether a notebook may have things done in its kernel.

interface Code {
  type: string;
  trusted: boolean;
}

/**
 * Whether the user wrote, ran or trusts every code cell, as JupyterLab's own sign in the status bar has it. Outputs do
 * not count: actions run what is in cells.
 */
export function isTrusted(cells: Iterable<Code>): boolean {
  return [...cells].every(cell => cell.type !== 'code' || cell.trusted);
}
