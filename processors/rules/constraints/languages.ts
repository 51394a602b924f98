import type { LanguageOf, Verdict } from './constraint.ts';

/** The languages that constraints of IFEval may ask for, by their ISO 639-1 codes. */
export const languages: Readonly<Record<string, string>> = {
  ar: 'Arabic',
  bg: 'Bulgarian',
  bn: 'Bengali',
  de: 'German',
  en: 'English',
  es: 'Spanish',
  fa: 'Persian',
  fi: 'Finnish',
  fr: 'French',
  gu: 'Gujarati',
  he: 'Hebrew',
  hi: 'Hindi',
  it: 'Italian',
  ja: 'Japanese',
  kn: 'Kannada',
  ko: 'Korean',
  ml: 'Malayalam',
  mr: 'Marathi',
  ne: 'Nepali',
  pa: 'Punjabi',
  pl: 'Polish',
  pt: 'Portuguese',
  ru: 'Russian',
  sw: 'Swahili',
  ta: 'Tamil',
  te: 'Telugu',
  th: 'Thai',
  uk: 'Ukrainian',
  ur: 'Urdu',
  vi: 'Vietnamese',
};

/** The second half of the two constraints on case. A language that cannot be told is not held against a response. */
export function inEnglish(response: string, languageOf: LanguageOf): Verdict {
  const language = languageOf(response);
  const satisfied = language === null || language === 'en';
  return { satisfied, detail: `${nameOf(language)}; English wanted` };
}

export const nameOf = (code: string | null): string =>
  code === null ? 'a language that cannot be told' : (languages[code] ?? `the language ${code}`);
