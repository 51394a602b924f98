import { isWordCharacter, sentencesIn } from './sentences.ts';
import { blanks, isBlank, isUpper } from './text.ts';

/** Words as the benchmark counts them: letters, marks, digits and underscores in a row, so `don't` is two. */
export function countWords(text: string): number {
  let words = 0;
  let within = false;
  for (let index = 0; index < text.length; index++) {
    const code = text.codePointAt(index) as number;
    if (code > 0xffff) index++;
    const part = isWordCharacter(code);
    if (part && !within) words++;
    within = part;
  }
  return words;
}

/**
 * Words in capitals, among the words of NLTK's `word_tokenize` (3.10.4): the rules of the Penn Treebank (Robert
 * MacIntyre's script), sentence by sentence. `U.S.` is one word, `DON'T` is two, `X-RAY` is one.
 */
export const countCapitalWords = (text: string): number =>
  sentencesIn(text)
    .filter((sentence) => /\p{Uppercase}/u.test(sentence))
    .reduce((sum, sentence) => sum + wordsOf(sentence).filter(isUpper).length, 0);

/** The words of one sentence: spaces go around whatever stands apart, and then the spaces are the borders. */
function wordsOf(sentence: string): readonly string[] {
  let text = withoutFinalStop(apart(sentence, openingQuotes));
  text = ` ${apart(text, punctuation)} `;
  text = apart(text, closingQuotes);
  return atBlanks(apart(text, contractions));
}

type Rule = readonly [pattern: RegExp, replacement: string];

const apart = (text: string, rules: readonly Rule[]): string =>
  rules.reduce((spaced, [pattern, replacement]) => spaced.replace(pattern, replacement), text);

const word = '[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}]';
const space = '\\p{White_Space}';

const openingQuotes: readonly Rule[] = [
  [/[\u00ab\u201c\u2018\u201e]|`+/g, ' $& '],
  [/^"/, ' `` '],
  [/([ ([{<])(?:"|'')/g, '$1 `` '],
  // An apostrophe before a word opens a quotation, unless it begins one of these endings.
  [new RegExp(`(?<!${word})'(?!(?:re|ve|ll|m|t|s|d|n)(?!${word}))(?=${word})`, 'giu'), "' "],
];

/** The full stop of the sentence is no part of its last word, also where brackets and quotation marks follow it. */
function withoutFinalStop(text: string): string {
  let end = text.length;
  while (end > 0 && /\p{White_Space}/u.test(text.charAt(end - 1))) end--;
  while (end > 0 && '])}>"\'\u00bb\u201d\u2019 '.includes(text.charAt(end - 1))) end--;
  if (end < 2 || text.charAt(end - 1) !== '.' || text.charAt(end - 2) === '.') return text;
  return `${text.slice(0, end - 1)} . ${text.slice(end)}`;
}

const punctuation: readonly Rule[] = [
  // In 10:30 and 1,000 they are part of the number.
  [/([:,])(\P{Nd})/gu, ' $1 $2'],
  [/[:,]$/, ' $& '],
  [/\.{2,}|[;@#$%&?!*[\](){}<>\u2012-\u2015]|--/g, ' $& '],
  [/([^'])' /g, "$1 ' "],
];

const closingQuotes: readonly Rule[] = [
  [/''|["\u00bb\u201d\u2019]/g, ' $& '],
  [new RegExp(`${space}+`, 'gu'), ' '],
  [/([^' ])('[sSmMdD]|') /g, '$1 $2 '],
  [/([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) /g, '$1 $2 '],
];

const letter = '[\\p{L}\\p{N}_]';

const contractions: readonly Rule[] = [
  [
    new RegExp(
      `(?<!${letter})(can(?=not)|d(?='ye)|gim(?=me)|gon(?=na)|got(?=ta)|lem(?=me)|more(?='n)|wan(?=na[${blanks}]))` +
        `(not|'ye|me|na|ta|'n)(?!${letter})`,
      'giu',
    ),
    ' $1 $2 ',
  ],
  [new RegExp(` ('t)(is|was)(?!${letter})`, 'giu'), ' $1 $2 '],
];

function atBlanks(text: string): readonly string[] {
  const words: string[] = [];
  let start = 0;
  for (let index = 0; index <= text.length; index++) {
    if (index < text.length && !isBlank(text.charCodeAt(index))) continue;
    if (index > start) words.push(text.slice(start, index));
    start = index + 1;
  }
  return words;
}
