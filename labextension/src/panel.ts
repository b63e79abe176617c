// The side panel: one accordion section for each part, remembered open or closed.
import type { IStateDB } from '@jupyterlab/statedb';
import { SidePanel } from '@jupyterlab/ui-components';
import type { AccordionPanel, Widget } from '@lumino/widgets';
import { NoticeView } from './common/notice';
import type { Context } from './common/section';
import { modelIcon } from './icons';
import { PANEL_ID, Section, SECTIONS, STATE_KEY } from './ids';
import { LogsView } from './logs/view';
import { ModelsView } from './models/view';
import { ServersView } from './servers/view';
import { ShmView } from './shm/view';
import { TraceView } from './trace/view';

export class TritonPanel extends SidePanel {
  constructor(
    readonly context: Context,
    private readonly state: IStateDB | null
  ) {
    super();
    const { trans } = context;
    this.id = PANEL_ID;
    this.addClass('jp-TritonPanel');
    this.title.icon = modelIcon;
    this.title.caption = trans.__('Triton');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('Triton'));
    this.header.addWidget(new NoticeView(context));
    const labels: Record<Section, string> = {
      models: trans.__('Models'),
      trace: trans.__('Trace'),
      shm: trans.__('Shared Memory'),
      servers: trans.__('Servers'),
      logs: trans.__('Logs')
    };
    const views: Record<Section, Widget> = {
      models: new ModelsView(context),
      trace: new TraceView(context),
      shm: new ShmView(context),
      servers: new ServersView(context),
      logs: new LogsView(context)
    };
    for (const section of SECTIONS) {
      views[section].title.label = labels[section];
      // A section scrolls, and must be reached by keyboard also where nothing in it can be.
      views[section].node.tabIndex = 0;
      this.addWidget(views[section]);
    }
    this._accordion.expansionToggled.connect(this._remember, this);
    void this._recall();
  }

  /** Open a section, whether or not the user had closed it. */
  reveal(section: Section): void {
    this._accordion.expand(SECTIONS.indexOf(section));
  }

  private get _accordion(): AccordionPanel {
    return this.content as AccordionPanel;
  }

  private async _recall(): Promise<void> {
    const closed = ((await this.state?.fetch(STATE_KEY)) ?? ['servers', 'logs']) as string[];
    SECTIONS.forEach((section, index) => {
      if (closed.includes(section)) {
        this._accordion.collapse(index);
      }
    });
    this._recalled = true;
  }

  private _remember(): void {
    if (this._recalled) {
      const closed = SECTIONS.filter((_, index) => this._accordion.widgets[index].isHidden);
      void this.state?.save(STATE_KEY, closed);
    }
  }

  private _recalled = false;
}
