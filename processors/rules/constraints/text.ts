/**
 * Text as the benchmark sees it, which is as Python sees it. Python's white space is not JavaScript's: it has U+001C
 * to U+001F and U+0085, and it does not have the byte order mark.
 */

/** Python's white space, to stand in the brackets of a regular expression. */
export const blanks =
  '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';

/** Whether a character is of a class, by its code point. Remembers what it was asked: texts have few characters. */
export function classOf(pattern: RegExp): (code: number) => boolean {
  const known = new Uint8Array(0x11_00_00);
  return (code) => {
    const answer = known[code];
    if (answer !== 0) return answer === 1;
    const member = pattern.test(String.fromCodePoint(code));
    known[code] = member ? 1 : 2;
    return member;
  };
}

export const isBlank = classOf(new RegExp(`[${blanks}]`));

/** A letter, digit or underscore: what a border of words has on one side. */
export const isLetter = classOf(/[\p{L}\p{N}_]/u);

const isLowercase = classOf(/\p{Lowercase}/u);
const isUppercase = classOf(/\p{Uppercase}/u);
const isTitlecase = classOf(/\p{Lt}/u);

/** The text without the white space at both ends, as Python's `strip` cuts it. */
export function strip(text: string): string {
  let start = 0;
  while (start < text.length && isBlank(text.charCodeAt(start))) start++;
  return text.slice(start, endOf(text, start));
}

export const isBlankText = (text: string): boolean => strip(text) === '';

/** Where the text ends, without the white space there. */
export function endOf(text: string, from = 0): number {
  let end = text.length;
  while (end > from && isBlank(text.charCodeAt(end - 1))) end--;
  return end;
}

/** The text without one character at both ends, however often it stands there. */
export function stripOf(text: string, left: string, right = left): string {
  let start = 0;
  let end = text.length;
  while (start < end && text.charAt(start) === left) start++;
  while (end > start && text.charAt(end - 1) === right) end--;
  return text.slice(start, end);
}

/** How often a text holds another, one after the other. */
export function countOf(text: string, part: string): number {
  let found = 0;
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) found++;
  return found;
}

/** Whether a text has upper-case letters and none of the other case; a letter without case counts for neither. */
export const isUpper = (text: string): boolean => isOf(text, isUppercase, isLowercase);

/** Whether a text has lower-case letters and none of the other case. */
export const isLower = (text: string): boolean => isOf(text, isLowercase, isUppercase);

function isOf(
  text: string,
  wanted: (code: number) => boolean,
  unwanted: (code: number) => boolean,
): boolean {
  let found = false;
  for (let index = 0; index < text.length; index++) {
    const code = text.codePointAt(index) as number;
    if (code > 0xffff) index++;
    if (unwanted(code) || isTitlecase(code)) return false;
    found ||= wanted(code);
  }
  return found;
}

/** The first of the characters that are of the other case, for those who ask why a text is not all in one. */
export const firstLower = (text: string): string | null =>
  /\p{Lowercase}|\p{Lt}/u.exec(text)?.[0] ?? null;
export const firstUpper = (text: string): string | null =>
  /\p{Uppercase}|\p{Lt}/u.exec(text)?.[0] ?? null;

/** A text as a regular expression that finds it, and nothing else. */
export const literally = (text: string): string =>
  text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, (character) => `\\${character}`);

/**
 * Finds a text in any case, as Python's `re.IGNORECASE` does: JavaScript's, and all four i's of Turkish are one.
 * The text is text: a `.` in it is a full stop, while the benchmark takes it for a regular expression.
 */
export const inAnyCase = (text: string): RegExp =>
  new RegExp(literally(text).replaceAll(/[Ii\u0130\u0131]/g, '[Ii\u0130\u0131]'), 'giu');

/** `1 comma`, `3 commas`. */
export const counted = (count: number, one: string, many = `${one}s`): string =>
  `${count} ${count === 1 ? one : many}`;

/** Somebody's text between quotation marks, short enough for one line of a detail. */
export function quoted(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ');
  return `"${line.length > 60 ? `${line.slice(0, 59).replace(/[\ud800-\udbff]$/, '')}…` : line}"`;
}
