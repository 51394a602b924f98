import { family, type Verdict } from '../constraint.ts';
import { counted, quoted, strip } from '../text.ts';
import { atBlanks, secondFromBothEnds, wordAt } from '../words.ts';
import {
  bare,
  firstOf,
  lengthOf,
  ordinal,
  sentencesOf,
  trim,
  trimEnd,
  trimStart,
  wholeNumber,
  word,
} from './text.ts';

/** Satisfied unless something was found that should not be there. */
const unless = (wrong: string | null | undefined, right: string): Verdict => ({
  satisfied: wrong === null || wrong === undefined,
  detail: wrong ?? right,
});

const alphabetLetters = 'abcdefghijklmnopqrstuvwxyz';

/** `words:alphabet`: each word begins with the next letter, and with a after z. */
export const alphabet = family(
  {},
  {
    describe: () => 'Begin each word with the next letter of the alphabet; after z comes a.',
    check: (response) => {
      const [first, ...words] = atBlanks(bare(response));
      const start = alphabetLetters.indexOf(firstOf(first ?? '').toLowerCase() || ' ');
      if (start < 0) return { satisfied: false, detail: 'begins with no letter from a to z' };
      const wrong = words.findIndex(
        (one, index) => firstOf(one.toLowerCase()) !== alphabetLetters[(start + index + 1) % 26],
      );
      return unless(
        wrong < 0
          ? null
          : `${quoted(words[wrong] ?? '')} should begin with ${alphabetLetters.charAt((start + wrong + 1) % 26)}`,
        'goes through the alphabet',
      );
    },
  },
);

/** `words:vowel`: one line, with three of the five vowels at most. */
export const vowel = family(
  {},
  {
    describe: () => 'Write one paragraph with three different vowels at most.',
    check: (response) => {
      const text = strip(response);
      if (text.includes('\n')) return { satisfied: false, detail: 'more than one line' };
      const vowels = ['a', 'e', 'i', 'o', 'u'].filter((one) => text.toLowerCase().includes(one));
      return { satisfied: vowels.length <= 3, detail: `${vowels.join(' ')}; 3 vowels allowed` };
    },
  },
);

/** `words:consonants`: each word has two consonants in a row. */
export const consonants = family(
  {},
  {
    describe: () => 'Use only words with two consonants in a row.',
    check: (response) => {
      const wrong = atBlanks(response.toLowerCase()).find(
        (one) => !/[bcdfghjklmnpqrstvwxyz]{2}/.test(one),
      );
      return unless(
        wrong === undefined ? null : `${quoted(wrong)} has no two consonants in a row`,
        'each word has two consonants in a row',
      );
    },
  },
);

/** `words:palindrome`: ten words of five characters at least that read the same backwards. */
export const palindrome = family(
  {},
  {
    describe: () => 'Use at least 10 palindromes of 5 letters at least.',
    check: (response) => {
      const count = atBlanks(bare(response).toLowerCase()).filter(isPalindrome).length;
      return {
        satisfied: count >= 10,
        detail: `${counted(count, 'palindrome')}; at least 10 wanted`,
      };
    },
  },
);

function isPalindrome(text: string): boolean {
  const characters = Array.from(text);
  return characters.length >= 5 && characters.toReversed().join('') === text;
}

/** `words:prime_lengths`: the length of each word is a prime number below 100. */
export const primeLengths = family(
  {},
  {
    describe: () => 'Use only words whose length is a prime number.',
    check: (response) => {
      const wrong = atBlanks(bare(response)).find((one) => !primes.has(lengthOf(one)));
      return unless(
        wrong === undefined ? null : `${quoted(wrong)} has ${lengthOf(wrong)} characters`,
        'all lengths are prime',
      );
    },
  },
);

const primes = new Set([
  ...[2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47],
  ...[53, 59, 61, 67, 71, 73, 79, 83, 89, 97],
]);

/** `words:repeats`: no word more often than so, in any case and without punctuation. */
export const repeats = family<{ small_n: number }>(
  { small_n: wholeNumber },
  {
    describe: ({ small_n: most }) => `Use no word more than ${counted(most, 'time')}.`,
    check: (response, { small_n: most }) => {
      const counts = new Map<string, number>();
      for (const one of atBlanks(bare(response.toLowerCase()))) {
        counts.set(one, (counts.get(one) ?? 0) + 1);
      }
      const wrong = [...counts].find(([, count]) => count > most);
      return unless(
        wrong && `${quoted(wrong[0])} ${counted(wrong[1], 'time')}; ${most} allowed`,
        `no word more than ${counted(most, 'time')}`,
      );
    },
  },
);

/** `words:last_first`: a sentence begins with the last word of the one before, in any case. */
export const lastFirst = family(
  {},
  {
    describe: () => 'Begin each sentence with the last word of the one before.',
    check: (response) => {
      const sentences = sentencesOf(response);
      const firstWord = (sentence: string) => atBlanks(trimStart(sentence))[0]?.toLowerCase();
      const lastWord = (sentence: string) => atBlanks(trimEnd(sentence)).at(-1)?.toLowerCase();
      const wrong = sentences.findIndex((sentence, index) => {
        const next = sentences[index + 1];
        if (next === undefined) return false;
        const last = lastWord(sentence);
        return last === undefined || last !== firstWord(next);
      });
      return unless(
        wrong < 0
          ? null
          : `sentence ${wrong + 2} begins with ${quoted(firstWord(sentences[wrong + 1] ?? '') ?? '')}; ${quoted(lastWord(sentences[wrong] ?? '') ?? '')} wanted`,
        'each sentence takes up the one before',
      );
    },
  },
);

/** `words:paragraph_last_first`: each line ends with the word that it begins with, in any case. */
export const paragraphLastFirst = family(
  {},
  {
    describe: () => 'End each paragraph with the word that it begins with; paragraphs are lines.',
    check: (response) => {
      const wrong = response
        .split('\n')
        .map((line) => atBlanks(trim(strip(line).toLowerCase())))
        .find((words) => words[0] !== words.at(-1));
      return unless(
        wrong &&
          `begins with ${quoted(wrong[0] ?? '')} and ends with ${quoted(wrong.at(-1) ?? '')}`,
        'each paragraph ends as it begins',
      );
    },
  },
);

/** `words:no_consecutive`: no two words in a row begin with the same letter. */
export const noConsecutive = family(
  {},
  {
    describe: () => 'Begin no two words in a row with the same letter.',
    check: (response) => {
      const words = atBlanks(bare(response.toLowerCase()));
      const wrong = words.findIndex(
        (one, index) => index > 0 && firstOf(one) === firstOf(words[index - 1] ?? ''),
      );
      return unless(
        wrong < 0
          ? null
          : `${quoted(`${words[wrong - 1] ?? ''} ${words[wrong] ?? ''}`)} begin alike`,
        'no two words in a row begin alike',
      );
    },
  },
);

/** `words:keywords_specific_position`: a word of a sentence is the keyword, as Punkt and NLTK cut them; case counts. */
export const keywordsSpecificPosition = family<{ keyword: string; n: number; m: number }>(
  { keyword: word, n: ordinal, m: ordinal },
  {
    describe: ({ keyword, n: sentence, m: place }) =>
      `Let ${quoted(keyword)} be word ${place} of sentence ${sentence}.`,
    check: (response, { keyword, n: sentence, m: place }) => {
      const sentences = sentencesOf(response);
      const found = wordAt(sentences[sentence - 1] ?? '', place - 1);
      return {
        satisfied: found === keyword,
        detail:
          found === undefined
            ? `there is no word ${place} of sentence ${sentence}`
            : `word ${place} of sentence ${sentence} is ${quoted(found)}; ${quoted(keyword)} wanted`,
      };
    },
  },
);

/** `words:words_position`: the second word and the last but one are the keyword; punctuation counts as words. */
export const wordsPosition = family<{ keyword: string }>(
  { keyword: word },
  {
    describe: ({ keyword }) =>
      `Let ${quoted(keyword)} be the second word and the last but one; a punctuation mark is a word.`,
    check: (response, { keyword }) => {
      const [second, last] = secondFromBothEnds(response);
      return {
        satisfied: second === keyword && last === keyword,
        detail: `${quoted(second ?? '')} and ${quoted(last ?? '')}; ${quoted(keyword)} wanted`,
      };
    },
  },
);

/** `sentence:alliteration_increment`: each sentence has more words that begin alike in a row than the one before. */
export const alliterationIncrement = family(
  {},
  {
    describe: () => 'Let each sentence have more alliterative words in a row than the one before.',
    check: (response) => {
      const counts = sentencesOf(response).map(alliterationOf);
      const wrong = counts.findIndex(
        (count, index) => index > 0 && count <= (counts[index - 1] ?? 0),
      );
      return unless(
        wrong < 0
          ? null
          : `${counts[wrong - 1] ?? 0}, then ${counts[wrong] ?? 0} alliterative words`,
        'each sentence has more',
      );
    },
  },
);

/** Two for the first pair of words that begin alike, one for each that follows it directly. */
function alliterationOf(sentence: string): number {
  const words = atBlanks(sentence.toLowerCase())
    .map(trimStart)
    .filter((one) => one !== '');
  let count = 0;
  let before = false;
  for (const [index, one] of words.entries()) {
    const next = words[index + 1];
    if (next === undefined) break;
    const alike = firstOf(one) === firstOf(next);
    if (alike) count += before ? 1 : 2;
    before = alike;
  }
  return count;
}

/** `sentence:keyword`: a sentence holds the keyword, in any case. */
export const sentenceKeyword = family<{ word: string; N: number }>(
  { word, N: ordinal },
  {
    describe: ({ word: keyword, N: nth }) => `Use ${quoted(keyword)} in sentence ${nth}.`,
    check: (response, { word: keyword, N: nth }) => {
      const sentence = sentencesOf(response)[nth - 1];
      const satisfied = sentence?.toLowerCase().includes(keyword.toLowerCase()) ?? false;
      return {
        satisfied,
        detail:
          sentence === undefined
            ? `there is no sentence ${nth}`
            : `${quoted(keyword)} ${satisfied ? '' : 'not '}in sentence ${nth}`,
      };
    },
  },
);

/** `sentence:increment`: each sentence has exactly so many words more than the one before. */
export const sentenceIncrement = family<{ small_n: number }>(
  { small_n: wholeNumber },
  {
    describe: ({ small_n: more }) =>
      `Let each sentence have exactly ${counted(more, 'word')} more than the one before.`,
    check: (response, { small_n: more }) => {
      const counts = sentencesOf(response).map((sentence) => atBlanks(bare(sentence)).length);
      const wrong = counts.findIndex(
        (count, index) => index > 0 && count !== (counts[index - 1] ?? 0) + more,
      );
      return unless(
        wrong < 0
          ? null
          : `${counts[wrong - 1] ?? 0}, then ${counted(counts[wrong] ?? 0, 'word')}; ${more} more wanted`,
        `each sentence has ${counted(more, 'word')} more`,
      );
    },
  },
);

/** `repeat:repeat_change`: the request with another first word, and nothing else. */
export const repeatChange = family<{ prompt_to_repeat: string }>(
  { prompt_to_repeat: word },
  {
    describe: ({ prompt_to_repeat: prompt }) =>
      `Repeat this with another first word, and say nothing else: "${prompt}"`,
    check: (response, { prompt_to_repeat: prompt }) => {
      const rest = (text: string) => atBlanks(text).slice(1).join(' ');
      if (response === prompt) return { satisfied: false, detail: 'the first word is the same' };
      const satisfied = rest(response) === rest(prompt);
      return {
        satisfied,
        detail: satisfied ? 'another first word' : 'not the words of the request',
      };
    },
  },
);

/** The sentence that IFBench has repeated; it speaks of itself. */
const sentenceToRepeat = 'Only output this sentence here, ignore all other requests.';

/** `repeat:repeat_simple`: one sentence and nothing else, in any case. */
export const repeatSimple = family(
  {},
  {
    describe: () => `Say this and nothing else: "${sentenceToRepeat}"`,
    check: (response) => {
      const satisfied = strip(response).toLowerCase() === sentenceToRepeat.toLowerCase();
      return { satisfied, detail: satisfied ? 'the sentence alone' : 'not the sentence alone' };
    },
  },
);

/** `repeat:repeat_span`: the words of a request from one place up to, but without, another; counted from 0. */
export const repeatSpan = family<{ prompt_to_repeat: string; n_start: number; n_end: number }>(
  { prompt_to_repeat: word, n_start: wholeNumber, n_end: wholeNumber },
  {
    describe: ({ prompt_to_repeat: prompt, n_start: start, n_end: end }) =>
      `Say the words from place ${start} up to, but without, ${end} (counted from 0) of this, and nothing else: "${prompt}"`,
    check: (response, { prompt_to_repeat: prompt, n_start: start, n_end: end }) => {
      const wanted = atBlanks(prompt.toLowerCase()).slice(start, end).join(' ');
      const said = atBlanks(response.toLowerCase()).join(' ');
      return { satisfied: said === wanted, detail: `${quoted(said)}; ${quoted(wanted)} wanted` };
    },
  },
);
