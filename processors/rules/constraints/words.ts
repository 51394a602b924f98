import { isSpace, isWordCharacter, sentencesIn } from './sentences.ts';
import { blanks, isBlank, isUpper } from './text.ts';

/** Words as the benchmark counts them: letters, marks, digits and underscores in a row, so `don't` is two. */
export function countWords(text: string): number {
  let words = 0;
  eachWord(text, () => words++);
  return words;
}

/** The same words themselves. */
export function wordRuns(text: string): readonly string[] {
  const words: string[] = [];
  eachWord(text, (start, end) => words.push(text.slice(start, end)));
  return words;
}

function eachWord(text: string, found: (start: number, end: number) => void): void {
  let start = -1;
  for (let index = 0; index < text.length; index++) {
    const from = index;
    const code = text.codePointAt(index) as number;
    if (code > 0xffff) index++;
    if (isWordCharacter(code)) {
      if (start < 0) start = from;
    } else if (start >= 0) {
      found(start, from);
      start = -1;
    }
  }
  if (start >= 0) found(start, text.length);
}

/**
 * Words in capitals, among the words of NLTK's `word_tokenize` (3.10.4): the rules of the Penn Treebank (Robert
 * MacIntyre's script), sentence by sentence. `U.S.` is one word, `DON'T` is two, `X-RAY` is one.
 *
 * The rules look no further than a space, except for the full stop of the sentence. So the words that they cannot
 * change are counted at once, and the rest of the response goes through the rules together.
 */
export function countCapitalWords(text: string): number {
  if (!/\p{Uppercase}/u.test(text)) return 0;
  let count = 0;
  let rest = '';
  for (const sentence of sentencesIn(text)) {
    let stop: number | null = null;
    for (let from = 0; from < sentence.length;) {
      const to = endOfPiece(sentence, from);
      const piece = sentence.slice(from, to);
      const plain = plainly(piece);
      if (plain === null) {
        stop ??= finalStopOf(sentence);
        rest +=
          stop >= from && stop < to
            ? `${sentence.slice(from, stop)} . ${sentence.slice(stop + 1, to)}`
            : piece;
        // For one of the rules a space is no other white space.
        rest += sentence.charAt(to) === ' ' ? ' ' : '\n';
      } else {
        count += plain;
      }
      from = to + 1;
    }
  }
  return count + wordsOf(rest).filter(isUpper).length;
}

/**
 * All of NLTK's words, each as it stands in the text but for the spaces around it: some sentences at a time, since the
 * rules cost more to begin than to go on, and who looks for a word may find it early.
 */
export function* wordsIn(text: string): Generator<readonly string[]> {
  let sentences = '';
  for (const sentence of sentencesIn(text)) {
    sentences += withFinalStopApart(sentence);
    if (sentences.length < charactersAtOnce) continue;
    yield wordsOf(sentences);
    sentences = '';
  }
  yield wordsOf(sentences);
}

const charactersAtOnce = 10_000;

/** The second word and the last but one of them; undefined where there are fewer than two. */
export function secondFromBothEnds(text: string): readonly (string | undefined)[] {
  const sentences = sentencesIn(text);
  const [front, back]: [string[], string[]] = [[], []];
  for (let index = 0; index < sentences.length && front.length < 2; index++) {
    front.push(...wordsOf(withFinalStopApart(sentences[index] ?? '')).slice(0, 2));
  }
  for (let index = sentences.length - 1; index >= 0 && back.length < 2; index--) {
    back.unshift(...wordsOf(withFinalStopApart(sentences[index] ?? '')).slice(-2));
  }
  return [front[1], back.at(-2)];
}

function withFinalStopApart(sentence: string): string {
  const stop = finalStopOf(sentence);
  return stop < 0 ? `${sentence}\n` : `${sentence.slice(0, stop)} . ${sentence.slice(stop + 1)}\n`;
}

/** Where the next white space is; pieces are what stands between. */
function endOfPiece(text: string, from: number): number {
  let end = from;
  while (end < text.length && !isSpace(text.charCodeAt(end))) end++;
  return end;
}

/** Whether a piece that is one word, with one mark after it at the most, is in capitals; null if it may be more. */
function plainly(piece: string): 0 | 1 | null {
  const marked = '.,;:?!'.includes(piece.charAt(piece.length - 1));
  const word = marked ? piece.slice(0, -1) : piece;
  if (/^[A-Z]?[a-z][a-z0-9]*$/.test(word)) return 0;
  if (/^[A-Z0-9]*[A-Z][A-Z0-9]*$/.test(word)) return contracted.has(word) ? null : 1;
  return /\p{Uppercase}/u.test(piece) ? null : 0;
}

const contracted = new Set(['CANNOT', 'GIMME', 'GONNA', 'GOTTA', 'LEMME', 'WANNA']);

/**
 * Where the full stop of a sentence is, which is no part of its last word, also where brackets and quotation marks
 * follow it; -1 if there is none. What opens a quotation does not close the sentence.
 */
function finalStopOf(text: string): number {
  let end = text.length;
  while (end > 0 && isSpace(text.charCodeAt(end - 1))) end--;
  while (end > 0 && '])}>"\'\u00bb\u201d\u2019 '.includes(text.charAt(end - 1))) end--;
  const stands = end > 1 && text.charAt(end - 1) === '.' && text.charAt(end - 2) !== '.';
  return stands && !/ (?:"|'')/.test(text.slice(end)) ? end - 1 : -1;
}

/** The words of pieces: spaces go around whatever stands apart, and then the spaces are the borders. */
const wordsOf = (pieces: string): readonly string[] =>
  atBlanks([openingQuotes, punctuation, closingQuotes, contractions].reduce(apart, pieces));

type Rule = readonly [pattern: RegExp, replacement: string];

const apart = (text: string, rules: readonly Rule[]): string =>
  rules.reduce((spaced, [pattern, replacement]) => spaced.replace(pattern, replacement), text);

const word = '[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}]';

const openingQuotes: readonly Rule[] = [
  [/[\u00ab\u201c\u2018\u201e]|`+/g, ' $& '],
  [/([ ([{<])(?:"|'')/g, '$1 `` '],
  // An apostrophe before a word opens a quotation, unless it begins one of these endings.
  [new RegExp(`(?<!${word})'(?!(?:re|ve|ll|m|t|s|d|n)(?!${word}))(?=${word})`, 'giu'), "' "],
];

const punctuation: readonly Rule[] = [
  // In 10:30 and 1,000 they are part of the number.
  [/([:,])(\P{Nd})/gu, ' $1 $2'],
  [/\.{2,}|[;@#$%&?!*[\](){}<>\u2012-\u2015]|--/g, ' $& '],
  [/([^'])' /g, "$1 ' "],
];

const closingQuotes: readonly Rule[] = [
  [/\n/g, ' '],
  [/''|["\u00bb\u201d\u2019]/g, ' $& '],
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

/** What stands between white space, as Python's `split` cuts it. */
export function atBlanks(text: string): readonly string[] {
  const words: string[] = [];
  let start = 0;
  for (let index = 0; index <= text.length; index++) {
    if (index < text.length && !isBlank(text.charCodeAt(index))) continue;
    if (index > start) words.push(text.slice(start, index));
    start = index + 1;
  }
  return words;
}
