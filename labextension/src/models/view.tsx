// Models: a table with a row for each, its state in words, and what can be done with it.
import type { TranslationBundle } from '@jupyterlab/translation';
import { LabIcon, refreshIcon } from '@jupyterlab/ui-components';
import * as React from 'react';
import { Context, SectionView } from '../common/section';
import { replayIcon } from '../icons';
import { CommandIDs } from '../ids';
import type { ModelData } from '../protocol';
import type { KernelStore } from '../store';
import { stateOf, StateMark } from './state';

export class ModelsView extends SectionView {
  constructor(context: Context) {
    super(context, ['models', 'selection']);
    this.addClass('jp-TritonModels');
  }

  protected draw(store: KernelStore): JSX.Element {
    const { trans } = this.context;
    if (!store.models.length) {
      return this.empty(trans.__('No models. A cell that begins with "%%triton model NAME" makes one.'));
    }
    return (
      <table className="jp-TritonTable">
        <caption className="jp-TritonHidden">{trans.__('Models of the kernel')}</caption>
        <thead>
          <tr>
            <th scope="col">{trans.__('Model')}</th>
            <th scope="col">{trans.__('State')}</th>
            <th scope="col">{trans.__('Requests')}</th>
            <th scope="col">
              <span className="jp-TritonHidden">{trans.__('Actions')}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {store.models.map(model => (
            <ModelRow
              key={model.name}
              model={model}
              selected={store.selectedModel === model.name}
              trans={trans}
              select={this._select}
              act={this._act}
            />
          ))}
        </tbody>
      </table>
    );
  }

  private _select = (model: string) => this.context.follower.current?.store.select(model);
  private _act = (command: string, model: string) => this.run(command, { model });
}

interface RowProps {
  model: ModelData;
  selected: boolean;
  trans: TranslationBundle;
  select: (model: string) => void;
  act: (command: string, model: string) => void;
}

const ModelRow = React.memo(function ModelRow({
  model,
  selected,
  trans,
  select,
  act
}: RowProps): JSX.Element {
  const state = stateOf(model);
  const { success, failure } = model.requests;
  const error = model.error;
  return (
    <>
      <tr
        className={`jp-TritonModels-row${selected ? ' jp-mod-selected' : ''}`}
        data-triton-model={model.name}
        onClick={() => select(model.name)}
        onContextMenu={() => select(model.name)}
      >
        <th scope="row" title={details(model, trans)}>
          {model.name}
          {model.is_mock && <span className="jp-TritonModels-tag">{trans.__('mock')}</span>}
          {model.decoupled && <span className="jp-TritonModels-tag">{trans.__('decoupled')}</span>}
          <small className="jp-TritonModels-src">{model.src ?? ''}</small>
        </th>
        <td>
          <StateMark state={state} trans={trans} />
        </td>
        <td>{failure ? trans.__('%1, %2 failed', success, failure) : success}</td>
        <td className="jp-TritonModels-verbs">
          <Action
            label={trans.__('Reload')}
            icon={refreshIcon}
            of={model.name}
            run={() => act(CommandIDs.reload, model.name)}
          />
          <Action
            label={trans.__('Replay')}
            icon={replayIcon}
            of={model.name}
            run={() => act(CommandIDs.replay, model.name)}
          />
        </td>
      </tr>
      {error && (
        <tr className="jp-TritonModels-failure">
          <td colSpan={4}>
            <span>
              {error.ename}: {error.evalue}
            </span>
            {error.line !== null && (
              <Action
                label={trans.__('Go to Line %1', error.line)}
                of={model.name}
                run={() => act(CommandIDs.goToLine, model.name)}
              />
            )}
          </td>
        </tr>
      )}
    </>
  );
});

function Action(props: { label: string; icon?: LabIcon; of: string; run: () => void }): JSX.Element {
  return (
    <button
      className="jp-Button jp-mod-styled jp-TritonButton"
      aria-label={`${props.label}: ${props.of}`}
      title={props.label}
      onClick={event => {
        event.stopPropagation();
        props.run();
      }}
    >
      {props.icon ? <props.icon.react tag="span" /> : props.label}
    </button>
  );
}

function details(model: ModelData, trans: TranslationBundle): string {
  return [
    model.signature,
    trans.__('target %1, device %2, %3 instances', model.target, model.device, model.instances),
    model.cell ?? ''
  ]
    .filter(each => each)
    .join('\n');
}
