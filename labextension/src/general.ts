// Commands that need no model: the panel, the extension in the kernel, a new notebook, documentation.
import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { JSONObject } from '@lumino/coreutils';
import type { Actions } from './actions';
import { modelIcon } from './icons';
import { CommandIDs, DOCUMENTATION, Section } from './ids';
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

  const whyNotLoad = (): string | null => {
    if (!actions.current?.link) {
      return trans.__('The notebook has no kernel');
    }
    // Its folder may hold a module of that name.
    return actions.current.isTrusted ? null : trans.__('Trust the notebook first');
  };

  commands.addCommand(CommandIDs.showPanel, {
    label: trans.__('Show Panel'),
    icon: modelIcon,
    describedBy: described.none,
    execute: () => app.shell.activateById(panel.id)
  });
  commands.addCommand(CommandIDs.showShm, {
    label: trans.__('Show Shared Memory'),
    icon: modelIcon,
    describedBy: described.none,
    execute: () => show('shm')
  });
  commands.addCommand(CommandIDs.openLogs, {
    label: trans.__('Open Logs'),
    icon: modelIcon,
    describedBy: described.none,
    execute: () => show('logs')
  });
  commands.addCommand(CommandIDs.documentation, {
    label: trans.__('Open Documentation'),
    icon: modelIcon,
    describedBy: described.none,
    execute: () => {
      window.open(DOCUMENTATION, '_blank', 'noopener');
    }
  });
  commands.addCommand(CommandIDs.load, {
    label: trans.__('Load Extension in Kernel'),
    icon: modelIcon,
    describedBy: described.none,
    caption: () => whyNotLoad() ?? trans.__('Run "%load_ext workbench" in the kernel'),
    isEnabled: () => whyNotLoad() === null,
    execute: async () => {
      try {
        await actions.current!.link!.load();
      } catch (error) {
        actions.loadFailed((error as Error).message);
      }
    }
  });
  commands.addCommand(CommandIDs.goToBlock, {
    label: trans.__('Go to Line'),
    describedBy: described.line,
    isEnabled: () => actions.contextValue('data-triton-line') !== null,
    execute: () => {
      const line = Number(actions.contextValue('data-triton-line'));
      return commands.execute(CommandIDs.goToLine, {
        model: actions.contextValue('data-triton-model'),
        line
      });
    }
  });
  commands.addCommand(CommandIDs.copyTrace, {
    label: trans.__('Copy as JSON'),
    describedBy: described.trace,
    isEnabled: () => Boolean(actions.current?.store.traces.length),
    execute: args => {
      const traces = actions.current!.store.traces;
      const id = args.ofRow ? actions.contextValue('data-triton-trace') : args.trace;
      const trace = traces.find(each => String(each.id) === id) ?? traces[traces.length - 1];
      return navigator.clipboard.writeText(JSON.stringify(trace, null, 2));
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
