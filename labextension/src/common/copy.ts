// Text to the clipboard, also of a page that is not served over TLS: there the browser's own interface is missing.
import { Clipboard } from '@jupyterlab/apputils';

export async function copyText(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    Clipboard.copyToSystem(text);
  }
}
