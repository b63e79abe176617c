// Commands on models and servers: each is a line of a table, and what it asks of the kernel.
import type { TranslationBundle } from '@jupyterlab/translation';
import type { LabIcon } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import type { Actions } from './actions';
import { modelOf } from './cells';
import { ask, confirm } from './common/form';
import { lintIcon, modelIcon, replayIcon, traceIcon } from './icons';
import { CommandIDs } from './ids';
import { Described, schemas } from './schemas';

type Args = ReadonlyPartialJSONObject;

interface Entry {
  id: string;
  label: string;
  caption: string;
  icon?: LabIcon;
  describedBy: Described;
  /** Why it is off, or null. */
  reason: (args: Args) => string | null;
  execute: (args: Args) => Promise<unknown> | void;
}

/** Register the commands; returns their ids for the palette. */
export function addModelCommands(
  commands: CommandRegistry,
  actions: Actions,
  trans: TranslationBundle
): string[] {
  const entries = [...modelEntries(actions, trans), ...serverEntries(actions, trans)];
  for (const entry of entries) {
    commands.addCommand(entry.id, {
      label: entry.label,
      caption: args => entry.reason(args) ?? entry.caption,
      icon: entry.icon ?? modelIcon,
      describedBy: entry.describedBy,
      isEnabled: args => entry.reason(args) === null,
      // In the toolbar of a cell only where the cell defines a model; the settings' schema says which those are.
      isVisible: args => !args.isOfCell || modelOf(actions.current?.panel.content.activeCell) !== null,
      // A command that is off can still be executed, by a program or a notification.
      execute: args => {
        const reason = entry.reason(args);
        return reason === null ? entry.execute(args) : actions.refuse(entry.label.replace('...', ''), reason);
      }
    });
  }
  return entries.map(entry => entry.id);
}

function modelEntries(actions: Actions, trans: TranslationBundle): Entry[] {
  const described = schemas(trans);
  const onModel = (verb: string) => (args: Args) => actions.reasonAgainstModel(verb, args);
  const simple = (verb: string, title: (model: string) => string) => (args: Args) => {
    const model = actions.modelFor(args)!;
    return actions.do(verb, { model }, title(model));
  };
  const failingLine = (args: Args): string | null => {
    if (!actions.current) {
      return trans.__('Open a notebook first');
    }
    if (typeof args.line === 'number') {
      return null;
    }
    return actions.errorOf(actions.modelFor(args))?.line != null
      ? null
      : trans.__('No line is known to have failed');
  };
  return [
    {
      id: CommandIDs.reload,
      label: trans.__('Reload Model'),
      caption: trans.__('Load the model from its cell as it is now'),
      icon: modelIcon,
      describedBy: described.model,
      reason: onModel('reload'),
      execute: args => {
        const model = actions.modelFor(args)!;
        return actions.reload(model, trans.__('Reload %1', model));
      }
    },
    {
      id: CommandIDs.replay,
      label: trans.__('Replay Last Request'),
      caption: trans.__('Send the recorded requests to the model again'),
      icon: replayIcon,
      describedBy: described.model,
      reason: onModel('replay'),
      execute: simple('replay', model => trans.__('Replay %1', model))
    },
    {
      id: CommandIDs.replayError,
      label: trans.__('Replay Last Error'),
      caption: trans.__('Send the request again that failed last'),
      icon: replayIcon,
      describedBy: described.model,
      reason: onModel('replay_error'),
      execute: simple('replay_error', model => trans.__('Replay the last error of %1', model))
    },
    {
      id: CommandIDs.traceLast,
      label: trans.__('Trace Last Request'),
      caption: trans.__('Send the last request again and show its calls'),
      icon: traceIcon,
      describedBy: described.model,
      reason: onModel('trace_last'),
      execute: simple('trace_last', model => trans.__('Trace %1', model))
    },
    {
      id: CommandIDs.lint,
      label: trans.__('Lint Cell'),
      caption: trans.__("Check that the model's cell runs on a Triton server"),
      icon: lintIcon,
      describedBy: described.model,
      reason: onModel('lint'),
      execute: simple('lint', model => trans.__('Lint %1', model))
    },
    {
      id: CommandIDs.goToLine,
      label: trans.__('Go to Failing Line'),
      caption: trans.__('Show the line of the cell that failed last'),
      describedBy: described.line,
      reason: failingLine,
      execute: args => {
        const model = actions.modelFor(args) ?? '';
        if (typeof args.line === 'number') {
          return actions.goTo(model, typeof args.cell === 'string' ? args.cell : null, args.line);
        }
        const error = actions.errorOf(actions.modelFor(args))!;
        return actions.goTo(error.model, error.cell, error.line!);
      }
    },
    {
      id: CommandIDs.debug,
      label: trans.__('Debug Model'),
      caption: trans.__("Show how to attach a debugger to the model's process"),
      describedBy: described.model,
      reason: onModel('debug'),
      execute: simple('debug', model => trans.__('Debug %1', model))
    },
    {
      id: CommandIDs.exportModel,
      label: trans.__('Export Model...'),
      caption: trans.__('Write the model as a folder of a model repository'),
      describedBy: described.export,
      reason: onModel('export'),
      execute: async args => {
        const model = actions.modelFor(args)!;
        const title = trans.__('Export %1', model);
        const fields = [
          { name: 'dir', label: trans.__('Folder'), value: (args.dir as string) ?? 'repo', required: true },
          {
            name: 'release',
            label: trans.__('For Triton release'),
            help: trans.__('Empty: any'),
            value: (args.release as string) ?? ''
          },
          { name: 'stub', label: trans.__('With a stub process of ours'), value: args.stub === true }
        ];
        const given = await ask(title, trans.__('Export'), fields, trans);
        if (given) {
          const release = (given.release as string) || null;
          await actions.do('export', { model, dir: given.dir, release, stub: given.stub }, title);
        }
      }
    },
    {
      id: CommandIDs.unload,
      label: trans.__('Unload...'),
      caption: trans.__("End the model's process"),
      describedBy: described.model,
      reason: onModel('unload'),
      execute: async args => {
        const model = actions.modelFor(args)!;
        const title = trans.__('Unload %1', model);
        const words = trans.__('Its process ends; requests to it fail until its cell is run again.');
        if (await confirm(title, words, trans.__('Unload'), trans)) {
          await actions.do('unload', { model }, title);
        }
      }
    }
  ];
}

function serverEntries(actions: Actions, trans: TranslationBundle): Entry[] {
  const described = schemas(trans);
  const servers = () => actions.current?.store.servers.map(each => each.name) ?? [];
  const onServer = (verb: string) => (args: Args) =>
    actions.reasonAgainstModel(verb, args, () =>
      servers().length ? null : trans.__('Connect to a server or start one first')
    );
  const choose = async (args: Args, title: string, action: string): Promise<string | null> => {
    if (typeof args.server === 'string') {
      return args.server;
    }
    const wanted = actions.follower.settings.get('defaultTarget');
    const fields = [{ name: 'server', label: trans.__('Server'), options: servers(), value: wanted }];
    return ((await ask(title, action, fields, trans))?.server as string) ?? null;
  };
  const agreed = async (title: string, server: string, words: string, action: string): Promise<boolean> => {
    const isProtected = actions.current?.store.servers.find(each => each.name === server)?.protect;
    const asks = actions.follower.settings.get('confirmPush') || isProtected;
    return !asks || confirm(title, words, action, trans);
  };
  /** Choose a server, ask if that is wanted there, do it. */
  const change =
    (verb: string, action: string, title: (model: string) => string, words: (server: string) => string) =>
    async (args: Args) => {
      const model = actions.modelFor(args)!;
      const server = await choose(args, title(model), action);
      if (server && (await agreed(title(model), server, words(server), action))) {
        await actions.do(verb, { model, server, yes: true }, title(model));
      }
    };
  return [
    {
      id: CommandIDs.push,
      label: trans.__('Push Model...'),
      caption: trans.__('Send the model to a server and try it there'),
      describedBy: described.push,
      reason: onServer('push'),
      execute: change(
        'push',
        trans.__('Push'),
        model => trans.__('Push %1', model),
        server => trans.__('The model is replaced on %1; it can be rolled back.', server)
      )
    },
    {
      id: CommandIDs.rollback,
      label: trans.__('Roll Back Model...'),
      caption: trans.__('Put the revision back that a server had before the last push'),
      describedBy: described.push,
      reason: onServer('rollback'),
      execute: change(
        'rollback',
        trans.__('Roll Back'),
        model => trans.__('Roll Back %1', model),
        server => trans.__('The revision before the last push is put back on %1.', server)
      )
    },
    {
      id: CommandIDs.parity,
      label: trans.__('Run Parity Check...'),
      caption: trans.__('Compare the answers of two targets to the recorded requests'),
      describedBy: described.parity,
      reason: args => actions.reasonAgainstModel('parity', args),
      execute: async args => {
        const model = actions.modelFor(args)!;
        const title = trans.__('Parity of %1', model);
        const options = [...new Set(['local', ...servers()])];
        const value = (args.against as string) ?? actions.follower.settings.get('defaultTarget');
        const given = await ask(
          title,
          trans.__('Compare'),
          [{ name: 'against', label: trans.__('Against'), options, value }],
          trans
        );
        if (given) {
          await actions.do('parity', { model, against: given.against }, title);
        }
      }
    },
    {
      id: CommandIDs.verify,
      label: trans.__('Verify Export...'),
      caption: trans.__('Run an exported folder on a server of its own, with the recorded requests'),
      describedBy: described.verify,
      reason: () => actions.reasonAgainst('verify'),
      execute: async args => {
        const title = trans.__('Verify Export');
        const fields = [
          { name: 'dir', label: trans.__('Folder'), value: (args.dir as string) ?? 'repo', required: true }
        ];
        const given = await ask(title, trans.__('Verify'), fields, trans);
        if (given) {
          await actions.do('verify', { dir: given.dir }, title);
        }
      }
    },
    {
      id: CommandIDs.connect,
      label: trans.__('Connect to Server...'),
      caption: trans.__('Use a Triton server that runs elsewhere'),
      describedBy: described.connect,
      reason: () => actions.reasonAgainst('connect'),
      execute: async args => {
        const title = trans.__('Connect to Server');
        const given = await ask(title, trans.__('Connect'), connectFields(args, trans), trans);
        if (given) {
          const [header, variable] = String(given.header).split('=');
          const headers = header && variable ? { [header.trim()]: variable.trim() } : {};
          const { url, name, protect } = given;
          await actions.do('connect', { url, name, protect, header_env: headers }, title);
        }
      }
    },
    {
      id: CommandIDs.stopAll,
      label: trans.__('Stop All Stubs...'),
      caption: trans.__('End every process and remove every region of this kernel'),
      describedBy: described.none,
      reason: () => actions.reasonAgainst('reset'),
      execute: async () => {
        const title = trans.__('Stop All Stubs');
        const words = trans.__('Every model of this kernel is unloaded.');
        if (await confirm(title, words, trans.__('Stop'), trans)) {
          await actions.do('reset', {}, title);
        }
      }
    }
  ];
}

function connectFields(args: Args, trans: TranslationBundle) {
  return [
    {
      name: 'url',
      label: trans.__('Address'),
      value: (args.url as string) ?? 'http://localhost:8000',
      required: true
    },
    { name: 'name', label: trans.__('Name'), value: (args.name as string) ?? 'staging', required: true },
    {
      name: 'header',
      label: trans.__('Header from a variable'),
      help: trans.__('HEADER=NAME of an environment variable of the kernel; the value is never typed here'),
      value: (args.header as string) ?? ''
    },
    { name: 'protect', label: trans.__('Protect from pushes by mistake'), value: args.protect === true }
  ];
}
