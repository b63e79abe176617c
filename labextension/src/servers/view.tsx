// Servers: those started or connected, and the models there.
import * as React from 'react';
import { Context, SectionView } from '../common/section';
import { CommandIDs } from '../ids';
import type { ServerData } from '../protocol';
import type { KernelStore } from '../store';
import { modelStateWords, serverWords } from '../words';

export class ServersView extends SectionView {
  constructor(context: Context) {
    super(context, ['servers']);
    this.addClass('jp-TritonServers');
  }

  protected draw(store: KernelStore): JSX.Element {
    const { trans } = this.context;
    return (
      <>
        {store.servers.length
          ? store.servers.map(server => this._server(server))
          : this.empty(trans.__('No servers. Connect to one to push models there.'))}
        <button
          className="jp-Button jp-mod-styled jp-TritonButton"
          disabled={!store.isLive}
          onClick={() => this.run(CommandIDs.connect)}
        >
          {trans.__('Connect to Server…')}
        </button>
      </>
    );
  }

  private _server(server: ServerData): JSX.Element {
    const { trans } = this.context;
    return (
      <table className="jp-TritonTable" key={server.name}>
        <caption>
          <strong>{server.name}</strong> {server.url} <small>{serverWords(server.state, trans)}</small>
          {server.protect && <small> {trans.__('protected')}</small>}
        </caption>
        <thead>
          <tr>
            <th scope="col">{trans.__('Model')}</th>
            <th scope="col">{trans.__('State')}</th>
            <th scope="col">{trans.__('Actions')}</th>
          </tr>
        </thead>
        <tbody>
          {server.models.map(model => (
            <tr key={`${model.name}/${model.version}`} className="jp-TritonServers-row">
              <th scope="row">
                {model.name} <small className="jp-TritonModels-src">{model.src ?? ''}</small>
              </th>
              <td>{modelStateWords(model.state, trans)}</td>
              <td>
                <button
                  className="jp-Button jp-mod-styled jp-TritonButton"
                  aria-label={`${trans.__('Roll Back')}: ${model.name}`}
                  onClick={() => this.run(CommandIDs.rollback, { model: model.name, server: server.name })}
                >
                  {trans.__('Roll Back')}
                </button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    );
  }
}
