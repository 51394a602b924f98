import type { LanguageOf } from '../../processors/rules/constraints/constraint.ts';
import { isNepali, isSwahili } from '../../processors/rules/constraints/languages.ts';
import { languageDetector } from '../language.ts';

/**
 * So many characters tell the language; langdetect, which the benchmark asks, looks no further either. It is also
 * what keeps a long response from costing more than a short one.
 */
const charactersLooked = 10_000;

/**
 * The language of a text by eld's model of medium size; null for a text without letters. eld knows 60 languages;
 * of those that IFEval asks for it lacks Nepali and Swahili, which are told by their commonest words.
 */
export const languageOf: LanguageOf = (text) => {
  const looked = text.slice(0, charactersLooked);
  const { language } = languageDetector().detect(looked);
  if (language === '') return null;
  if (isNepali(looked)) return 'ne';
  return isSwahili(looked) ? 'sw' : language;
};
