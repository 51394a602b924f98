import { family } from '../constraint.ts';
import { counted } from '../text.ts';
import { wordRuns } from '../words.ts';
import { stopWords } from './stop-words.ts';
import { exactText, lengthOf, percentage, sentencesOf } from './text.ts';

const percent = (share: number): string => `${Math.round(share * 10) / 10} %`;

/** `ratio:stop_words`: at most so many of a hundred words are stop words of NLTK's list. */
export const stopWordShare = family<{ percentage: number }>(
  { percentage },
  {
    describe: ({ percentage: most }) => `Keep stop words to ${most} % of all words at most.`,
    check: (response, { percentage: most }) => {
      const words = wordRuns(response);
      if (words.length === 0) return { satisfied: false, detail: 'no words' };
      const stop = words.filter((word) => stopWords.has(word.toLowerCase())).length;
      const share = (stop / words.length) * 100;
      return {
        satisfied: share <= most,
        detail: `${percent(share)} stop words; ${most} % allowed`,
      };
    },
  },
);

const endingWith = (sentences: readonly string[], mark: string): number =>
  sentences.filter((sentence) => sentence.endsWith(mark)).length;

/** `ratio:sentence_type`: twice as many sentences end with `.` as with `?`. */
export const sentenceType = family(
  {},
  {
    describe: () => 'Write two statements for each question.',
    check: (response) => {
      const sentences = sentencesOf(response);
      const [stated, asked] = [endingWith(sentences, '.'), endingWith(sentences, '?')];
      return {
        satisfied: stated === 2 * asked,
        detail: `${counted(stated, 'statement')}, ${counted(asked, 'question')}; two to one wanted`,
      };
    },
  },
);

/** `ratio:sentence_balance`: as many sentences end with `.` as with `?` and with `!`. */
export const sentenceBalance = family(
  {},
  {
    describe: () => 'Write as many statements as questions and as exclamations.',
    check: (response) => {
      const sentences = sentencesOf(response);
      const counts = ['.', '?', '!'].map((mark) => endingWith(sentences, mark));
      return {
        satisfied: new Set(counts).size === 1,
        detail: `${counts.join(', ')} end with . ? !; as many of each wanted`,
      };
    },
  },
);

/** All runs of three characters; they overlap. */
function trigramsOf(text: string): ReadonlySet<string> {
  const characters = Array.from(text);
  const trigrams = new Set<string>();
  for (let index = 2; index < characters.length; index++) {
    const [a = '', b = '', c = ''] = characters.slice(index - 2, index + 1);
    trigrams.add(a + b + c);
  }
  return trigrams;
}

/** `ratio:overlap`: of the different runs of three characters so many in a hundred, give or take 2, are the reference's. */
export const overlap = family<{ reference_text: string; percentage: number }>(
  { reference_text: exactText, percentage },
  {
    describe: ({ percentage: wanted }) =>
      `Share ${wanted} % (\u00b12 %) of all runs of three characters with the reference text.`,
    check: (response, { reference_text: reference, percentage: wanted }) => {
      const own = trigramsOf(response);
      if (own.size === 0) return { satisfied: false, detail: 'fewer than three characters' };
      const others = trigramsOf(reference);
      const shared = [...own].filter((trigram) => others.has(trigram)).length;
      const share = (shared / own.size) * 100;
      return {
        satisfied: share >= wanted - 2 && share <= wanted + 2,
        detail: `${percent(share)} shared; ${wanted} % wanted`,
      };
    },
  },
);

/** `ratio:sentence_words`: three sentences of one length; that all words differ is not checked by the benchmark either. */
export const sentenceWords = family(
  {},
  {
    describe: () => 'Write three sentences of the same number of characters.',
    check: (response) => {
      const lengths = sentencesOf(response).map(lengthOf);
      return {
        satisfied: lengths.length === 3 && new Set(lengths).size === 1,
        detail:
          lengths.length === 3
            ? `${lengths.join(', ')} characters; the same wanted`
            : `${counted(lengths.length, 'sentence')}; 3 wanted`,
      };
    },
  },
);
