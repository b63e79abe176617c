// Loading the extension in a notebook's kernel: whether it may be, and trying again where it failed.
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Followed } from './follow';

/** What it takes of a notebook. */
export type Loadable = Pick<Followed, 'isTrusted'> & {
  readonly panel: Pick<Followed['panel'], 'isDisposed'>;
  readonly link: Pick<NonNullable<Followed['link']>, 'load'> | null;
};

/** Says why the extension was not loaded; `again` tries once more, and is null where that is of no use. */
export type Refusal = (why: string, again: (() => void) | null) => void;

export class Loading {
  /**
   * @param current - The notebook that has the focus, if any.
   * @param refused - Tells the user.
   * @param trans - The language of what is told.
   */
  constructor(
    private readonly current: () => Loadable | null,
    private readonly refused: Refusal,
    private readonly trans: TranslationBundle
  ) {}

  /** Why the extension cannot be loaded for a notebook, that of the focus unless named, or null. */
  whyNot(notebook: Loadable | null = this.current()): string | null {
    const { trans } = this;
    if (!notebook) {
      return trans.__('Open a notebook first');
    }
    if (notebook.panel.isDisposed) {
      return trans.__('The notebook has been closed');
    }
    if (!notebook.link) {
      return trans.__('The notebook has no kernel');
    }
    // Its folder may hold a module of that name.
    return notebook.isTrusted ? null : trans.__('Trust the notebook first');
  }

  /**
   * Load it. What is disabled in menus can be run by other programs and by notifications, so it is asked here too.
   * Trying again means the same notebook, whichever has the focus by then.
   */
  async load(notebook: Loadable | null = this.current()): Promise<void> {
    const again = () => void this.load(notebook ?? this.current());
    const why = this.whyNot(notebook);
    if (why) {
      this.refused(why, notebook?.panel.isDisposed ? null : again);
      return;
    }
    try {
      await notebook!.link!.load();
    } catch (error) {
      this.refused((error as Error).message, again);
    }
  }
}
