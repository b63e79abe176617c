import { LabIcon } from '@jupyterlab/ui-components';

/** Three stacked layers: models on a server. */
export const modelIcon = new LabIcon({
  name: 'triton-workbench:model',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161">
    <path d="M12 2 2 7l10 5 10-5z"/>
    <path d="m4 11-2 1 10 5 10-5-2-1-8 4z"/>
    <path d="m4 16-2 1 10 5 10-5-2-1-8 4z"/>
  </g></svg>`
});

export const replayIcon = new LabIcon({
  name: 'triton-workbench:replay',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161">
    <path d="M12 5V1L7 6l5 5V7a6 6 0 1 1-6 6H4a8 8 0 1 0 8-8z"/><path d="m10 10 5 3-5 3z"/>
  </g></svg>`
});

export const traceIcon = new LabIcon({
  name: 'triton-workbench:trace',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161">
    <path d="M3 4h18v4H3zM7 10h10v4H7zM11 16h8v4h-8z"/>
  </g></svg>`
});

export const lintIcon = new LabIcon({
  name: 'triton-workbench:lint',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161">
    <path d="M3 5h12v2H3zM3 10h12v2H3zM3 15h8v2H3zM13 17l2-2 2 2 5-5 2 2-7 7z"/>
  </g></svg>`
});
