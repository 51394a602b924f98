import { isSpace, isWordCharacter, sentencesIn } from './sentences.ts';
import { blanks, isBlank, isLetter, isUpper } from './text.ts';

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
 */
export function countCapitalWords(text: string): number {
  if (!/\p{Uppercase}/u.test(text)) return 0;
  let count = 0;
  for (const words of wordsIn(text)) for (const one of words) if (isUpper(one)) count++;
  return count;
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

/** The word at a place, from 0; undefined if there are not so many. */
export function wordAt(text: string, place: number): string | undefined {
  let before = 0;
  for (const words of wordsIn(text)) {
    if (place < before + words.length) return words[place - before];
    before += words.length;
  }
  return undefined;
}

/** The second word and the last but one of them; undefined where there are fewer than two. */
export function secondFromBothEnds(text: string): readonly (string | undefined)[] {
  const sentences = sentencesIn(text);
  const last = sentences.length - 1;
  const wordsAt = (index: number) => wordsOf(withFinalStopApart(sentences[index] ?? ''));
  const first = wordsAt(0);
  const front = first.slice(0, 2);
  for (let index = 1; index <= last && front.length < 2; index++) {
    front.push(...wordsAt(index).slice(0, 2));
  }
  const back = (last === 0 ? first : wordsAt(last)).slice(-2);
  for (let index = last - 1; index >= 0 && back.length < 2; index--) {
    back.unshift(...wordsAt(index).slice(-2));
  }
  return [front[1], back.at(-2)];
}

function withFinalStopApart(sentence: string): string {
  const stop = finalStopOf(sentence);
  return stop < 0 ? `${sentence}\n` : `${sentence.slice(0, stop)} . ${sentence.slice(stop + 1)}\n`;
}

/**
 * Where the full stop of a sentence is, which is no part of its last word, also where brackets and quotation marks
 * follow it; -1 if there is none. What opens a quotation does not close the sentence.
 */
function finalStopOf(text: string): number {
  let end = text.length;
  while (end > 0 && isSpace(text.charCodeAt(end - 1))) end--;
  while (end > 0 && mayFollow.has(text.charCodeAt(end - 1))) end--;
  const stands = end > 1 && text.charAt(end - 1) === '.' && text.charAt(end - 2) !== '.';
  return stands && !/ (?:"|'')/.test(text.slice(end)) ? end - 1 : -1;
}

/** What may stand between the full stop of a sentence and its end. */
const mayFollow = new Set(Array.from('])}>"\'\u00bb\u201d\u2019 ', (one) => one.charCodeAt(0)));

/**
 * The words of sentences, each of which ends with white space. The rules look no further than a space, and most of
 * what stands between spaces they cannot change, or only by putting single characters apart: that is done in one pass.
 * The few pieces that need the rules go through them together.
 */
function wordsOf(text: string): readonly string[] {
  if (text.includes(border)) return atBlanks(byRules(text));
  const words: string[] = [];
  let odd = '';
  for (let from = 0; from < text.length;) {
    if (isBlank(text.charCodeAt(from))) {
      from++;
      continue;
    }
    const before = words.length;
    const end = endOfPlain(text, from, words);
    if (end >= 0) {
      from = end;
      continue;
    }
    words.length = before;
    words.push(border);
    const to = endOfPiece(text, from);
    // With the white space around it, since for some rules a space is no other white space.
    odd += `${from === 0 ? '\x1c' : text.charAt(from - 1)}${text.slice(from, to + 1)}${border}`;
    from = to;
  }
  if (odd === '') return words;
  const pieces = byRules(odd).split(border);
  let piece = 0;
  const all: string[] = [];
  for (const one of words) {
    if (one === border) takeAtBlanks(pieces[piece++] ?? '', all);
    else all.push(one);
  }
  return all;
}

/** Stands after a piece that goes through the rules; no text has this noncharacter. */
const border = '\ufdd2';

function endOfPiece(text: string, from: number): number {
  let end = from;
  while (end < text.length && !isBlank(text.charCodeAt(end))) end++;
  return end;
}

/** What a character is to the rules, for the pass without them. */
const kinds = {
  ...{ blank: 1, letter: 2, inert: 3, alone: 4, comma: 5, dot: 6, dash: 7, backtick: 8 },
  ...{ quote: 9, apostrophe: 10, otherDigit: 11 },
};
const kindsKnown = new Uint8Array(0x1_00_00);

const kindAt = (text: string, index: number): number => {
  if (index >= text.length) return kinds.blank;
  const code = text.charCodeAt(index);
  const known = kindsKnown[code] ?? 0;
  return known > 0 ? known : (kindsKnown[code] = kindOf(code));
};

function kindOf(code: number): number {
  const character = String.fromCharCode(code);
  if (isBlank(code)) return kinds.blank;
  if (/[;@#$%&?!*[\](){}<>\u2012-\u2015\u00ab\u00bb\u201c-\u201e\u2018\u2019]/.test(character))
    return kinds.alone;
  const own = ',:.-`"\''.indexOf(character);
  if (own >= 0) {
    const { comma, dot, dash, backtick, quote, apostrophe } = kinds;
    return [comma, comma, dot, dash, backtick, quote, apostrophe][own] as number;
  }
  if (code > 0x7f && /\p{Nd}/u.test(character)) return kinds.otherDigit;
  return isLetter(code) ? kinds.letter : kinds.inert;
}

/**
 * Takes the words of a piece, and hands back where the white space after it is; -1 if it takes the rules to know them:
 * apostrophes but for the commonest, and words that are two.
 */
function endOfPlain(text: string, from: number, words: string[]): number {
  let word = from;
  // Where the letters in a row begin.
  let letters = from;
  const takeUpTo = (end: number): void => {
    if (word < end) words.push(text.slice(word, end));
    word = end;
  };
  for (let index = from; ;) {
    const kind = kindAt(text, index);
    if (kind === kinds.letter) {
      index++;
      continue;
    }
    if (isContracted(text, letters, index)) return -1;
    let next = index + 1;
    switch (kind) {
      case kinds.blank:
        takeUpTo(index);
        return index;
      case kinds.alone:
        takeUpTo(index);
        takeUpTo(next);
        break;
      case kinds.comma: {
        while (kindAt(text, next) === kinds.comma) next++;
        const apart = commasApart(text, index, next);
        if (apart < 0) return -1;
        if (apart > 0) takeUpTo(index);
        for (let comma = index; comma < index + apart; comma++) takeUpTo(comma + 1);
        break;
      }
      case kinds.dot:
      case kinds.backtick:
        while (kindAt(text, next) === kind) next++;
        if (kind === kinds.backtick || next > index + 1) {
          takeUpTo(index);
          takeUpTo(next);
        }
        break;
      case kinds.dash:
        if (kindAt(text, next) !== kinds.dash) break;
        next++;
        takeUpTo(index);
        takeUpTo(next);
        break;
      case kinds.quote:
        takeUpTo(index);
        words.push(index > 0 && opensBefore.includes(text.charAt(index - 1)) ? '``' : "''");
        word = next;
        break;
      case kinds.apostrophe: {
        if (index === letters) return -1;
        while (kindAt(text, next) === kinds.letter) next++;
        const second = secondPart(text, letters, index, next);
        if (second < 0) return -1;
        if (second > word && second < next) takeUpTo(second);
        break;
      }
    }
    index = next;
    letters = next;
  }
}

/**
 * How many of some commas or colons in a row stand apart, -1 if it takes the rules to know: they look at two characters
 * at a time, and those before a digit are part of the number.
 */
function commasApart(text: string, from: number, to: number): number {
  const count = to - from;
  const code = text.charCodeAt(to);
  if (kindAt(text, to) === kinds.otherDigit || (code & 0xf800) === 0xd800) return -1;
  if (count % 2 === 0) return count - 1;
  const isDigit = code >= 0x30 && code <= 0x39;
  return isDigit ? Math.max(0, count - 2) : count;
}

/** What a quotation mark stands after if it opens a quotation. Other marks have been put apart by then. */
const opensBefore = ' ([{<`\u00ab\u201c\u2018\u201e';

/**
 * Where the second part of letters with an apostrophe within begins, which is their end if they are one word; -1 if it
 * takes the rules to know.
 */
function secondPart(text: string, from: number, apostrophe: number, to: number): number {
  const after = kindAt(text, to);
  const code = text.charCodeAt(to);
  const ends = after === kinds.blank ? code === 0x20 || code === 0x0a : after === kinds.alone;
  if (!ends || !isWordCharacter(text.charCodeAt(apostrophe - 1))) return -1;
  const ending = text.slice(apostrophe + 1, to);
  if (endings.has(ending)) return apostrophe;
  // `d'ye` and `more'n` are two words.
  if (/^(?:|n|y.*)$/i.test(ending) || isContracted(ending, 0, ending.length)) return -1;
  const negation = text.slice(apostrophe - 1, to);
  if (negation !== "n't" && negation !== "N'T") return to;
  const isPlain = apostrophe - 1 > from && !isContracted(text, from, apostrophe - 1);
  return isPlain ? apostrophe - 1 : -1;
}

const endings = new Set(['s', 'S', 'm', 'M', 'd', 'D', 'll', 'LL', 're', 'RE', 've', 'VE']);

const contracted = new Set(['cannot', 'gimme', 'gonna', 'gotta', 'lemme', 'wanna']);

const isContracted = (text: string, from: number, to: number): boolean =>
  (to - from === 5 || to - from === 6) && contracted.has(text.slice(from, to).toLowerCase());

/** Spaces go around whatever stands apart, and then the spaces are the borders of words. */
const byRules = (text: string): string =>
  [openingQuotes, punctuation, closingQuotes, contractions].reduce(apart, text);

/** `needs` is part of whatever the pattern finds; without it, nobody has to look. */
type Rule = readonly [pattern: RegExp, replacement: string, needs?: string];

const apart = (text: string, rules: readonly Rule[]): string =>
  rules.reduce(
    (spaced, [pattern, replacement, needs = '']) =>
      spaced.includes(needs) ? spaced.replace(pattern, replacement) : spaced,
    text,
  );

const word = '[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}]';

const openingQuotes: readonly Rule[] = [
  [/[\u00ab\u201c\u2018\u201e]|`+/g, ' $& '],
  [/([ ([{<])(?:"|'')/g, '$1 `` '],
  // An apostrophe before a word opens a quotation, unless it begins one of these endings.
  [new RegExp(`'(?=${word})(?<!${word}')(?!(?:re|ve|ll|m|t|s|d|n)(?!${word}))`, 'giu'), "' ", "'"],
];

const punctuation: readonly Rule[] = [
  // In 10:30 and 1,000 they are part of the number.
  [/([:,])(\P{Nd})/gu, ' $1 $2'],
  [/\.{2,}|[;@#$%&?!*[\](){}<>\u2012-\u2015]|--/g, ' $& '],
  [/([^'])' /g, "$1 ' ", "' "],
];

const closingQuotes: readonly Rule[] = [
  [/''|[\u00bb\u201d\u2019]/g, ' $& '],
  [/"/g, " '' ", '"'],
  // All white space of Unicode, but not of Python.
  [/[\t-\r\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/g, ' '],
  [/([^' ])('[sSmMdD]|') /g, '$1 $2 ', "'"],
  [/([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) /g, '$1 $2 ', "'"],
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
  [new RegExp(` ('t)(is|was)(?!${letter})`, 'giu'), ' $1 $2 ', " 't"],
];

/** What stands between white space, as Python's `split` cuts it. */
export function atBlanks(text: string): readonly string[] {
  const words: string[] = [];
  takeAtBlanks(text, words);
  return words;
}

function takeAtBlanks(text: string, words: string[]): void {
  let start = 0;
  for (let index = 0; index <= text.length; index++) {
    if (index < text.length && !isBlank(text.charCodeAt(index))) continue;
    if (index > start) words.push(text.slice(start, index));
    start = index + 1;
  }
}
