import { createRequire } from 'node:module';
import type { LanguageOf } from '../../processors/rules/constraints/constraint.ts';

/** What we use of eld, whose smaller models come without types. */
interface Detector {
  readonly detect: (text: string) => { readonly language: string };
}

/**
 * So many characters tell the language; langdetect, which the benchmark asks, looks no further either. It is also
 * what keeps a long response from costing more than a short one.
 */
const charactersLooked = 10_000;

let detector: Detector | null = null;

/** The language of a text, by eld's model of medium size; null for a text without letters. */
export const languageOf: LanguageOf = (text) => {
  detector ??= load();
  const looked = text.slice(0, charactersLooked);
  return detector.detect(looked).language || null;
};

/** The model takes about a second and 180 MB, so it is loaded when somebody first asks for a language. */
function load(): Detector {
  // eld's own entry for models of other sizes exports exactly this.
  const { eld } = createRequire(import.meta.url)('eld/medium') as { readonly eld: Detector };
  return eld;
}
