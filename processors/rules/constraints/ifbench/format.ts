import { family } from '../constraint.ts';
import { blanks, counted, countOf, isBlankText, isLower, isUpper, quoted, strip } from '../text.ts';
import { atBlanks, wordsIn } from '../words.ts';
import { bare, exactText, firstOf, sentencesOf, trim } from './text.ts';

/** `format:parentheses`: five brackets within each other, one of which is closed; a wrong one begins anew. */
export const parentheses = family(
  {},
  {
    describe: () => 'Nest parentheses, brackets or braces 5 levels deep.',
    check: (response) => {
      let open: string[] = [];
      let depth = 0;
      let deepest = 0;
      for (const [character] of response.matchAll(/[()[\]{}]/g)) {
        if ('([{'.includes(character)) {
          open.push(character);
          depth = Math.max(depth, open.length);
          deepest = Math.max(deepest, depth);
        } else if (pairs.has((open.at(-1) ?? '') + character)) {
          open.pop();
          if (depth >= 5) return { satisfied: true, detail: `${depth} levels` };
        } else {
          open = [];
          depth = 0;
        }
      }
      return {
        satisfied: false,
        detail: `${counted(deepest, 'level')}; 5 wanted, closed in order`,
      };
    },
  },
);

const pairs = new Set(['()', '[]', '{}']);

/** `format:quotes`: quotation marks within each other, three levels deep; an apostrophe is one, too. */
export const quotes = family(
  {},
  {
    describe: () =>
      'Put quotes in quotes in quotes, with double and single quotation marks by turns.',
    check: (response) => {
      const open: string[] = [];
      let deepest = 0;
      for (const [mark] of response.matchAll(/["']/g)) {
        if (mark === open.at(-1)) {
          open.pop();
          if (deepest - open.length >= 3) return { satisfied: true, detail: '3 levels' };
        } else {
          open.push(mark);
          deepest = Math.max(deepest, open.length);
        }
      }
      return {
        satisfied: false,
        detail: `${counted(deepest, 'level')} of quotes, not 3 that are closed`,
      };
    },
  },
);

/** `format:options`: one of the options and nothing else; only letters as `a), b), c)` have to be exact. */
export const options = family<{ options: string }>(
  { options: exactText },
  {
    describe: ({ options }) => `Answer with one of these and nothing else: ${options}.`,
    check: (response, { options: text }) => {
      const separator = ['/', 'or'].find((one) => text.includes(one)) ?? ',';
      const given = text.split(separator).map(strip);
      const plain = (one: string) => trim(one).toLowerCase();
      const satisfied = areLetters.test(text)
        ? given.includes(response)
        : given.some((option) => plain(option) === plain(response));
      return {
        satisfied,
        detail: `${quoted(response)}; one of ${given.map(quoted).join(', ')} wanted`,
      };
    },
  },
);

const areLetters = /^[^\p{L}\p{N}_]*[aA][^\p{L}\p{N}_]*[bB][^\p{L}\p{N}_]*[cC]/u;

/** `format:newline`: as many lines as words; punctuation and empty lines do not count. */
export const newline = family(
  {},
  {
    describe: () => 'Write each word on a line of its own.',
    check: (response) => {
      const text = strip(bare(response));
      const lines = text.split('\n').filter((line) => line !== '').length;
      const words = atBlanks(text).length;
      return {
        satisfied: lines === words,
        detail: `${counted(words, 'word')} on ${counted(lines, 'line')}`,
      };
    },
  },
);

/** One code point that is an emoji; digits and letters of flags are none by themselves. */
const isEmoji = (character: string): boolean =>
  /^(?![0-9#*\u{1f1e6}-\u{1f1ff}])\p{Emoji}$/u.test(character);

/** `format:emoji`: each sentence ends with an emoji, or the next begins with it. */
export const emoji = family(
  {},
  {
    describe: () => 'End each sentence with an emoji.',
    check: (response) => {
      const sentences = sentencesOf(response).map((sentence) => strip(bare(sentence)));
      const wrong = sentences.findIndex((sentence, index) => {
        if (sentence === '') return true;
        // The last but one, since a modifier may follow it.
        if (lastTwo(sentence).some(isEmoji)) return false;
        return !isEmoji(firstOf(sentences[index + 1] ?? ''));
      });
      return {
        satisfied: wrong < 0,
        detail: wrong < 0 ? 'an emoji after each sentence' : `no emoji after sentence ${wrong + 1}`,
      };
    },
  },
);

const lastTwo = (text: string): readonly string[] => Array.from(text.slice(-4)).slice(-2);

/** `format:line_indent`: each line is indented further than the one before. */
export const lineIndent = family(
  {},
  {
    describe: () => 'Indent each line further than the one before.',
    check: (response) => {
      const indents = linesLeft(response).map(
        (line) => line.length - line.replace(/^ +/, '').length,
      );
      const wrong = indents.findIndex(
        (indent, index) => index > 0 && indent <= (indents[index - 1] ?? 0),
      );
      return {
        satisfied: wrong < 0,
        detail:
          wrong < 0 ? 'each line is indented further' : `line ${wrong + 1} is not indented further`,
      };
    },
  },
);

/**
 * The lines that the benchmark looks at: it takes blank lines out of the list that it goes through, so that of two in
 * a row it sees one, and takes out the first that is equal.
 */
function linesLeft(text: string): readonly string[] {
  const lines = text.split('\n');
  const removed = new Map<string, number>();
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index] ?? '';
    if (!isBlankText(line)) continue;
    removed.set(line, (removed.get(line) ?? 0) + 1);
    index++;
  }
  return lines.filter((line) => {
    const left = removed.get(line) ?? 0;
    if (left > 0) removed.set(line, left - 1);
    return left === 0;
  });
}

/** `format:quote_unquote`: words stand between two quotations, and after the last one. */
export const quoteUnquote = family(
  {},
  {
    describe: () => 'Follow each quotation with words outside of quotation marks.',
    check: (response) => {
      const text = atBlanks(response.replaceAll(/[\u201c\u201d]/g, '"').replaceAll(`'"'`, '')).join(
        '',
      );
      if (text.includes('""')) {
        return { satisfied: false, detail: 'a quotation directly after another' };
      }
      const end = lastThatCounts(text);
      return {
        satisfied: end !== '"' && end !== '',
        detail: end === '"' ? 'ends with a quotation' : 'each quotation is followed by words',
      };
    },
  },
);

/** The last character that is neither a digit nor punctuation, except for a quotation mark. */
function lastThatCounts(text: string): string {
  let end = text.length;
  while (end > 0 && /[!#-@[-`{-~]/.test(text.charAt(end - 1))) end--;
  return text.charAt(end - 1);
}

/** `format:list`: the mark is there twice at least. */
export const list = family<{ sep: string }>(
  { sep: exactText },
  {
    describe: ({ sep }) => `Answer with a list whose items begin with ${quoted(sep)}.`,
    check: (response, { sep }) => {
      const marks = countOf(response, sep);
      return {
        satisfied: marks >= 2,
        detail: `${quoted(sep)} ${counted(marks, 'time')}; at least 2 wanted`,
      };
    },
  },
);

/** `format:thesis`: something in HTML's italics, and something after it. */
export const thesis = family(
  {},
  {
    describe: () => 'Begin each section with a thesis in italics of HTML.',
    check: (response) => {
      const wrong = (detail: string) => ({ satisfied: false, detail });
      const start = firstPlace(response, '<i>', '<em>');
      if (start < 0) return wrong('nothing in <i> or <em>');
      const text = response.slice(start);
      const end = firstPlace(text, '</i>', '</em>');
      if (end < 0) return wrong('the italics do not end');
      if (isBlankText(text.slice(3, end))) return wrong('the italics are empty');
      if (isBlankText(text.slice(end + 4))) return wrong('nothing follows the italics');
      return { satisfied: true, detail: 'italics, and text after them' };
    },
  },
);

/** Where the first of two texts is, or else the second. */
function firstPlace(text: string, one: string, other: string): number {
  const place = text.indexOf(one);
  return place < 0 ? text.indexOf(other) : place;
}

/** `format:sub-bullets`: a dash follows each asterisk before the next. */
export const subBullets = family(
  {},
  {
    describe: () => 'Write bullet points with *, each with a sub-bullet with -.',
    check: (response) => {
      const bullets = response.split('*').slice(1);
      const wrong = bullets.filter((bullet) => !bullet.includes('-')).length;
      return {
        satisfied: wrong === 0,
        detail: `${wrong} of ${counted(bullets.length, 'bullet point')} without a dash`,
      };
    },
  },
);

/** `format:no_bullets_bullets`: two sentences at least, then two bullet points at least, and nothing after them. */
export const noBulletsBullets = family(
  {},
  {
    describe: () =>
      'Write at least two sentences, then at least two bullet points with *, and no more.',
    check: (response) => {
      let [sentences, bullets] = [0, 0];
      let isProse = true;
      for (const line of response.split('\n').map(strip)) {
        if (line.startsWith('*')) {
          isProse = false;
          if (sentences < 2)
            return {
              satisfied: false,
              detail: `${counted(sentences, 'sentence')} before the bullet points; 2 wanted`,
            };
          bullets++;
        } else if (isProse) {
          // Two are enough, and to count them all would take its time.
          if (sentences < 2) sentences += sentencesOf(line).length;
          // Nothing but bullet points may follow an empty line.
          isProse = line !== '';
        } else
          return {
            satisfied: false,
            detail: 'a line that is no bullet point where only those may be',
          };
      }
      return {
        satisfied: bullets >= 2,
        detail: `${counted(bullets, 'bullet point')}; at least 2 wanted`,
      };
    },
  },
);

/** `format:title_case`: no word begins with a small letter, unless it is one letter or has both cases after it. */
export const titleCase = family(
  {},
  {
    describe: () => 'Begin each word with a capital letter.',
    check: (response) => {
      const wrong = firstSmall(response);
      return {
        satisfied: wrong === undefined,
        detail:
          wrong === undefined ? 'in title case' : `${quoted(wrong)} begins with a small letter`,
      };
    },
  },
);

function firstSmall(text: string): string | undefined {
  for (const words of wordsIn(text)) {
    const wrong = words.find((one) => {
      // Most have a capital or are a mark, and no small letter comes before this one.
      if (one.charCodeAt(0) < 0x61) return false;
      const first = firstOf(one);
      const rest = one.slice(first.length);
      return isLower(first) && (isLower(rest) || isUpper(rest));
    });
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

const labels = ['My Answer:', 'My Conclusion:', 'Future Outlook:'];

/** `format:output_template`: three labels are there, in any order. */
export const outputTemplate = family(
  {},
  {
    describe: () => `Use this template: ${labels.map((label) => `${label} \u2026`).join(' ')}`,
    check: (response) => {
      const missing = labels.filter((label) => !response.includes(label));
      return {
        satisfied: missing.length === 0,
        detail:
          missing.length === 0 ? 'has all labels' : `${missing.map(quoted).join(', ')} not found`,
      };
    },
  },
);

const blank = new RegExp(`[${blanks}]`);

/** `format:no_whitespace`: no white space, not even at the ends. */
export const noWhitespace = family(
  {},
  {
    describe: () => 'Use no white space.',
    check: (response) => {
      const satisfied = !blank.test(response);
      return { satisfied, detail: satisfied ? 'no white space' : 'has white space' };
    },
  },
);
