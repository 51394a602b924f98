import { describe, expect, test } from 'vitest';
import { findingsOf } from '../../../../processors/rules/constraints/consistency/findings.ts';
import { numbersIn } from '../../../../processors/rules/constraints/consistency/numbers.ts';
import type { Constraint, Kwargs } from '../../../../processors/rules/constraints/constraint.ts';
import { responsesTo, rowsMade } from '../../../oracle/cases.ts';
import { checker } from './support.ts';

type Given = readonly [id: string, kwargs?: Kwargs];

const constraintsOf = (given: readonly Given[]): readonly Constraint[] =>
  given.map(([id, kwargs = {}]) => ({ id, kwargs }));

const whysOf = (kind: string, given: readonly Given[], prompt = ''): readonly string[] =>
  findingsOf(checker, constraintsOf(given), prompt).flatMap((finding) =>
    finding.kind === kind ? [finding.why] : [],
  );

const words = (num_words: number, relation: string): Given => [
  'length_constraints:number_words',
  { num_words, relation },
];
const sentences = (num_sentences: number, relation: string): Given => [
  'length_constraints:number_sentences',
  { num_sentences, relation },
];
const capitals = (capital_frequency: number, capital_relation: string): Given => [
  'change_case:capital_word_frequency',
  { capital_frequency, capital_relation },
];
const upper: Given = ['change_case:english_capital'];
const lower: Given = ['change_case:english_lowercase'];
const noComma: Given = ['punctuation:no_comma'];
const keywords = (...keywords: string[]): Given => ['keywords:existence', { keywords }];
const forbidden = (...words: string[]): Given => [
  'keywords:forbidden_words',
  { forbidden_words: words },
];
const keyword = (keyword: string, frequency: number, relation: string): Given => [
  'keywords:frequency',
  { keyword, frequency, relation },
];
const letter = (letter: string, let_frequency: number, let_relation: string): Given => [
  'keywords:letter_frequency',
  { letter, let_frequency, let_relation },
];
const language = (language: string): Given => ['language:response_language', { language }];
const repeat = (prompt_to_repeat: string): Given => [
  'combination:repeat_prompt',
  { prompt_to_repeat },
];
const end = (end_phrase: string): Given => ['startend:end_checker', { end_phrase }];
const quotation: Given = ['startend:quotation'];
const json: Given = ['detectable_format:json_format'];
const two: Given = ['combination:two_responses'];
const paragraphs = (num_paragraphs: number): Given => [
  'length_constraints:number_paragraphs',
  { num_paragraphs },
];
const nth = (num_paragraphs: number, nth_paragraph: number, first_word: string): Given => [
  'length_constraints:nth_paragraph_first_word',
  { num_paragraphs, nth_paragraph, first_word },
];
const bullets = (num_bullets: number): Given => [
  'detectable_format:number_bullet_lists',
  { num_bullets },
];
const sections = (section_spliter: string, num_sections: number): Given => [
  'detectable_format:multiple_sections',
  { section_spliter, num_sections },
];
const options: Given = ['detectable_format:constrained_response'];

describe('no response satisfies', () => {
  test.each<readonly [string, readonly Given[]]>([
    [
      'at least 300 words, but less than 100 words',
      [words(300, 'at least'), words(100, 'less than')],
    ],
    ['less than 0 words cannot be', [words(0, 'less than')]],
    ['exactly 3 bullet points, but exactly 2 bullet points', [bullets(2), bullets(3)]],
    [
      'at least 20 sentences, but less than 20 words',
      [sentences(20, 'at least'), words(20, 'less than')],
    ],
    [
      'at least 9 words in capitals, but less than 9 words',
      [capitals(9, 'at least'), words(9, 'less than')],
    ],
    ['at least 1 word in capitals, but small letters only', [capitals(1, 'at least'), lower]],
    ['capital letters only, but less than 1 word in capitals', [upper, capitals(1, 'less than')]],
    ['small letters only, but "Part" letter by letter', [lower, sections('Part', 2)]],
    ['capital letters only, but "Part" letter by letter', [sections('Part', 2), upper]],
    ['small letters only, but "My answer is" letter by letter', [options, lower]],
    ['German, but French', [language('fr'), language('de')]],
    ['German, but English', [lower, language('de')]],
    ['"forest" has to be there, but "Forest" may not', [keywords('forest'), forbidden('Forest')]],
    ['"war" has to be there, but "war" may not', [forbidden('war'), keyword('war', 2, 'at least')]],
    [
      '"The war ends." has to be there, but "war" may not',
      [end('The war ends.'), forbidden('war')],
    ],
    ['"cat", but "cat" less than 1 time', [keywords('cat'), keyword('cat', 1, 'less than')]],
    [
      '"cat" 3 times, but "a" less than 3 times',
      [keyword('cat', 3, 'at least'), letter('a', 3, 'less than')],
    ],
    ['"," at least 1 time, but no commas', [letter(',', 1, 'at least'), noComma]],
    ['"Say it, now.", but no commas', [repeat('Say it, now.'), noComma]],
    ['"Say it now.", but less than 3 words', [repeat('Say it now.'), words(3, 'less than')]],
    ['begins with "Do", but with "Go"', [repeat('Go'), repeat('Do')]],
    ['begins with "Do it.", but with "Go"', [repeat('Do it.'), nth(2, 1, 'Go')]],
    ['begins with a quotation mark, but with "Do it."', [quotation, repeat('Do it.')]],
    ['all of it is JSON, but it begins with "Do it."', [repeat('Do it.'), json]],
    ['ends with "Bye.", but with "The end."', [end('The end.'), end('Bye.')]],
    ['there is no paragraph 3 of 2', [nth(2, 3, 'Go')]],
    ['paragraph 1 begins with "do", but with "go"', [nth(2, 1, 'go'), nth(2, 1, 'do')]],
    [
      'the six asterisks between two responses are two dividers with an empty paragraph between them',
      [paragraphs(3), two],
    ],
  ])('%s', (why, given) => {
    expect(whysOf('contradiction', given)).toContain(why);
  });
});

test.each<readonly [string, readonly Given[]]>([
  ['bounds that leave one number', [words(100, 'at least'), words(101, 'less than')]],
  ['a forbidden word within a longer one that is wanted', [keywords('warm'), forbidden('war')]],
  ['a request to repeat that has quotation marks of its own', [repeat('"Say" it.'), quotation]],
  ['an end within another', [end('is the end.'), end('That is the end.')]],
  ['paragraphs that are counted in two ways', [paragraphs(3), nth(5, 1, 'The')]],
  ['JSON in quotation marks: a text is JSON', [json, quotation]],
  ['the same language twice', [language('en'), upper]],
  ['a splitter in the case of all', [sections('PART', 2), upper]],
  ['names that are no properties of ours', [['keywords:existence', { keywords: ['toString'] }]]],
])('satisfiable: %s', (_name, given) => {
  expect(whysOf('contradiction', given)).toEqual([]);
});

test('what a response satisfies is no contradiction', () => {
  let satisfied = 0;
  for (const { instruction_id_list: ids, kwargs, response } of responsesTo(rowsMade(2000, 7), 8)) {
    const given = ids.map((id, index) => ({ id, kwargs: kwargs[index] ?? {} }));
    if (!given.every((constraint) => checker.check(constraint, response).satisfied)) continue;
    satisfied++;
    const found = findingsOf(checker, given, '').filter(({ kind }) => kind === 'contradiction');
    expect(found, JSON.stringify([given, response.slice(0, 200)])).toEqual([]);
  }
  expect(satisfied).toBeGreaterThan(200);
});

describe('a constraint that nobody can check', () => {
  test.each<readonly [string, Given]>([
    ['there is no constraint a:b', ['a:b']],
    [
      'keywords:existence: the argument keywords has to be a list of texts that are not empty, but is missing',
      ['keywords:existence'],
    ],
    [
      'length_constraints:number_words: the argument relation has to be "at least" or "less than", but is "at most"',
      words(5, 'at most'),
    ],
  ])('%s', (why, given) => {
    expect(whysOf('argument', [given, noComma], 'No commas.')).toEqual([why]);
  });
});

describe('a text that does not ask for it', () => {
  const mentioned = (what: string) => `the text does not mention ${what}`;

  test.each<readonly [string, Given, string, string | null]>([
    ['a keyword', keywords('river', 'boat'), 'Use the word River.', '"boat"'],
    ['a forbidden word', forbidden('war'), 'Write of peace.', '"war"'],
    ['a language', language('hi'), 'Answer in Urdu.', '"Hindi"'],
    ['an end', end('The end.'), 'End well.', '"The end."'],
    ['a number', words(300, 'at least'), 'Write at least 200 words.', 'the number 300'],
    ['commas', noComma, 'Write a poem.', 'commas'],
    ['a number in digits', words(1200, 'at least'), 'Write 1,200 words or more.', null],
    ['a number in words', words(250, 'at least'), 'Two hundred and fifty words.', null],
    ['more than one less', words(5, 'at least'), 'Write more than 4 words.', null],
    ['at most one less', words(100, 'less than'), 'Write at most 99 words.', null],
    ['a place', nth(4, 2, 'Go'), 'Four paragraphs; the second begins with go.', null],
    ['curly quotation marks', end('It’s over.'), "End with: It's  over.", null],
  ])('%s', (_name, given, prompt, what) => {
    expect(whysOf('mismatch', [given], prompt)).toEqual(what === null ? [] : [mentioned(what)]);
  });

  test.each([
    ['twenty-five words', [20, 25]],
    ['one hundred and twenty', [1, 20, 100, 120]],
    ['two dozen, twice', [2, 24]],
    ['the 3rd of 1,000,000', [3, 1_000_000]],
    ['two thousand five hundred', [2, 500, 2000, 2500]],
  ])('%s', (text, wanted) => {
    expect([...numbersIn(text)]).toEqual(expect.arrayContaining(wanted));
  });
});

test('a letter that the benchmark does not take is drawn there', () => {
  expect(whysOf('drawn', [letter('#', 4, 'at least')], 'Use # at least 4 times.')).toEqual([
    'the benchmark draws a letter of its own in place of "#"',
  ]);
  expect(whysOf('drawn', [letter('Q', 4, 'at least')])).toEqual([]);
});
