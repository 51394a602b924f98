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

const words = (text: string): ReadonlySet<string> => new Set(text.split(' '));

const nepali = words('र म छ छन् छु छैन हो पनि भने यो त्यो गर्न गर्ने गर्छ');
const nepaliEndings = /.(?:को|मा|लाई|हरू|हरु|बाट|छ|छन्|छु|छौं|छैन|ेको|एको)$/;
const hindiOrMarathi = words(
  'है हैं का की के में से और को ने था थे थी नहीं यह वह लिए पर आहे आहेत आणि मध्ये हे ते या मी व',
);

/** Nepali by its commonest words and endings, against those of Hindi and Marathi, which share its script. */
export function isNepali(text: string): boolean {
  const found = text.match(/[\u0900-\u097f]+/g) ?? [];
  const here = found.filter((word) => nepali.has(word) || nepaliEndings.test(word));
  return here.length > found.filter((word) => hindiOrMarathi.has(word)).length;
}

const swahili = words(
  'ya wa kwa katika cha vya kuwa hii hiyo watu sana pia lakini yake wake yangu wengi kila ajili kabla baada wakati ' +
    'ambayo ambao kama mtu watoto',
);
/** Common in Swahili, and in other languages, too. */
const alsoSwahili = words('na ni za la');

/** Swahili by its commonest words: two of them at least, and a fifth of the text. */
export function isSwahili(text: string): boolean {
  const all = text.toLowerCase().match(/\p{L}+/gu) ?? [];
  const sure = all.filter((word) => swahili.has(word));
  const also = all.filter((word) => alsoSwahili.has(word));
  return new Set(sure).size > 1 && sure.length + also.length >= all.length / 5;
}
