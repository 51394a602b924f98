import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { LanguageOf } from '../../processors/rules/constraints/constraint.ts';
import { isNepali, isSwahili } from '../../processors/rules/constraints/languages.ts';

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

/**
 * The language of a text by eld's model of medium size; null for a text without letters. eld knows 60 languages;
 * of those that IFEval asks for it lacks Nepali and Swahili, which are told by their commonest words.
 */
export const languageOf: LanguageOf = (text) => {
  detector ??= load();
  const looked = text.slice(0, charactersLooked);
  const { language } = detector.detect(looked);
  if (language === '') return null;
  if (isNepali(looked)) return 'ne';
  return isSwahili(looked) ? 'sw' : language;
};

/**
 * The model takes most of a second and 180 MB, so it is loaded when somebody first asks for a language. eld has no
 * entry for `require`, which can load a module at once; its entry for `import` is such a module.
 */
function load(): Detector {
  const entry = fileURLToPath(import.meta.resolve('eld/medium'));
  // eld's own entries export exactly this.
  const { eld } = createRequire(import.meta.url)(entry) as { readonly eld: Detector };
  return eld;
}
