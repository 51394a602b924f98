import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { constraintsOf } from '../../../../processors/rules/constraints/check.ts';
import {
  InvalidConstraint,
  type Constraint,
} from '../../../../processors/rules/constraints/constraint.ts';
import { sentencesIn } from '../../../../processors/rules/constraints/sentences.ts';
import { blanks, countOf, strip } from '../../../../processors/rules/constraints/text.ts';
import { checker, verdictOn } from './support.ts';

const { check, checkLoose, describe: inWords, ids } = checker;

/** One constraint of each family. */
const kwargs: Readonly<Record<string, Constraint['kwargs']>> = {
  'keywords:existence': { keywords: ['a', '('] },
  'keywords:frequency': { keyword: '*', frequency: 2 },
  'keywords:forbidden_words': { forbidden_words: ['a', '['] },
  'keywords:letter_frequency': { letter: 'a', let_frequency: 2, let_relation: 'less than' },
  'language:response_language': { language: 'en' },
  'length_constraints:nth_paragraph_first_word': { num_paragraphs: 2, first_word: 'a' },
  'combination:repeat_prompt': { prompt_to_repeat: 'a' },
  'startend:end_checker': { end_phrase: 'a' },
};
const constraints: readonly Constraint[] = ids.map((id) => ({ id, kwargs: kwargs[id] ?? {} }));

/** Texts of what the checkers look for, and of anything. */
const response = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc
    .array(
      fc.constantFrom(
        'a',
        'A',
        '*',
        '***',
        '******',
        '\n',
        '\n\n',
        ' ',
        '.',
        ',',
        '"',
        '[',
        ']',
        '- ',
        '<<',
        '>>',
        "'",
        '(',
        'P.S.',
        'Section 1',
        '\r\n',
        '😀',
        '\ud800',
        '{',
        '}',
        '1',
      ),
      { maxLength: 30 },
    )
    .map((parts) => parts.join('')),
);

describe('laws', () => {
  test.prop([response])('loose accepts whatever strict accepts', (text) => {
    for (const constraint of constraints) {
      if (check(constraint, text).satisfied)
        expect(checkLoose(constraint, text).satisfied).toBe(true);
    }
  });

  test.prop([response])('the same response has the same verdict, with something to say', (text) => {
    for (const constraint of constraints) {
      const verdict = check(constraint, text);
      expect(verdict.detail).not.toBe('');
      expect(check(constraint, text)).toEqual(verdict);
    }
  });

  test.prop([response, fc.nat(20)])(
    'a number is at least n, or it is less than n',
    (text, wanted) => {
      const sides = (id: string, amount: string, relation: string, more: object = {}) =>
        ['at least', 'less than'].map(
          (side) => verdictOn(id, { ...more, [amount]: wanted, [relation]: side }, text).satisfied,
        );
      fc.pre(strip(text) !== '');
      for (const [one, other] of [
        sides('length_constraints:number_words', 'num_words', 'relation'),
        sides('length_constraints:number_sentences', 'num_sentences', 'relation'),
        sides('keywords:frequency', 'frequency', 'relation', { keyword: 'a' }),
        sides('keywords:letter_frequency', 'let_frequency', 'let_relation', { letter: 'a' }),
        sides('change_case:capital_word_frequency', 'capital_frequency', 'capital_relation'),
      ]) {
        expect(one).not.toBe(other);
      }
    },
  );

  test.prop([response])('a keyword that is a word is there or forbidden', (text) => {
    fc.pre(strip(text) !== '');
    const there = verdictOn('keywords:existence', { keywords: ['a'] }, text).satisfied;
    const free = verdictOn('keywords:forbidden_words', { forbidden_words: ['a'] }, text).satisfied;
    expect(there || free).toBe(true);
  });

  test.prop([response])('sentences lose nothing but white space', (text) => {
    const letters = (part: string) => part.replaceAll(new RegExp(`[${blanks}]`, 'g'), '');
    expect(letters(sentencesIn(text).join(''))).toBe(letters(text));
  });

  test.prop([response])('what is stripped has no white space at its ends', (text) => {
    expect(strip(strip(text))).toBe(strip(text));
    expect(strip(` \u001c${text}\u0085`)).toBe(strip(text));
    expect(countOf(text, ',')).toBe(text.split(',').length - 1);
  });
});

describe('loose looks past', () => {
  test.each([
    ['a first line', 'Sure, here:\nno comma', 'without its first line: 0 commas; none allowed'],
    ['a last line', 'no comma\nBye, all', 'without its last line: 0 commas; none allowed'],
    [
      'both',
      'Sure, so:\nnone\nBye, all',
      'without its first and last line: 0 commas; none allowed',
    ],
  ])('%s', (_name, text, detail) => {
    const constraint = { id: 'punctuation:no_comma' };
    expect(check(constraint, text).satisfied).toBe(false);
    expect(checkLoose(constraint, text)).toEqual({ satisfied: true, detail });
  });

  test.each([
    ['asterisks', '**"a"**', 'without asterisks: in quotation marks'],
    [
      'them in the first line, too',
      'So:\n*"a"*',
      'without its first line and asterisks: in quotation marks',
    ],
  ])('%s', (_name, text, detail) => {
    expect(checkLoose({ id: 'startend:quotation' }, text)).toEqual({ satisfied: true, detail });
  });

  test('no more than that', () => {
    const strict = { satisfied: false, detail: '2 commas; none allowed' };
    expect(checkLoose({ id: 'punctuation:no_comma' }, 'a\nb, c,\nd')).toEqual(strict);
  });
});

test.each(constraints)('$id says in plain words what it asks for', (constraint) => {
  expect(inWords(constraint)).toMatch(/^[A-Z].*[.”"\])]$/);
});

describe('what nobody can check is refused, and says why', () => {
  const words = 'length_constraints:number_words';
  test.each([
    ['keywords:typo', {}, 'there is no constraint keywords:typo'],
    ['toString', {}, 'there is no constraint toString'],
    [
      words,
      { num_words: -1 },
      `${words}: the argument num_words has to be a whole number, 0 or more, but is -1`,
    ],
    [
      words,
      { num_words: '5' },
      `${words}: the argument num_words has to be a whole number, 0 or more, but is "5"`,
    ],
    [
      words,
      { relation: 'at most' },
      `${words}: the argument relation has to be "at least" or "less than", but is "at most"`,
    ],
    [
      words,
      { words: 3 },
      `${words}: there is no argument words; it takes only num_words, relation`,
    ],
    [
      'punctuation:no_comma',
      { n: 1 },
      'punctuation:no_comma: there is no argument n; it takes none',
    ],
    [
      'keywords:existence',
      {},
      'keywords:existence: the argument keywords has to be a list of texts that are not empty, but is missing',
    ],
    [
      'keywords:existence',
      { keywords: [' '] },
      'keywords:existence: the argument keywords has to be a list of texts that are not empty, but is [" "]',
    ],
    [
      'keywords:letter_frequency',
      { letter: 'ab' },
      'keywords:letter_frequency: the argument letter has to be one character, but is "ab"',
    ],
    [
      'startend:end_checker',
      { end_phrase: '' },
      'startend:end_checker: the argument end_phrase has to be a text that is not empty, but is ""',
    ],
  ])('%s %j', (id, given, message) => {
    expect(() => inWords({ id, kwargs: given })).toThrow(new InvalidConstraint(message));
    expect(() => check({ id, kwargs: given }, 'text')).toThrow(InvalidConstraint);
  });

  test('a language that is not in the list', () => {
    const given = { id: 'language:response_language', kwargs: { language: 'xx' } };
    expect(() => inWords(given)).toThrow(
      /the argument language has to be one of ar, .*but is "xx"/,
    );
  });
});

test('null is missing, as in data that names all arguments of all families', () => {
  const kwargs = { num_words: 2, relation: null, keywords: null, letter: undefined };
  expect(verdictOn('length_constraints:number_words', kwargs, 'one two').satisfied).toBe(true);
});

test('a row of the data becomes its constraints', () => {
  expect(
    constraintsOf({ instruction_id_list: ['a:b', 'c:d'], kwargs: [{ n: 1 }, undefined] }),
  ).toEqual([
    { id: 'a:b', kwargs: { n: 1 } },
    { id: 'c:d', kwargs: {} },
  ]);
  expect(() => constraintsOf({ instruction_id_list: ['a:b'], kwargs: [] })).toThrow(
    '1 names of constraints have 0 kwargs',
  );
});
