// The top of the panel: whose kernel is shown, and what to do where there is nothing to show.
import * as React from 'react';
import { CommandIDs, TRUST_COMMAND } from '../ids';
import type { Job, KernelStore } from '../store';
import { verbWords } from '../words';
import { Context, SectionView } from './section';

export class NoticeView extends SectionView {
  constructor(context: Context) {
    super(context, ['jobs', 'models']);
    this.removeClass('jp-TritonSection');
    this.addClass('jp-TritonNotice');
    context.follower.trustChanged.connect(() => this.update());
  }

  protected draw(store: KernelStore): JSX.Element {
    const { follower } = this.context;
    return (
      <>
        <p className="jp-TritonNotice-title" title={follower.current!.title}>
          {follower.current!.title}
        </p>
        <div aria-live="polite" role="status">
          {this._phase(store)}
        </div>
        {[...store.jobs.values()].map(job => this._job(job))}
        {store.phase !== 'no-kernel' && !follower.current!.isTrusted && this._untrusted()}
      </>
    );
  }

  private _phase(store: KernelStore): JSX.Element | null {
    const { trans } = this.context;
    switch (store.phase) {
      case 'no-kernel':
        return <p className="jp-TritonNotice-text">{trans.__('No kernel. Choose one in the notebook.')}</p>;
      case 'not-loaded':
        return (
          <>
            <p className="jp-TritonNotice-text">{trans.__('The workbench is not loaded in this kernel.')}</p>
            {this._loadButton()}
          </>
        );
      case 'connecting':
        return <p className="jp-TritonNotice-text">{trans.__('Connecting to the kernel…')}</p>;
      case 'lost':
        return (
          <>
            <p className="jp-TritonNotice-text">
              <strong className="jp-TritonNotice-stale">{trans.__('stale')}</strong>{' '}
              {trans.__('The kernel was lost or restarted. What it said last is shown.')}
            </p>
            {this._loadButton()}
          </>
        );
      case 'mismatch':
        return (
          <p className="jp-TritonNotice-text">
            {store.hello?.upgrade === 'kernel'
              ? trans.__("The kernel's triton-workbench is too old for this page: upgrade it there.")
              : trans.__("This page's extension is too old for the kernel: upgrade triton-workbench here.")}
          </p>
        );
      case 'live':
        return null;
    }
  }

  private _untrusted(): JSX.Element {
    const { trans } = this.context;
    return (
      <>
        <p className="jp-TritonNotice-text">
          {trans.__('This notebook is not trusted: models are shown, actions are off.')}
        </p>
        <button className="jp-Button jp-mod-styled jp-TritonButton" onClick={() => this.run(TRUST_COMMAND)}>
          {trans.__('Trust Notebook…')}
        </button>
      </>
    );
  }

  private _loadButton(): JSX.Element | null {
    if (!this.context.follower.current!.isTrusted) {
      return null;
    }
    return (
      <button className="jp-Button jp-mod-styled jp-mod-accept" onClick={() => this.run(CommandIDs.load)}>
        {this.context.trans.__('Load Extension in Kernel')}
      </button>
    );
  }

  private _job(job: Job): JSX.Element {
    const { trans, follower } = this.context;
    const verb = verbWords(job.verb, trans);
    const what = job.model ? trans.__('%1 %2', verb, job.model) : verb;
    const link = follower.current?.link;
    const isHeld = job.cancel === 'held';
    return (
      <div key={job.id} className="jp-TritonNotice-job">
        <span>
          {what}
          {': '}
          {this._jobWords(job)}
        </span>
        {job.progress !== null && <progress value={job.progress} max={1} aria-label={what} />}
        {isHeld ? (
          <button className="jp-Button jp-mod-styled jp-TritonButton" onClick={() => void link?.interrupt()}>
            {trans.__('Interrupt Cell')}
          </button>
        ) : (
          <button
            className="jp-Button jp-mod-styled jp-TritonButton"
            onClick={() => link?.cancel(job.id)}
            disabled={job.cancel !== undefined}
            aria-label={trans.__('Cancel %1', what)}
          >
            {trans.__('Cancel')}
          </button>
        )}
      </div>
    );
  }

  private _jobWords(job: Job): string {
    const { trans } = this.context;
    if (job.waiting) {
      return trans.__('waits for the running cell');
    }
    if (job.cancel === 'held') {
      return trans.__('is cancelled when the running cell ends');
    }
    return job.cancel ? trans.__('is being cancelled') : job.message || trans.__('running');
  }
}
