// Commands that need no model: the panel, the extension in the kernel, a new notebook, documentation.
import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { JSONObject } from '@lumino/coreutils';
import type { Actions } from './actions';
import { copyText } from './common/copy';
import { showText } from './common/form';
import { modelIcon } from './icons';
import { CommandIDs, Section } from './ids';
import { Loading } from './loading';
import type { TritonPanel } from './panel';
import { schemas } from './schemas';
import { templateNotebook } from './template';

/** Register the commands; returns the ids for the palette. */
export function addGeneralCommands(
  app: JupyterFrontEnd,
  actions: Actions,
  panel: TritonPanel,
  trans: TranslationBundle
): string[] {
  const { commands } = app;
  const described = schemas(trans);
  const show = (section: Section) => {
    app.shell.activateById(panel.id);
    panel.reveal(section);
  };

  const loading = new Loading(
    () => actions.current,
    (why, again) => actions.loadFailed(why, again),
    trans
  );

  commands.addCommand(CommandIDs.showPanel, {
    label: trans.__('Show Panel'),
    caption: trans.__('Show models, traces, shared memory, servers and logs of the notebook'),
    icon: modelIcon,
    describedBy: described.none,
    execute: () => app.shell.activateById(panel.id)
  });
  commands.addCommand(CommandIDs.showShm, {
    label: trans.__('Show Shared Memory'),
    caption: trans.__('Show what each model keeps in shared memory'),
    icon: modelIcon,
    describedBy: described.none,
    execute: () => show('shm')
  });
  commands.addCommand(CommandIDs.openLogs, {
    label: trans.__('Open Logs'),
    caption: trans.__('Show the last lines that models logged'),
    icon: modelIcon,
    describedBy: described.none,
    execute: () => show('logs')
  });
  commands.addCommand(CommandIDs.documentation, {
    label: trans.__('Open Documentation'),
    caption: trans.__('Say where the documentation is, in the kernel and in the sources'),
    icon: modelIcon,
    describedBy: described.none,
    execute: () => showText(trans.__('Documentation'), documentation(trans), trans)
  });
  commands.addCommand(CommandIDs.load, {
    label: trans.__('Load Extension in Kernel'),
    icon: modelIcon,
    describedBy: described.none,
    caption: () => loading.whyNot() ?? trans.__('Run "%load_ext workbench" in the kernel'),
    isEnabled: () => loading.whyNot() === null,
    execute: () => loading.load()
  });
  commands.addCommand(CommandIDs.goToBlock, {
    label: trans.__('Go to Line'),
    caption: trans.__('Show the line of the cell that allocated the block'),
    describedBy: described.line,
    isEnabled: () => actions.contextValue('data-triton-line') !== null,
    execute: () => {
      const line = actions.contextValue('data-triton-line');
      if (line === null) {
        return actions.refuse(trans.__('Go to Line'), trans.__('No block is meant whose line is known'));
      }
      const model = actions.contextValue('data-triton-model');
      return commands.execute(CommandIDs.goToLine, { model, line: Number(line) });
    }
  });
  commands.addCommand(CommandIDs.copyTrace, {
    label: trans.__('Copy as JSON'),
    caption: trans.__('Copy the trace to the clipboard'),
    describedBy: described.trace,
    isEnabled: () => Boolean(actions.current?.store.traces.length),
    execute: args => {
      const traces = actions.current?.store.traces ?? [];
      if (!traces.length) {
        return actions.refuse(trans.__('Copy as JSON'), trans.__('There is no trace'));
      }
      const id = args.ofRow ? actions.contextValue('data-triton-trace') : args.trace;
      const trace = traces.find(each => String(each.id) === id) ?? traces[traces.length - 1];
      return copyText(JSON.stringify(trace, null, 2));
    }
  });
  commands.addCommand(CommandIDs.newNotebook, {
    label: args => (args.isLauncher ? trans.__('Triton Model') : trans.__('New Model Notebook')),
    caption: trans.__('Make a notebook with a model to start from'),
    icon: modelIcon,
    describedBy: described.notebook,
    execute: async args => {
      const { contents, kernelspecs } = app.serviceManager;
      await kernelspecs.ready;
      const name = kernelspecs.specs?.default ?? null;
      const spec = name ? kernelspecs.specs?.kernelspecs[name] : null;
      const kernel: JSONObject | null = spec
        ? { name: spec.name, display_name: spec.display_name, language: spec.language }
        : null;
      const made = await contents.newUntitled({ path: (args.cwd as string) ?? '', type: 'notebook' });
      const content = templateNotebook(trans, kernel);
      await contents.save(made.path, { type: 'notebook', format: 'json', content });
      return commands.execute('docmanager:open', { path: made.path, factory: 'Notebook' });
    }
  });
  return [
    CommandIDs.showPanel,
    CommandIDs.showShm,
    CommandIDs.openLogs,
    CommandIDs.load,
    CommandIDs.newNotebook,
    CommandIDs.documentation
  ];
}

/** Where to read on. No site is published, and the wheel does not carry one: this is what there is. */
function documentation(trans: TranslationBundle): string {
  return [
    trans.__('In a cell:'),
    `  %triton                            ${trans.__('lists the commands')}`,
    `  %triton infer --help               ${trans.__('explains one')}`,
    `  import workbench; help(workbench)  ${trans.__('explains the Python interface')}`,
    '',
    trans.__('In the sources of Triton Workbench: the folder docs, which "make docs" makes into a site.')
  ].join('\n');
}
