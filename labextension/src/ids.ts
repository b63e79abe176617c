// Every name by which other parts of JupyterLab know ours.

export const PLUGIN_ID = 'triton-workbench:plugin';
export const COMM_TARGET = 'workbench.v1';
export const PROTOCOL = 1;
export const PANEL_ID = 'triton-workbench-panel';
export const STATUS_ID = 'triton-workbench:status';
export const STATE_KEY = 'triton-workbench:sections';

export const CommandIDs = {
  reload: 'triton-workbench:reload',
  replay: 'triton-workbench:replay',
  replayError: 'triton-workbench:replay-error',
  traceLast: 'triton-workbench:trace-last',
  showShm: 'triton-workbench:show-shm',
  lint: 'triton-workbench:lint',
  goToLine: 'triton-workbench:go-to-failing-line',
  debug: 'triton-workbench:debug',
  parity: 'triton-workbench:parity',
  push: 'triton-workbench:push',
  rollback: 'triton-workbench:rollback',
  exportModel: 'triton-workbench:export',
  verify: 'triton-workbench:verify',
  connect: 'triton-workbench:connect',
  unload: 'triton-workbench:unload',
  stopAll: 'triton-workbench:stop-all',
  openLogs: 'triton-workbench:open-logs',
  newNotebook: 'triton-workbench:new-notebook',
  documentation: 'triton-workbench:open-documentation',
  showPanel: 'triton-workbench:show-panel',
  load: 'triton-workbench:load',
  goToBlock: 'triton-workbench:go-to-block',
  copyTrace: 'triton-workbench:copy-trace'
} as const;

/** JupyterLab's own. */
export const TRUST_COMMAND = 'notebook:trust';

/** Sections of the panel, in their order. */
export const SECTIONS = ['models', 'trace', 'shm', 'servers', 'logs'] as const;
export type Section = (typeof SECTIONS)[number];
