// Argument schemas of commands: what describes them to people, menus and other programs.
import type { TranslationBundle } from '@jupyterlab/translation';
import type { JSONObject, ReadonlyJSONObject } from '@lumino/coreutils';

export interface Described {
  args: ReadonlyJSONObject;
}

function object(properties: JSONObject): Described {
  return { args: { type: 'object', properties, additionalProperties: true } };
}

export function schemas(trans: TranslationBundle) {
  const model: JSONObject = {
    type: 'string',
    description: trans.__("A model's name; else the one of the active cell or the selected row")
  };
  const ofRow: JSONObject = {
    type: 'boolean',
    description: trans.__('Whether the row is meant whose context menu is open')
  };
  const ofCell: JSONObject = {
    type: 'boolean',
    description: trans.__('Whether the cell is meant whose context menu is open')
  };
  const server: JSONObject = { type: 'string', description: trans.__('The name of a connected server') };
  return {
    none: object({}),
    model: object({ model, ofRow, ofCell }),
    line: object({
      model,
      ofRow,
      ofCell,
      line: { type: ['integer', 'null'], description: trans.__('A line of the cell, from 1') },
      cell: { type: ['string', 'null'], description: trans.__('The label of the cell, "Cell In[2]" for one') }
    }),
    push: object({ model, ofRow, server }),
    parity: object({
      model,
      ofRow,
      ofCell,
      against: { type: 'string', description: trans.__('The target to compare with') }
    }),
    export: object({
      model,
      ofRow,
      ofCell,
      dir: { type: 'string', description: trans.__('The folder to write to') },
      release: {
        type: 'string',
        description: trans.__('The Triton release it is for, "24.10" for one; else any')
      },
      stub: { type: 'boolean', description: trans.__('Whether a stub process of ours goes with it') }
    }),
    verify: object({ dir: { type: 'string', description: trans.__('The folder of an export') } }),
    connect: object({
      url: { type: 'string', description: trans.__("The server's address") },
      name: { type: 'string', description: trans.__('The name to know the server by') },
      header: {
        type: 'string',
        description: trans.__('HEADER=NAME of an environment variable of the kernel that holds its value')
      },
      protect: { type: 'boolean', description: trans.__('Whether pushes there always ask first') }
    }),
    trace: object({
      trace: { type: 'string', description: trans.__("A trace's id; else the newest") },
      ofRow
    }),
    notebook: object({ cwd: { type: 'string', description: trans.__('The folder of the new notebook') } })
  };
}
