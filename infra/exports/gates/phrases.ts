import type { Gate } from './gate.ts';

/**
 * Finds phrases in a chosen text that belong between us and the models: whoever learns them says them to users. A
 * phrase that the instruction itself has was asked for.
 */
export const phrasesGate = (phrases: readonly string[]): Gate => {
  const sought = phrases.map((phrase) => ({ phrase, plain: plain(phrase) }));
  return ({ row: { messages, chosen } }) => {
    const text = plain(chosen);
    const found = sought.find(({ plain: one }) => text.includes(one));
    if (!found || messages.some(({ content }) => plain(content).includes(found.plain))) return null;
    return { reason: 'verdict-phrase', detail: found.phrase };
  };
};

/** Case, emphasis and the width of gaps make no other phrase. */
const plain = (text: string): string =>
  text
    .toLowerCase()
    .replaceAll(/[*_`’]/g, (mark) => (mark === '’' ? "'" : ''))
    .replaceAll(/\s+/g, ' ');
