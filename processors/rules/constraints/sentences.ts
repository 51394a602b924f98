import {
  abbreviations,
  collocations,
  lowerAndUpperWithin,
  lowerAtStart,
  lowerOnlyWithin,
  sentenceStarters,
} from './punkt.ts';
import { classOf, endOf, isLower, isUpper } from './text.ts';

/**
 * Sentences as NLTK 3.10.4 cuts them: Punkt (Kiss and Strunk, Unsupervised Multilingual Sentence Boundary Detection,
 * 2006) with the English model of NLTK's data. A mark is a `.`, `?` or `!` that something follows; whether it ends a
 * sentence is decided by the word that it stands in and the word after it, and by nothing else.
 */
export const sentencesIn = (text: string): readonly string[] => {
  const borders = withClosers(text, cutsIn(text));
  const sentences: string[] = [];
  for (let index = 0; index < borders.length; index += 2) {
    sentences.push(text.slice(borders[index], borders[index + 1]));
  }
  return sentences;
};

export const countSentences = (text: string): number => withClosers(text, cutsIn(text)).length / 2;

/** White space and letters are Unicode's here, since NLTK compiles with the package regex; not Python's own. */
export const isSpace = classOf(/\p{White_Space}/u);
const isDigit = classOf(/\p{Nd}/u);
export const isWordCharacter = classOf(/[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u);

/** A set of characters, all of them of one code unit. */
function setOf(characters: string): (code: number) => boolean {
  const members = new Uint8Array(0x1_00_00);
  for (let index = 0; index < characters.length; index++) members[characters.charCodeAt(index)] = 1;
  return (code) => members[code] === 1;
}

/** What a word cannot hold, and what may follow a mark without a space between. */
const isOutsideWords = setOf(')";}]*:@\'({[\u2018\u2019\u201c\u201d\u00ab\u00bb?!');
const isNoStart = setOf('("`{[:;&#*@)}]-,');
const isCloser = setOf('"\')]}\u2018\u2019\u201c\u201d\u00ab\u00bb');
const isEndMark = setOf('.?!');
const isAsciiSpace = setOf(' \t\n\r\v\f');
const mayBeNumber = setOf('0123456789-.,');
const [dot, dash, comma, lineEnd] = [0x2e, 0x2d, 0x2c, 0x0a];

/** 0 after the end, which is in no set; NaN would be in none either, and slow to look up. */
const at = (text: string, index: number): number =>
  index < text.length ? text.charCodeAt(index) : 0;
const spaceAt = (text: string, index: number): boolean => isSpace(at(text, index));

/**
 * Where the sentences begin and end, by turns, before closers are put where they belong. Of several marks in one word
 * only the last is asked, as `!!!` ends a sentence once. (A long text has many of these numbers, so they stand in a row.)
 */
function cutsIn(text: string): readonly number[] {
  const cuts: number[] = [];
  let from = 0;
  // The last mark that may end a sentence: where it is, where its word begins, where the next sentence would begin.
  let mark = 0;
  let word = 0;
  let next = -1;
  for (let index = 0; index <= text.length; index++) {
    const over = index === text.length;
    if (!over && !isEndMark(at(text, index))) continue;
    const following = over ? -1 : nextAfter(text, index);
    if (!over && following < 0) continue;
    const start = over ? index : wordBefore(text, index, mark, word);
    if (next >= 0 && mark <= start && holdsEnd(text.slice(word, endOfContext(text, mark, next)))) {
      cuts.push(from, mark + 1);
      from = next;
    }
    mark = index;
    word = start;
    next = following;
  }
  cuts.push(from, endOf(text));
  return cuts;
}

/** Where the next sentence would begin; -1 if nothing follows the mark, or more of the same word does. */
function nextAfter(text: string, mark: number): number {
  if (isOutsideWords(at(text, mark + 1))) return mark + 1;
  let next = mark + 1;
  while (spaceAt(text, next)) next++;
  return next > mark + 1 && next < text.length ? next : -1;
}

/** Where the word of a mark begins, no further back than the mark before; else where the word of that one begins. */
function wordBefore(text: string, mark: number, before: number, wordOfThat: number): number {
  let start = mark;
  while (start > before && !isAsciiSpace(at(text, start - 1))) start--;
  // A space right where the search began does not count: NLTK cannot tell it from none.
  return start > before + 1 ? start : wordOfThat;
}

/** A context ends with what follows the mark: one character that is no part of a word, or the whole next word. */
function endOfContext(text: string, mark: number, next: number): number {
  if (next === mark + 1) return next + 1;
  let end = next;
  while (end < text.length && !spaceAt(text, end)) end++;
  return end;
}

/** Quotation marks and brackets after an end belong to the sentence that they close. */
function withClosers(text: string, cuts: readonly number[]): readonly number[] {
  const borders: number[] = [];
  let moved = 0;
  for (let index = 0; index < cuts.length; index += 2) {
    const start = (cuts[index] as number) + moved;
    const end = cuts[index + 1] as number;
    const next = cuts[index + 2];
    const closed =
      next !== undefined && isCloser(at(text, next))
        ? closersAt(text, next, cuts[index + 3] as number)
        : null;
    moved = closed === null ? 0 : closed.length;
    if (closed !== null) borders.push(start, (next as number) + endOf(closed));
    else if (start < end) borders.push(start, end);
  }
  return borders;
}

/** The closers that a piece of text begins with, and the space after them; null unless they stand apart. */
function closersAt(text: string, from: number, to: number): string | null {
  let end = from;
  while (end < to && isCloser(at(text, end))) end++;
  if (end === from) return null;
  const afterClosers = end;
  while (end < to && spaceAt(text, end)) end++;
  const apart = end > afterClosers || end >= to || (end + 1 < to && text.startsWith('--', end));
  return apart ? text.slice(from, end) : null;
}

/**
 * Whether a sentence ends before the last token of a context. Full stops stay with their words there: whether one ends
 * a sentence is the question.
 */
function holdsEnd(context: string): boolean {
  // The token before, if it may end a sentence.
  let token: string | null = null;
  for (let position = 0; position < context.length;) {
    if (spaceAt(context, position)) {
      position++;
      continue;
    }
    const end = endOfRun(context, position) ?? endOfWord(context, position);
    const isLast = isEndMark(at(context, end - 1));
    const begin = position;
    position = end;
    if (token === null && !isLast) continue;
    const next = context.slice(begin, end);
    if (token !== null && endsSentence(token, next)) return true;
    token = isLast ? next : null;
  }
  return false;
}

/** Dashes or full stops in a row, or three and more full stops with spaces between; null if there is none here. */
function endOfRun(line: string, from: number): number | null {
  const first = at(line, from);
  if (first !== dot && first !== dash) return null;
  let end = from + 1;
  while (at(line, end) === first) end++;
  if (end > from + 1) return end;
  if (!spacedDotsAt(line, from)) return null;
  while (isSpaceInLine(at(line, end)) && at(line, end + 1) === dot) end += 2;
  return end;
}

const spacedDotsAt = (line: string, from: number): boolean =>
  at(line, from) === dot &&
  isSpaceInLine(at(line, from + 1)) &&
  at(line, from + 2) === dot &&
  isSpaceInLine(at(line, from + 3)) &&
  at(line, from + 4) === dot;

const isEndOfPart = (code: number): boolean => isSpace(code) || isOutsideWords(code);

const isSpaceInLine = (code: number): boolean => code !== lineEnd && isSpace(code);

function runAt(line: string, from: number): boolean {
  const first = at(line, from);
  if (first !== dot && first !== dash) return false;
  return at(line, from + 1) === first || spacedDotsAt(line, from);
}

function endOfWord(line: string, from: number): number {
  let end = from + ((line.codePointAt(from) as number) > 0xffff ? 2 : 1);
  if (isNoStart(at(line, from))) return end;
  while (!wordEndsAt(line, end)) end++;
  return end;
}

const wordEndsAt = (line: string, index: number): boolean =>
  partEndsAt(line, index) || (at(line, index) === comma && partEndsAt(line, index + 1));

const partEndsAt = (line: string, index: number): boolean =>
  index >= line.length || isEndOfPart(at(line, index)) || runAt(line, index);

type Kind = 'end' | 'ellipsis' | 'abbreviation' | 'word';

/** What is known of a token that may end a sentence. */
interface Last {
  readonly kind: Kind;
  /** Its type, without the full stop after it. */
  readonly type: string;
  readonly initial: boolean;
  /** Whether it ends a sentence whatever comes after it. */
  readonly alone: boolean;
}

/** What is known of a token that may begin one. */
interface First {
  readonly type: string;
  readonly capital: boolean;
  readonly starts: ReturnType<typeof startsSentence>;
  readonly starter: boolean;
  readonly seenInLower: boolean;
}

/**
 * What a reader of tokens said, for those that come again and again. Of the others no more is kept than this many, and
 * nothing that is long, since it is part of a text and would keep all of it.
 */
function remembering<Read>(read: (token: string) => Read): (token: string) => Read {
  const [most, longest] = [5_000, 12];
  const known = new Map<string, Read>();
  return (token) => {
    if (token.length > longest) return read(token);
    const before = known.get(token);
    if (before !== undefined) return before;
    const now = read(token);
    if (known.size >= most) known.clear();
    known.set(token, now);
    return now;
  };
}

const asLast = remembering((token): Last => {
  const kind = kindOf(token);
  const type = withoutStop(typeOf(token));
  const initial = isInitial(token);
  const alone = kind === 'end' && !initial && type !== '##number##' && !collocationStarts.has(type);
  return { kind, type, initial, alone };
});

const asFirst = remembering((token): First => {
  const type = kindOf(token) === 'end' ? withoutStop(typeOf(token)) : typeOf(token);
  return {
    type,
    capital: isUpper(firstOf(token)),
    starts: startsSentence(token, type),
    starter: sentenceStarters.has(type),
    seenInLower: lowerOnlyWithin.has(type) || lowerAndUpperWithin.has(type),
  };
});

/** What a token is on its own. */
function kindOf(token: string): Kind {
  if (token.length === 1 && isEndMark(at(token, 0))) return 'end';
  if (token.startsWith('..') && /^\.+$/.test(token)) return 'ellipsis';
  if (!token.endsWith('.') || token.endsWith('..')) return 'word';
  const name = token.slice(0, -1).toLowerCase();
  // The model has learned `. . .` as a word, too.
  if (name === '. . ') return 'abbreviation';
  const last = name.slice(name.lastIndexOf('-') + 1);
  return abbreviations.has(name) || abbreviations.has(last) ? 'abbreviation' : 'end';
}

/** What a token is with the next in sight: the three heuristics of Kiss and Strunk, section 4. */
function endsSentence(token: string, next: string): boolean {
  if (!token.endsWith('.')) return token.length === 1;
  const { kind, type, initial, alone } = asLast(token);
  // Most words are like that, and what comes after them is not asked.
  if (alone) return true;
  const first = asFirst(next);
  if (collocationStarts.has(type) && collocations.has(`${type} ${first.type}`)) return false;
  const { starts, capital } = first;
  if ((kind === 'abbreviation' || kind === 'ellipsis') && !initial) {
    if (starts === 'yes' || (capital && first.starter)) return true;
  }
  if (initial || type === '##number##') {
    if (starts === 'no') return false;
    if (starts === 'unknown' && initial && capital && !first.seenInLower) return false;
  }
  return kind === 'end';
}

const collocationStarts = new Set([...collocations].map((pair) => pair.split(' ', 1)[0]));

/** The orthographic heuristic: how the word was written where the model learned, at the start of sentences and within. */
function startsSentence(token: string, type: string): 'yes' | 'no' | 'unknown' {
  if (';:,.!?'.includes(token)) return 'no';
  const first = firstOf(token);
  if (isUpper(first) && lowerOnlyWithin.has(type)) return 'yes';
  if (isLower(first) && !lowerAtStart.has(type)) return 'no';
  return 'unknown';
}

const firstOf = (token: string): string => String.fromCodePoint(token.codePointAt(0) as number);

/** A word without its case; all numbers are one. */
const typeOf = (token: string): string => (isNumber(token) ? '##number##' : token.toLowerCase());

/** Most tokens show by their first character that they are none. */
function isNumber(token: string): boolean {
  const first = at(token, 0);
  if (first < 0x80 && (!mayBeNumber(first) || token === '.')) return false;
  return /^-?[.,]?\p{Nd}[\p{Nd},.-]*$/u.test(token);
}

const withoutStop = (type: string): string =>
  type.length > 1 && type.endsWith('.') ? type.slice(0, -1) : type;

/** A letter and a full stop. */
function isInitial(token: string): boolean {
  if (token.length > 3) return false;
  const code = token.codePointAt(0) as number;
  const letter = isWordCharacter(code) && !isDigit(code);
  return letter && token.length === (code > 0xffff ? 3 : 2) && token.endsWith('.');
}
