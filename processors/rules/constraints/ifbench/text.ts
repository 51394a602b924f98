import type { Argument } from '../constraint.ts';
import * as common from '../arguments.ts';
import { blanks, strip } from '../text.ts';

/** What the checkers of IFBench share: punctuation is ASCII's, and sentences are cut by a handful of rules. */

/** ASCII's 32 marks, to stand in the brackets of a regular expression. */
const marks = '!-\\/:-@\\[-`{-~';
const everyMark = new RegExp(`[${marks}]`, 'g');

/** A text without punctuation. */
export const bare = (text: string): string => text.replaceAll(everyMark, '');

const isMark = (code: number): boolean =>
  (code >= 0x20 && code < 0x30) ||
  (code > 0x39 && code < 0x41) ||
  (code > 0x5a && code < 0x61) ||
  (code > 0x7a && code < 0x7f);

/** A text without the punctuation and the spaces before it. */
export function trimStart(text: string): string {
  let start = 0;
  while (start < text.length && isMark(text.charCodeAt(start))) start++;
  return text.slice(start);
}

/** A text without the punctuation and the spaces after it. */
export function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && isMark(text.charCodeAt(end - 1))) end--;
  return text.slice(0, end);
}

export const trim = (text: string): string => trimStart(trimEnd(text));

/** How many characters a text has, each of them one whatever its code. */
export const lengthOf = (text: string): number =>
  text.length - (text.match(/[\ud800-\udbff][\udc00-\udfff]/g)?.length ?? 0);

export const firstOf = (text: string): string =>
  text === '' ? '' : String.fromCodePoint(text.codePointAt(0) as number);

/** Without accents, and without what ASCII does not have. */
export const asAscii = (text: string): string =>
  text.normalize('NFKD').replaceAll(/[^\0-\x7f]/g, '');

// Stand for a full stop that ends no sentence, and for the end of one; no text has these noncharacters.
const [inner, end] = ['\ufdd0', '\ufdd1'];
const starters =
  '(Mr|Mrs|Ms|Dr|Prof|Capt|Cpt|Lt|' +
  `(?:He|She|It|They|Their|Our|We|But|However|That|This)[${blanks}]|Wherever)`;
const [letter, suffix] = ['([A-Za-z])', '(Inc|Ltd|Jr|Sr|Co)'];

type Rule = readonly [pattern: RegExp, replacement: string];

/** In this order, since each sees what those before it have left. */
const dots: readonly Rule[] = [
  [/(Mr|St|Mrs|Ms|Dr)\./g, `$1${inner}`],
  [/\.(com|net|org|io|gov|edu|me)/g, `${inner}$1`],
  [/([0-9])\.([0-9])/g, `$1${inner}$2`],
];
const moreDots: readonly Rule[] = [
  [/Ph\.D\./g, `Ph${inner}D${inner}`],
  [new RegExp(`[${blanks}]${letter}\\. `, 'g'), ` $1${inner} `],
  [new RegExp(`([A-Z]\\.[A-Z]\\.(?:[A-Z]\\.)?) ${starters}`, 'g'), `$1${end} $2`],
  [new RegExp(`${letter}\\.${letter}\\.${letter}\\.`, 'g'), `$1${inner}$2${inner}$3${inner}`],
  [new RegExp(`${letter}\\.${letter}\\.`, 'g'), `$1${inner}$2${inner}`],
  [new RegExp(` ${suffix}\\. ${starters}`, 'g'), ` $1${end} $2`],
  [new RegExp(` ${suffix}\\.`, 'g'), ` $1${inner}`],
  [new RegExp(` ${letter}\\.`, 'g'), ` $1${inner}`],
  [/\.\u201d/g, '\u201d.'],
  [/\."/g, '".'],
];
const quotes: readonly Rule[] = [
  [/!"/g, '"!'],
  [/\?"/g, '"?'],
];

const apply = (text: string, rules: readonly Rule[]): string =>
  rules.reduce((from, [pattern, replacement]) => from.replace(pattern, replacement), text);

/**
 * Sentences as IFBench cuts most of them, which is not as Punkt does: at each `.`, `?` and `!` but for some
 * abbreviations, initials and numbers. A quotation mark after the mark goes before it.
 */
export function sentencesOf(text: string): readonly string[] {
  const spaced = ` ${text.replaceAll('\n', ' ')}  `;
  const dotted = spaced.includes('.') ? withDots(spaced) : spaced;
  const marked = dotted.includes('"') ? apply(dotted, quotes) : dotted;
  const plain = marked.replaceAll(inner, '.');
  const sentences: string[] = [];
  let from = 0;
  for (let index = 0; index < marked.length; index++) {
    const code = marked.charCodeAt(index);
    if (code === endCode) {
      sentences.push(strip(plain.slice(from, index)));
      from = index + 1;
    } else if (code === 0x2e || code === 0x3f || code === 0x21) {
      sentences.push(strip(plain.slice(from, index + 1)));
      from = index + 1;
    }
  }
  const rest = strip(plain.slice(from));
  if (rest !== '') sentences.push(rest);
  return sentences;
}

const endCode = end.charCodeAt(0);

function withDots(text: string): string {
  const few = apply(text, dots);
  const ellipses = few.includes('..')
    ? few.replaceAll(/\.{2,}/g, (found) => inner.repeat(found.length) + end)
    : few;
  return apply(ellipses, moreDots);
}

/** Every argument of IFBench is needed: what is missing there is drawn at random. */
const needed = <Value>(argument: Argument<Value>): Argument<Value> => ({
  ...argument,
  missing: null,
});

export const wholeNumber = needed(common.wholeNumber);
export const ordinal = needed(common.ordinal);
export const { text: word } = common;

/** A text as it is, with the white space around it. */
export const exactText: Argument<string> = {
  expected: 'a text that is not empty',
  read: (given) => (typeof given === 'string' && given !== '' ? given : null),
  missing: null,
};

export const percentage: Argument<number> = {
  expected: 'a number, 0 or more',
  read: (given) =>
    typeof given === 'number' && Number.isFinite(given) && given >= 0 ? given : null,
  missing: null,
};
