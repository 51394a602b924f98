import type { PreferencePair } from '../../../schemas/records.ts';
import { languageDetector } from '../../language.ts';
import type { Gate } from './gate.ts';
import { textOf } from './words.ts';

/** Tells a text's language as ISO 639-1; null if it cannot be sure. */
export type Detect = (text: string) => string | null;

/**
 * Leaves out pairs whose chosen text is in another language than the instruction, unless the instruction names that
 * language or has a constraint about it. Short texts and unsure cases stay.
 */
export const languageGate =
  (detect: Detect): Gate =>
  ({ pair, row }) => {
    const answer = detect(row.chosen);
    if (answer === null) return null;
    const wanted = constraintOf(pair) ?? detect(textOf(row.messages));
    if (wanted === null || wanted === answer || isNamed(answer, textOf(row.messages))) return null;
    return { reason: 'wrong-language', detail: `${answer}, not ${wanted}` };
  };

/** Only what is surely told: this is to find a German answer to an English question. */
export const languageOf: Detect = (text) => {
  const letters = text.slice(0, lettersMax);
  if ((letters.match(/\p{L}/gu)?.length ?? 0) < lettersMin) return null;
  const found = languageDetector().detect(letters);
  return found.language !== '' && found.isReliable() ? found.language : null;
};

/** Fewer are a guess; more make it no surer. */
const lettersMin = 60;
const lettersMax = 2000;

/** IFEval's constraint on the language of the response. */
function constraintOf({ constraints }: PreferencePair): string | null {
  const found = constraints.find(({ id }) => id === 'language:response_language');
  if (!found) return null;
  try {
    const { language } = JSON.parse(found.arguments) as { readonly language?: unknown };
    return typeof language === 'string' ? language : null;
  } catch {
    return null;
  }
}

/** Whether the text names the language, in English or in that language itself. */
function isNamed(language: string, text: string): boolean {
  const plain = text.toLowerCase();
  return [nameIn(language, 'en'), nameIn(language, language)].some(
    (name) => name !== null && plain.includes(name.toLowerCase()),
  );
}

function nameIn(language: string, locale: string): string | null {
  try {
    return new Intl.DisplayNames([locale], { type: 'language' }).of(language) ?? null;
  } catch {
    return null;
  }
}
