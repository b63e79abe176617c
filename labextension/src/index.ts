// Wires the parts together; what they do is theirs.
import { ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { ILauncher } from '@jupyterlab/launcher';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStateDB } from '@jupyterlab/statedb';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { Actions } from './actions';
import { addModelCommands } from './commands';
import { Follower } from './follow';
import { addGeneralCommands } from './general';
import { CommandIDs, PANEL_ID, PLUGIN_ID, STATUS_ID } from './ids';
import { CellMarks } from './marks';
import { Notifier } from './notify';
import { TritonPanel } from './panel';
import { Settings } from './settings';
import { StatusItem } from './status';

const plugin: JupyterFrontEndPlugin<void> = {
  id: PLUGIN_ID,
  description: 'Models of Triton Inference Server in notebooks.',
  autoStart: true,
  requires: [INotebookTracker, ISettingRegistry],
  // Notebook 7 lacks some of these on some of its pages.
  optional: [ITranslator, ICommandPalette, ILayoutRestorer, IStateDB, IStatusBar, ILauncher],
  activate: async (
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    registry: ISettingRegistry,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    state: IStateDB | null,
    statusBar: IStatusBar | null,
    launcher: ILauncher | null
  ): Promise<void> => {
    const trans = (translator ?? nullTranslator).load('triton_workbench');
    const { commands } = app;
    const follower = new Follower(tracker, await Settings.load(registry));
    const notifier = new Notifier(follower, commands, trans);
    const actions = new Actions(follower, notifier, trans, test => app.contextMenuHitTest(test));
    const context = { follower, commands, trans };

    const panel = new TritonPanel(context, state);
    app.shell.add(panel, 'left', { rank: 700 });
    restorer?.add(panel, PANEL_ID);

    const ids = [
      ...addModelCommands(commands, actions, trans),
      ...addGeneralCommands(app, actions, panel, trans)
    ];
    const category = trans.__('Triton');
    ids.forEach(command => palette?.addItem({ command, category }));
    launcher?.add({
      command: CommandIDs.newNotebook,
      category: 'Notebook',
      args: { isLauncher: true },
      rank: 100
    });
    statusBar?.registerStatusItem(STATUS_ID, { item: new StatusItem(context), align: 'left', rank: 700 });

    const refresh = () => commands.notifyCommandChanged();
    new CellMarks(follower, trans, refresh);
    follower.currentChanged.connect(refresh);
    follower.trustChanged.connect(refresh);
    follower.each(({ store }) => store.changed.connect((_, change) => change !== 'log' && refresh()));
  }
};

export default plugin;
