import { found, holds } from '../arguments.ts';
import { family } from '../constraint.ts';
import { counted, countOf, quoted } from '../text.ts';
import { atBlanks, countWords } from '../words.ts';
import { bare, ordinal, trim, wholeNumber, word } from './text.ts';

const atLeast = (count: number, one: string, wanted: number, many?: string) => ({
  satisfied: holds(count, 'at least', wanted),
  detail: found(count, one, 'at least', wanted, many),
});

/** `count:word_count_range`: words are runs of letters, marks, digits and underscores. */
export const wordCountRange = family<{ min_words: number; max_words: number }>(
  { min_words: wholeNumber, max_words: wholeNumber },
  {
    describe: ({ min_words: least, max_words: most }) =>
      `Write ${least} words at least and ${most} at most.`,
    check: (response, { min_words: least, max_words: most }) => {
      const words = countWords(response);
      return {
        satisfied: words >= least && words <= most,
        detail: `${counted(words, 'word')}; ${least} to ${most} wanted`,
      };
    },
  },
);

/** `count:unique_word_count`: different words, in any case; all that are punctuation alone count as one. */
export const uniqueWordCount = family<{ N: number }>(
  { N: wholeNumber },
  {
    describe: ({ N: wanted }) => `Use at least ${counted(wanted, 'different word')}.`,
    check: (response, { N: wanted }) =>
      atLeast(new Set(atBlanks(response.toLowerCase()).map(trim)).size, 'different word', wanted),
  },
);

const conjunctionWords = new Set(['and', 'but', 'for', 'nor', 'or', 'so', 'yet']);

/** `count:conjunctions`: different coordinating conjunctions; `And` and `and,` are different, as in the benchmark. */
export const conjunctions = family<{ small_n: number }>(
  { small_n: wholeNumber },
  {
    describe: ({ small_n: wanted }) =>
      `Use at least ${wanted} different coordinating conjunctions (${[...conjunctionWords].join(', ')}).`,
    check: (response, { small_n: wanted }) => {
      const used = atBlanks(response).filter((one) =>
        conjunctionWords.has(trim(one).toLowerCase()),
      );
      return atLeast(new Set(used).size, 'different conjunction', wanted);
    },
  },
);

/** The names that IFBench asks for. */
const names = (
  'Emma Liam Sophia Jackson Olivia Noah Ava Lucas Isabella Mason Mia Ethan Charlotte Alexander Amelia Benjamin Harper ' +
  'Leo Zoe Daniel Chloe Samuel Lily Matthew Grace Owen Abigail Gabriel Ella Jacob Scarlett Nathan Victoria Elijah ' +
  'Layla Nicholas Audrey David Hannah Christopher Penelope Thomas Nora Andrew Aria Joseph Claire Ryan Stella Jonathan'
).split(' ');

/** `count:person_names`: different names of a list of fifty, also within longer words. */
export const personNames = family<{ N: number }>(
  { N: wholeNumber },
  {
    describe: ({ N: wanted }) =>
      `Mention at least ${counted(wanted, 'different name')} of these: ${names.join(', ')}.`,
    check: (response, { N: wanted }) =>
      atLeast(
        names.filter((name) => response.includes(name)).length,
        'name of the list',
        wanted,
        'names of the list',
      ),
  },
);

/** `count:numbers`: runs of digits once punctuation is gone, so `1,000.5` is one. */
export const numbers = family<{ N: number }>(
  { N: wholeNumber },
  {
    describe: ({ N: wanted }) => `Use exactly ${counted(wanted, 'number')}.`,
    check: (response, { N: wanted }) => {
      const count = bare(response).match(/\p{Nd}+/gu)?.length ?? 0;
      return { satisfied: count === wanted, detail: found(count, 'number', 'exactly', wanted) };
    },
  },
);

/** `count:punctuation`: each usual mark, and an interrobang beside them. */
export const punctuation = family(
  {},
  {
    describe: () => 'Use each of . , ! ? ; : and an interrobang (?!, !? or \u203d).',
    check: (response) => {
      if (!/\?!|!\?|\u203d/.test(response)) return { satisfied: false, detail: 'no interrobang' };
      const without = response.replace(response.includes('?!') ? '?!' : '!?', '');
      const missing = ['.', ',', '!', '?', ';', ':'].filter((mark) => !without.includes(mark));
      return {
        satisfied: missing.length === 0,
        detail: missing.length === 0 ? 'has all marks' : `${missing.join(' ')} not found`,
      };
    },
  },
);

/** `count:words_japanese`: each n-th word has a Japanese character; numbers and punctuation may stand there. */
export const wordsJapanese = family<{ N: number }>(
  { N: ordinal },
  {
    describe: ({ N: every }) =>
      `Write each word whose place is a multiple of ${every} in Japanese.`,
    check: (response, { N: every }) => {
      const wrong = atBlanks(response)
        .filter((_word, index) => (index + 1) % every === 0)
        .map(trim)
        .find((one) => one !== '' && !isDigits(one) && !/[\u3040-\u30ff\u4e00-\u9fff]/.test(one));
      return {
        satisfied: wrong === undefined,
        detail: wrong === undefined ? 'all in Japanese' : `${quoted(wrong)} is not Japanese`,
      };
    },
  },
);

/** Python's `isdigit` knows digits that are raised or in circles, too. */
const isDigits = (text: string): boolean =>
  /^[\p{Nd}\u00b2\u00b3\u00b9\u2070\u2074-\u2079\u2080-\u2089\u2460-\u2468\u2474-\u247c\u2488-\u2490]+$/u.test(
    text,
  );

const pronounWords = new Set(
  (
    'i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself she her hers ' +
    'herself it its itself they them their theirs themselves'
  ).split(' '),
);

/** `count:pronouns`: personal, possessive and reflexive ones; `she/her` is two. */
export const pronouns = family<{ N: number }>(
  { N: wholeNumber },
  {
    describe: ({ N: wanted }) => `Use at least ${counted(wanted, 'pronoun')}.`,
    check: (response, { N: wanted }) => {
      const words = atBlanks(bare(response.replaceAll('/', ' ').toLowerCase()));
      return atLeast(words.filter((one) => pronounWords.has(one)).length, 'pronoun', wanted);
    },
  },
);

interface Keywords {
  readonly keyword1: string;
  readonly keyword2: string;
  readonly keyword3: string;
  readonly keyword4: string;
  readonly keyword5: string;
}

const timesOf = (args: Keywords): readonly (readonly [keyword: string, times: number])[] => [
  [args.keyword1, 1],
  [args.keyword2, 2],
  [args.keyword3, 3],
  [args.keyword4, 5],
  [args.keyword5, 7],
];

/** `count:keywords_multiple`: five keywords once, twice, three, five and seven times, also within longer words. */
export const keywordsMultiple = family<Keywords>(
  { keyword1: word, keyword2: word, keyword3: word, keyword4: word, keyword5: word },
  {
    describe: (args) =>
      timesOf(args)
        .map(([keyword, times]) => `Use ${quoted(keyword)} exactly ${counted(times, 'time')}.`)
        .join(' '),
    check: (response, args) => {
      const lower = response.toLowerCase();
      const counts = timesOf(args).map(([keyword, wanted]) => {
        const count = countOf(lower, keyword.toLowerCase());
        return {
          right: count === wanted,
          text: `${quoted(keyword)} ${found(count, 'time', 'exactly', wanted)}`,
        };
      });
      const wrong = counts.filter(({ right }) => !right);
      return {
        satisfied: wrong.length === 0,
        detail: (wrong.length === 0 ? counts : wrong).map(({ text }) => text).join(', '),
      };
    },
  },
);
