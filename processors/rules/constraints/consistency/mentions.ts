import type { Relation } from '../arguments.ts';
import type { Constraint } from '../constraint.ts';
import { languages } from '../languages.ts';
import { quoted } from '../text.ts';
import { numbersIn } from './numbers.ts';

/** What the text of an instruction should say if it asks for a constraint. */
interface Mention {
  /** Arguments that are texts: each should stand in it. */
  readonly texts?: readonly string[];
  /** Arguments that are numbers, each with its relation. */
  readonly numbers?: readonly (readonly [name: string, relation: string])[];
  /** Words of which one should stand in it, and what they are about. */
  readonly words?: readonly [about: string, pattern: RegExp];
}

const mentions: Readonly<Record<string, Mention>> = {
  'keywords:existence': { texts: ['keywords'] },
  'keywords:frequency': { texts: ['keyword'], numbers: [['frequency', 'relation']] },
  'keywords:forbidden_words': { texts: ['forbidden_words'] },
  'keywords:letter_frequency': {
    texts: ['letter'],
    numbers: [['let_frequency', 'let_relation']],
  },
  'length_constraints:number_sentences': { numbers: [['num_sentences', 'relation']] },
  'length_constraints:number_paragraphs': { numbers: [['num_paragraphs', '']] },
  'length_constraints:number_words': { numbers: [['num_words', 'relation']] },
  'length_constraints:nth_paragraph_first_word': {
    texts: ['first_word'],
    numbers: [
      ['num_paragraphs', ''],
      ['nth_paragraph', ''],
    ],
  },
  'detectable_content:number_placeholders': { numbers: [['num_placeholders', 'at least']] },
  'detectable_content:postscript': { texts: ['postscript_marker'] },
  'detectable_format:number_bullet_lists': { numbers: [['num_bullets', '']] },
  'detectable_format:constrained_response': { words: ['the three answers', /my answer is/i] },
  'detectable_format:number_highlighted_sections': { numbers: [['num_highlights', 'at least']] },
  'detectable_format:multiple_sections': {
    texts: ['section_spliter'],
    numbers: [['num_sections', 'at least']],
  },
  'detectable_format:json_format': { words: ['JSON', /json/i] },
  'detectable_format:title': { words: ['a title', /title|<<|angular bracket/i] },
  'combination:two_responses': { words: ['six asterisks', /\*{6}|asterisk/i] },
  'combination:repeat_prompt': { texts: ['prompt_to_repeat'] },
  'startend:end_checker': { texts: ['end_phrase'] },
  'startend:quotation': { words: ['quotation marks', /quot|"/i] },
  'change_case:capital_word_frequency': { numbers: [['capital_frequency', 'capital_relation']] },
  'change_case:english_capital': { words: ['capital letters', /capital|upper|\bcaps\b/i] },
  'change_case:english_lowercase': {
    words: ['small letters', /lower-?\s*case|small letter|capital|upper/i],
  },
  'punctuation:no_comma': { words: ['commas', /comma/i] },
};

/**
 * What a constraint has and the text of its instruction does not say, in plain words. It is a guess: a number may be
 * meant by other words.
 */
export function notMentioned(
  { id, kwargs }: Required<Constraint>,
  prompt: string,
): readonly string[] {
  const {
    texts = [],
    numbers = [],
    words,
  } = Object.hasOwn(mentions, id) ? (mentions[id] ?? {}) : {};
  const said = plain(prompt);
  const spoken = numbersIn(prompt);
  const missing = [
    ...texts.flatMap((name) => listed(kwargs[name]).filter((text) => !said.includes(plain(text)))),
    ...languagesIn(id, kwargs).filter((language) => !said.includes(plain(language))),
  ].map((text) => `the text does not mention ${quoted(text)}`);
  const unsaid = numbers.flatMap(([name, relation]) => {
    const wanted = kwargs[name] as number;
    return isSaid(wanted, (kwargs[relation] ?? relation) as Relation | '', spoken) ? [] : [wanted];
  });
  return [
    ...missing,
    ...unsaid.map((number) => `the text does not mention the number ${number}`),
    ...(words && !words[1].test(prompt) ? [`the text does not mention ${words[0]}`] : []),
  ];
}

const listed = (value: unknown): readonly string[] =>
  // The family has read it: a text or a list of texts.
  typeof value === 'string' ? [value] : ((value ?? []) as readonly string[]);

const languagesIn = (
  id: string,
  { language }: Required<Constraint>['kwargs'],
): readonly string[] =>
  id === 'language:response_language' ? [languages[language as string] ?? ''] : [];

/** `more than 4` is `at least 5`, and `at most 99` is `less than 100`. */
function isSaid(wanted: number, relation: Relation | '', spoken: ReadonlySet<number>): boolean {
  return spoken.has(wanted) || (relation !== '' && spoken.has(wanted - 1));
}

/** In lower case, with simple quotation marks and single spaces. */
const plain = (text: string): string =>
  text
    .toLowerCase()
    .replaceAll(/[\u2018\u2019]/g, "'")
    .replaceAll(/[\u201c\u201d]/g, '"')
    .replaceAll(/\s+/g, ' ')
    .trim();
