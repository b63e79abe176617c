// A dialog with a few labelled fields; what is destructive has Cancel as its default.
import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

export interface Field {
  name: string;
  label: string;
  /** Shown below the field. */
  help?: string;
  value?: string | boolean;
  /** Values to choose from; the first is suggested where `value` is none of them. */
  options?: string[];
  required?: boolean;
}
export type Answers = Record<string, string | boolean>;

class Form extends Widget implements Dialog.IBodyWidget<Answers> {
  constructor(private readonly fields: Field[]) {
    super();
    this.addClass('jp-TritonForm');
    for (const field of fields) {
      const label = document.createElement('label');
      label.append(field.label);
      const input = this._input(field);
      input.name = field.name;
      label.append(input);
      if (field.help) {
        const help = document.createElement('small');
        help.textContent = field.help;
        label.append(help);
      }
      this.node.append(label);
    }
  }

  getValue(): Answers {
    const answers: Answers = {};
    for (const { name } of this.fields) {
      const input = this.node.querySelector<HTMLInputElement | HTMLSelectElement>(`[name="${name}"]`)!;
      answers[name] =
        input instanceof HTMLInputElement && input.type === 'checkbox' ? input.checked : input.value.trim();
    }
    return answers;
  }

  private _input(field: Field): HTMLInputElement | HTMLSelectElement {
    if (field.options) {
      const select = document.createElement('select');
      select.className = 'jp-mod-styled';
      for (const option of field.options) {
        select.add(new Option(option, option, false, option === field.value));
      }
      return select;
    }
    const input = document.createElement('input');
    if (typeof field.value === 'boolean') {
      input.type = 'checkbox';
      input.checked = field.value;
    } else {
      input.type = 'text';
      input.className = 'jp-mod-styled';
      input.value = field.value ?? '';
    }
    return input;
  }
}

/** What the user filled in, or null if the dialog was left or a required field is empty. */
export async function ask(
  title: string,
  action: string,
  fields: Field[],
  trans: TranslationBundle
): Promise<Answers | null> {
  const result = await showDialog({
    title,
    body: new Form(fields),
    buttons: [Dialog.cancelButton({ label: trans.__('Cancel') }), Dialog.okButton({ label: action })],
    focusNodeSelector: 'input, select'
  });
  const answers = result.button.accept ? result.value : null;
  return answers && fields.every(each => !each.required || answers[each.name]) ? answers : null;
}

/** Whether the user agrees to what cannot be taken back. */
export async function confirm(
  title: string,
  body: string,
  action: string,
  trans: TranslationBundle
): Promise<boolean> {
  const result = await showDialog({
    title,
    body,
    buttons: [Dialog.cancelButton({ label: trans.__('Cancel') }), Dialog.warnButton({ label: action })],
    defaultButton: 0
  });
  return result.button.accept;
}

/** A result that is a text, to be read and copied. */
export function showText(title: string, text: string, trans: TranslationBundle): void {
  const body = new Widget({ node: document.createElement('pre') });
  body.node.textContent = text;
  body.addClass('jp-TritonText');
  void showDialog({ title, body, buttons: [Dialog.okButton({ label: trans.__('Close') })] });
}
