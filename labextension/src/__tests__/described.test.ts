import { describe, expect, it } from 'vitest';
import { schemas } from '../schemas';
import { levelWords, modelStateWords, serverWords, verbWords } from '../words';
import { english } from './words';
import type { TranslationBundle } from '@jupyterlab/translation';

const shouting = {
  __: (text: string, ...values: unknown[]) => english.__(text, ...(values as string[])).toUpperCase()
} as unknown as TranslationBundle;

describe('words of the kernel', () => {
  it.each([
    [verbWords, 'replay_error', 'REPLAY LAST ERROR'],
    [serverWords, 'no answer', 'NO ANSWER'],
    [serverWords, 'ended with exit code 3', 'ENDED WITH EXIT CODE 3'],
    [modelStateWords, 'READY', 'READY'],
    [modelStateWords, 'UNAVAILABLE', 'UNAVAILABLE'],
    [levelWords, 'info', 'INFO']
  ])('%o of %s are translated', (words, name, text) => expect(words(name, shouting)).toBe(text));

  it.each([verbWords, serverWords, modelStateWords, levelWords])('%o leaves others as they are', words =>
    expect(words('novelty', shouting)).toBe('novelty')
  );
});

describe('schemas', () => {
  const described = schemas(english);

  it('describe every argument', () => {
    for (const { args } of Object.values(described)) {
      for (const each of Object.values(args.properties as Record<string, { description: string }>)) {
        expect(each.description).toBeTruthy();
      }
    }
  });

  it('have what the dialogs take', () => {
    const names = (each: { args: object }) => Object.keys((each.args as { properties: object }).properties);
    expect(names(described.export)).toEqual(['model', 'ofRow', 'ofCell', 'dir', 'release', 'stub']);
    expect(names(described.connect)).toEqual(['url', 'name', 'header', 'protect']);
  });
});
