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
  constructor(
    private readonly fields: Field[],
    private readonly trans: TranslationBundle
  ) {
    super();
    this.addClass('jp-TritonForm');
    for (const field of fields) {
      this.node.append(this._row(field));
    }
  }

  getValue(): Answers {
    return Object.fromEntries(this.fields.map(({ name }) => [name, this._answer(name)]));
  }

  /** Whether everything required is there. What is not is said beside its field, and the first gets the focus. */
  check(): boolean {
    const missing = this.fields.filter(field => !this._mark(field));
    if (missing.length) {
      this._control(missing[0].name).focus();
    }
    return missing.length === 0;
  }

  /** Say of a field that it is empty, if it must not be; whether it is as it must be. */
  private _mark({ name, label, required }: Field): boolean {
    const isMissing = Boolean(required) && !this._answer(name);
    const error = this.node.querySelector(`#${idOf(name, 'error')}`);
    if (error) {
      error.textContent = isMissing ? this.trans.__('%1 must not be empty', label) : '';
      this._control(name).setAttribute('aria-invalid', String(isMissing));
    }
    return !isMissing;
  }

  private _control(name: string): HTMLInputElement | HTMLSelectElement {
    return this.node.querySelector<HTMLInputElement | HTMLSelectElement>(`[name="${name}"]`)!;
  }

  private _answer(name: string): string | boolean {
    const control = this._control(name);
    const isBox = control instanceof HTMLInputElement && control.type === 'checkbox';
    return isBox ? control.checked : control.value.trim();
  }

  /** Label, control, and what belongs to it: the error comes and goes, the help stays. */
  private _row(field: Field): HTMLElement {
    const row = document.createElement('div');
    row.className = 'jp-TritonForm-field';
    const control = this._input(field);
    control.name = field.name;
    control.id = idOf(field.name, 'control');
    const label = document.createElement('label');
    label.htmlFor = control.id;
    label.textContent = field.label;
    row.append(label, control);
    const notes: HTMLElement[] = [];
    if (field.required) {
      control.setAttribute('aria-required', 'true');
      control.addEventListener('input', () => this._mark(field));
      const error = document.createElement('small');
      error.className = 'jp-TritonForm-error';
      error.id = idOf(field.name, 'error');
      error.setAttribute('role', 'alert');
      notes.push(error);
    }
    if (field.help) {
      const help = document.createElement('small');
      help.id = idOf(field.name, 'help');
      help.textContent = field.help;
      notes.push(help);
    }
    if (notes.length) {
      control.setAttribute('aria-describedby', notes.map(each => each.id).join(' '));
      row.append(...notes);
    }
    return row;
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

function idOf(field: string, part: 'control' | 'error' | 'help'): string {
  return `jp-TritonForm-${part}-${field}`;
}

/** Stays open, and says why, while a required field is empty. */
class FormDialog extends Dialog<Answers> {
  constructor(
    private readonly form: Form,
    options: Partial<Dialog.IOptions<Answers>>
  ) {
    super({ ...options, body: form });
  }

  // The last button goes on, and Enter in a field means it.
  resolve(index = 1): void {
    if (index !== 1 || this.form.check()) {
      super.resolve(index);
    }
  }
}

/** What the user filled in, or null if the dialog was left. */
export async function ask(
  title: string,
  action: string,
  fields: Field[],
  trans: TranslationBundle
): Promise<Answers | null> {
  const dialog = new FormDialog(new Form(fields, trans), {
    title,
    buttons: [Dialog.cancelButton({ label: trans.__('Cancel') }), Dialog.okButton({ label: action })],
    focusNodeSelector: 'input, select'
  });
  const result = await dialog.launch();
  return result.button.accept ? result.value : null;
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
