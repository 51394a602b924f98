import type { Message } from '../../../schemas/records.ts';

/**
 * The words of a text in lower case, without what stands between them; scripts that are written without gaps have
 * one word a character.
 */
export const wordsOf = (text: string): readonly string[] =>
  text
    .normalize('NFKC')
    .toLowerCase()
    .match(
      /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}]|[[\p{L}\p{M}\p{N}]--[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}]]+/gv,
    ) ?? [];

/** Every run of so many words, each once; all words together if there are fewer. */
export function gramsOf(words: readonly string[], length: number): ReadonlySet<string> {
  const grams = new Set<string>();
  for (let at = 0; at + length <= words.length; at += 1) {
    grams.add(words.slice(at, at + length).join(' '));
  }
  if (words.length > 0 && words.length < length) grams.add(words.join(' '));
  return grams;
}

/** What an instruction says, all turns together. */
export const textOf = (messages: readonly Message[]): string =>
  messages.map(({ content }) => content).join('\n');
