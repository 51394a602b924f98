import type { Relation } from '../arguments.ts';
import { countSentences } from '../sentences.ts';
import { countOf, counted, quoted, strip, stripOf } from '../text.ts';
import { countWords } from '../words.ts';

/** How many of something a constraint allows, both bounds included. */
export interface Range {
  /** The same words mean the same things: `words`, or how often a text is there. */
  readonly of: string;
  readonly least?: number;
  readonly most?: number;
  /** How it is said: `at least 300 words`. */
  readonly as: string;
}

/** A text that the response has to hold, in any case. */
export interface Held {
  readonly text: string;
  readonly times: number;
  /** Whether it has to be there letter by letter. */
  readonly isExact: boolean;
}

/** What a constraint asks for, as far as it can stand in the way of another. */
export interface Demands {
  readonly ranges?: readonly Range[];
  readonly holds?: readonly Held[];
  readonly forbids?: readonly string[];
  readonly letters?: 'capital' | 'small';
  readonly language?: string;
  readonly starts?: string;
  readonly ends?: string;
  /** The first word of a paragraph, by its number. */
  readonly firstWord?: { readonly paragraph: number; readonly word: string };
  readonly shape?: 'JSON' | 'quotation marks' | 'two responses' | 'paragraphs between dividers';
  /** What it asks for can never be, by itself. */
  readonly impossible?: string;
}

/** The arguments of IFEval's families, as they read them. */
interface Args {
  readonly keywords: readonly string[];
  readonly keyword: string;
  readonly frequency: number;
  readonly forbidden_words: readonly string[];
  readonly letter: string;
  readonly let_frequency: number;
  readonly let_relation: Relation;
  readonly relation: Relation;
  readonly language: string;
  readonly num_sentences: number;
  readonly num_paragraphs: number;
  readonly num_words: number;
  readonly nth_paragraph: number;
  readonly first_word: string;
  readonly num_placeholders: number;
  readonly postscript_marker: string;
  readonly num_bullets: number;
  readonly num_highlights: number;
  readonly section_spliter: string;
  readonly num_sections: number;
  readonly prompt_to_repeat: string;
  readonly end_phrase: string;
  readonly capital_frequency: number;
  readonly capital_relation: Relation;
}

/** What a constraint demands; nothing where no other can stand in its way. */
export const demandsOf = (id: string, args: Readonly<Record<string, unknown>>): Demands =>
  // The family of this name has read the arguments.
  Object.hasOwn(demands, id) ? (demands[id]?.(args as unknown as Args) ?? {}) : {};

const demands: Readonly<Record<string, (args: Args) => Demands>> = {
  'keywords:existence': ({ keywords }) => ({ holds: keywords.map((text) => held(text)) }),
  'keywords:frequency': ({ keyword, frequency, relation }) => ({
    ranges: [occurrences(keyword, frequency, relation)],
    holds: relation === 'at least' && frequency > 0 ? [held(keyword, frequency)] : [],
  }),
  'keywords:forbidden_words': ({ forbidden_words: words }) => ({ forbids: words }),
  'keywords:letter_frequency': ({ letter, let_frequency: frequency, let_relation: relation }) => ({
    ranges: [occurrences(letter, frequency, relation)],
  }),
  'language:response_language': ({ language }) => ({ language }),
  'length_constraints:number_sentences': ({ num_sentences: wanted, relation }) => ({
    ranges: [
      range('sentences', 'sentence', wanted, relation),
      ...(relation === 'at least'
        ? [{ of: 'words', least: wanted, as: `at least ${counted(wanted, 'sentence')}` }]
        : []),
    ],
  }),
  'length_constraints:number_paragraphs': ({ num_paragraphs: wanted }) => ({
    ranges: [range('paragraphs between dividers', 'paragraph', wanted, 'exactly')],
    shape: 'paragraphs between dividers',
  }),
  'length_constraints:number_words': ({ num_words: wanted, relation }) => ({
    ranges: [range('words', 'word', wanted, relation)],
  }),
  'length_constraints:nth_paragraph_first_word': (args) => ({
    ranges: [range('paragraphs between empty lines', 'paragraph', args.num_paragraphs, 'exactly')],
    firstWord: { paragraph: args.nth_paragraph, word: args.first_word },
    ...(args.nth_paragraph > args.num_paragraphs && {
      impossible: `there is no paragraph ${args.nth_paragraph} of ${args.num_paragraphs}`,
    }),
  }),
  'detectable_content:postscript': ({ postscript_marker: mark }) => ({ holds: [held(mark)] }),
  'detectable_format:number_bullet_lists': ({ num_bullets: wanted }) => ({
    ranges: [range('bullet points', 'bullet point', wanted, 'exactly')],
  }),
  'detectable_format:constrained_response': () => ({
    holds: [{ ...held('My answer is'), isExact: true }],
  }),
  'detectable_format:multiple_sections': ({ section_spliter: splitter, num_sections: wanted }) => ({
    holds: wanted > 0 ? [{ ...held(splitter, wanted), isExact: true }] : [],
  }),
  'detectable_format:json_format': () => ({ shape: 'JSON' }),
  'combination:two_responses': () => ({ shape: 'two responses' }),
  'combination:repeat_prompt': ({ prompt_to_repeat: prompt }) => ({
    holds: [held(prompt)],
    starts: prompt,
  }),
  'startend:end_checker': ({ end_phrase: phrase }) => ({ holds: [held(phrase)], ends: phrase }),
  'startend:quotation': () => ({ shape: 'quotation marks' }),
  'change_case:capital_word_frequency': (args) => {
    const { capital_frequency: wanted, capital_relation: relation } = args;
    const as = `${relation} ${counted(wanted, 'word')} in capitals`;
    return {
      ranges: [
        { of: 'words in capitals', ...bounds(wanted, relation), as },
        // Each of them is a word, too.
        ...(relation === 'at least' ? [{ of: 'words', least: wanted, as }] : []),
      ],
    };
  },
  'change_case:english_capital': () => ({
    letters: 'capital',
    language: 'en',
    ranges: [{ of: 'words in capitals', least: 1, as: 'capital letters only' }],
  }),
  'change_case:english_lowercase': () => ({
    letters: 'small',
    language: 'en',
    ranges: [{ of: 'words in capitals', most: 0, as: 'small letters only' }],
  }),
  'punctuation:no_comma': () => ({
    ranges: [{ of: occurrencesOf(','), most: 0, as: 'no commas' }],
  }),
};

const held = (text: string, times = 1): Held => ({ text: strip(text), times, isExact: false });

const bounds = (wanted: number, relation: Relation | 'exactly'): Pick<Range, 'least' | 'most'> => ({
  ...(relation !== 'less than' && { least: wanted }),
  ...(relation !== 'at least' && { most: relation === 'exactly' ? wanted : wanted - 1 }),
});

const range = (of: string, one: string, wanted: number, relation: Relation | 'exactly'): Range => ({
  of,
  ...bounds(wanted, relation),
  as: `${relation} ${counted(wanted, one)}`,
});

const occurrencesOf = (text: string): string => `times ${strip(text).toLowerCase()}`;

const occurrences = (text: string, wanted: number, relation: Relation): Range => ({
  of: occurrencesOf(text),
  ...bounds(wanted, relation),
  as: `${quoted(text)} ${relation} ${counted(wanted, 'time')}`,
});

/** What a text that has to be there adds to the ranges that others bound. */
export function rangesOf({ text, times }: Held, wanted: readonly string[]): readonly Range[] {
  const as = `${quoted(text)}${times > 1 ? ` ${times} times` : ''}`;
  const lower = text.toLowerCase();
  return wanted.flatMap((of) => {
    const part = of.startsWith('times ') ? of.slice('times '.length) : null;
    const least =
      part !== null
        ? times * countOf(lower, part)
        : of === 'words'
          ? countWords(text)
          : of === 'sentences'
            ? // The end of the text need not end a sentence of the response.
              Math.max(0, countSentences(text) - 1)
            : 0;
    return least > 0 ? [{ of, least, as }] : [];
  });
}

/** The end of a response as it is compared: without quotation marks, in lower case. */
export const endOf = (phrase: string): string => stripOf(strip(phrase), '"').toLowerCase();
