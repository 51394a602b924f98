import {
  abbreviations,
  collocations,
  lowerAndUpperWithin,
  lowerAtStart,
  lowerOnlyWithin,
  sentenceStarters,
} from './punkt.ts';
import { classOf, endOf, isBlankText, isLower, isUpper } from './text.ts';

/**
 * Sentences as NLTK 3.10.4 cuts them: Punkt (Kiss and Strunk, Unsupervised Multilingual Sentence Boundary Detection,
 * 2006) with the English model of NLTK's data. A mark is a `.`, `?` or `!` that something follows; whether it ends a
 * sentence is decided by the word that it stands in and the word after it, and by nothing else.
 */
export function sentencesIn(text: string): readonly string[] {
  const cuts: (readonly [from: number, to: number])[] = [];
  let from = 0;
  for (const mark of marksIn(text)) {
    const context = text.slice(mark.word, endOfContext(text, mark));
    if (!holdsEnd(tokensIn(context))) continue;
    cuts.push([from, mark.at + 1]);
    from = mark.next;
  }
  cuts.push([from, endOf(text)]);
  return withClosers(text, cuts);
}

/** White space and letters are Unicode's here, since NLTK compiles with the package regex; not Python's own. */
const isSpace = classOf(/\p{White_Space}/u);
export const isWordCharacter = classOf(/[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u);

const endMarks = new Set('.?!');
/** What a word cannot hold, and what may follow a mark without a space between. */
const outsideWords = new Set(')";}]*:@\'({[\u2018\u2019\u201c\u201d\u00ab\u00bb?!');
const notAtStart = new Set('("`{[:;&#*@)}]-,');
const closers = new Set('"\')]}\u2018\u2019\u201c\u201d\u00ab\u00bb');
const asciiSpace = new Set(' \t\n\r\v\f');

/** A mark that may end a sentence: where it is, where its word begins, and where the next sentence would begin. */
interface Mark {
  readonly at: number;
  readonly word: number;
  readonly next: number;
}

const at = (text: string, index: number): string => text.charAt(index);
const spaceAt = (text: string, index: number): boolean =>
  index < text.length && isSpace(text.charCodeAt(index));

/** The marks of a text; of several in one word only the last, as `!!!` ends a sentence once. */
function* marksIn(text: string): Generator<Mark> {
  let last: Mark | null = null;
  for (const { index } of text.matchAll(/[.?!]/g)) {
    const next = nextAfter(text, index);
    if (next === null) continue;
    const word = wordBefore(text, index, last);
    if (last !== null && last.at <= word) yield last;
    last = { at: index, word, next };
  }
  if (last !== null) yield last;
}

/** Where the next sentence would begin; null if nothing follows the mark, or more of the same word does. */
function nextAfter(text: string, mark: number): number | null {
  if (outsideWords.has(at(text, mark + 1))) return mark + 1;
  let next = mark + 1;
  while (spaceAt(text, next)) next++;
  return next > mark + 1 && next < text.length ? next : null;
}

function wordBefore(text: string, mark: number, last: Mark | null): number {
  const from = last?.at ?? 0;
  let start = mark;
  while (start > from && !asciiSpace.has(at(text, start - 1))) start--;
  // A space right where the search began does not count: NLTK cannot tell it from none.
  return start > from + 1 ? start : (last?.word ?? 0);
}

/** A context ends with what follows the mark: one character that is no part of a word, or the whole next word. */
function endOfContext(text: string, { at: mark, next }: Mark): number {
  let end = next;
  if (next === mark + 1) return next + 1;
  while (end < text.length && !spaceAt(text, end)) end++;
  return end;
}

/** Quotation marks and brackets after an end belong to the sentence that they close. */
function withClosers(
  text: string,
  cuts: readonly (readonly [from: number, to: number])[],
): readonly string[] {
  const sentences: string[] = [];
  let moved = 0;
  for (const [index, [from, to]] of cuts.entries()) {
    const start = from + moved;
    const next = cuts[index + 1];
    const closed = next === undefined ? null : closersAt(text, next[0], next[1]);
    moved = closed === null ? 0 : closed.length;
    if (closed !== null && next !== undefined) {
      sentences.push(text.slice(start, next[0] + endOf(closed)));
    } else if (start < to) {
      sentences.push(text.slice(start, to));
    }
  }
  return sentences;
}

/** The closers that a piece of text begins with, and the space after them; null unless they stand apart. */
function closersAt(text: string, from: number, to: number): string | null {
  let end = from;
  while (end < to && closers.has(at(text, end))) end++;
  if (end === from) return null;
  const afterClosers = end;
  while (end < to && spaceAt(text, end)) end++;
  const apart = end > afterClosers || end >= to || (end + 1 < to && text.startsWith('--', end));
  return apart ? text.slice(from, end) : null;
}

/** Words and punctuation, line by line. Full stops stay with their words: whether one ends a sentence is the question. */
function tokensIn(context: string): readonly string[] {
  return context.split('\n').flatMap((line) => (isBlankText(line) ? [] : tokensOfLine(line)));
}

function tokensOfLine(line: string): readonly string[] {
  const tokens: string[] = [];
  let position = 0;
  while (position < line.length) {
    if (spaceAt(line, position)) {
      position++;
      continue;
    }
    const end = endOfRun(line, position) ?? endOfWord(line, position);
    tokens.push(line.slice(position, end));
    position = end;
  }
  return tokens;
}

/** Dashes or full stops in a row, or three and more full stops with spaces between; null if there is none here. */
function endOfRun(line: string, from: number): number | null {
  const first = at(line, from);
  if (first !== '.' && first !== '-') return null;
  let end = from + 1;
  while (at(line, end) === first) end++;
  if (end > from + 1) return end;
  if (first === '-' || !spacedDotsAt(line, from)) return null;
  while (spaceAt(line, end) && at(line, end + 1) === '.') end += 2;
  return end;
}

const spacedDotsAt = (line: string, from: number): boolean =>
  at(line, from) === '.' &&
  spaceAt(line, from + 1) &&
  at(line, from + 2) === '.' &&
  spaceAt(line, from + 3) &&
  at(line, from + 4) === '.';

const runAt = (line: string, from: number): boolean =>
  line.startsWith('--', from) || line.startsWith('..', from) || spacedDotsAt(line, from);

function endOfWord(line: string, from: number): number {
  let end = from + ((line.codePointAt(from) as number) > 0xffff ? 2 : 1);
  if (notAtStart.has(at(line, from))) return end;
  while (!wordEndsAt(line, end)) end++;
  return end;
}

const wordEndsAt = (line: string, index: number): boolean =>
  partEndsAt(line, index) || (at(line, index) === ',' && partEndsAt(line, index + 1));

const partEndsAt = (line: string, index: number): boolean =>
  index >= line.length ||
  spaceAt(line, index) ||
  outsideWords.has(at(line, index)) ||
  runAt(line, index);

/** Whether a sentence ends before the last of the tokens. */
const holdsEnd = (tokens: readonly string[]): boolean =>
  tokens.some((token, index) => {
    const next = tokens[index + 1];
    return next !== undefined && endsSentence(token, next);
  });

type Kind = 'end' | 'ellipsis' | 'abbreviation' | 'word';

/** What a token is on its own. */
function kindOf(token: string): Kind {
  if (endMarks.has(token)) return 'end';
  if (/^\.{2,}$/.test(token)) return 'ellipsis';
  if (!token.endsWith('.') || token.endsWith('..')) return 'word';
  const name = token.slice(0, -1).toLowerCase();
  // The model has learned `. . .` as a word, too.
  if (name === '. . ') return 'abbreviation';
  const last = name.slice(name.lastIndexOf('-') + 1);
  return abbreviations.has(name) || abbreviations.has(last) ? 'abbreviation' : 'end';
}

/** What a token is with the next in sight: the three heuristics of Kiss and Strunk, section 4. */
function endsSentence(token: string, next: string): boolean {
  const kind = kindOf(token);
  if (!token.endsWith('.')) return kind === 'end';
  const type = withoutStop(typeOf(token));
  const nextType = kindOf(next) === 'end' ? withoutStop(typeOf(next)) : typeOf(next);
  if (collocations.has(`${type} ${nextType}`)) return false;
  const initial = isInitial(token);
  const capital = isUpper(firstOf(next));
  const starts = startsSentence(next, nextType);
  if ((kind === 'abbreviation' || kind === 'ellipsis') && !initial) {
    if (starts === 'yes' || (capital && sentenceStarters.has(nextType))) return true;
  }
  if (initial || type === '##number##') {
    if (starts === 'no') return false;
    if (starts === 'unknown' && initial && capital && !isSeenInLower(nextType)) return false;
  }
  return kind === 'end';
}

/** The orthographic heuristic: how the word was written where the model learned, at the start of sentences and within. */
function startsSentence(token: string, type: string): 'yes' | 'no' | 'unknown' {
  if (';:,.!?'.includes(token)) return 'no';
  const first = firstOf(token);
  if (isUpper(first) && lowerOnlyWithin.has(type)) return 'yes';
  if (isLower(first) && !lowerAtStart.has(type)) return 'no';
  return 'unknown';
}

const isSeenInLower = (type: string): boolean =>
  lowerOnlyWithin.has(type) || lowerAndUpperWithin.has(type);

const firstOf = (token: string): string => String.fromCodePoint(token.codePointAt(0) as number);

/** A word without its case; all numbers are one. */
const typeOf = (token: string): string =>
  /^-?[.,]?\p{Nd}[\p{Nd},.-]*$/u.test(token) ? '##number##' : token.toLowerCase();

const withoutStop = (type: string): string =>
  type.length > 1 && type.endsWith('.') ? type.slice(0, -1) : type;

/** A letter and a full stop. */
function isInitial(token: string): boolean {
  const code = token.codePointAt(0) as number;
  const letter = isWordCharacter(code) && !/\p{Nd}/u.test(String.fromCodePoint(code));
  return letter && token.length === (code > 0xffff ? 3 : 2) && token.endsWith('.');
}
