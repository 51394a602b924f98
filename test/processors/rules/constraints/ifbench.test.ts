import { describe, expect, test } from 'vitest';
import { InvalidConstraint } from '../../../../processors/rules/constraints/constraint.ts';
import { csvRows } from '../../../../processors/rules/constraints/ifbench/csv.ts';
import { ifbench } from '../../../../processors/rules/constraints/ifbench/families.ts';
import { sentencesOf } from '../../../../processors/rules/constraints/ifbench/text.ts';
import { ifbenchChecker as checker } from './support.ts';

type Row = readonly [id: string, kwargs: object, satisfies: string, fails: string, detail: string];

const five = { keyword1: 'a', keyword2: 'b', keyword3: 'c', keyword4: 'd', keyword5: 'e' };
const prompt = { prompt_to_repeat: 'Name the river here.' };
const alphabetStory = Array.from('abcdefghijklmnopqrstuvwxyz', (letter) => `${letter}x so.`);
const country = (name: string) => `${name}\n`;
const countries = country('Zimbabwe') + country('Uganda').repeat(50) + country('Algeria');
const capitals =
  'Reykjavik, Helsinki, Oslo, Tallinn, Stockholm, Riga, Moscow, Copenhagen, Vilnius, Minsk, Dublin, Berlin, Amsterdam, ' +
  'Warsaw, London, Brussels, Prague, Luxembourg, Paris, Vienna, Bratislava, Budapest, Vaduz, Chi\u0219in\u0103u, Bern, ' +
  'Ljubljana, Zagreb';
const options = ['A', 'B', 'C', 'D', 'E'].map((letter) => `${letter}) x`).join('\n');
const questions = [1, 2, 3, 4].map((n) => `Question ${n}: ${'why '.repeat(n)}?\n${options}`);
const products = (row: string) =>
  `ProductID,Category,Brand,Price,Stock\n${'1,2,3,4,5\n'.repeat(13)}${row}`;
const scores = (field: string) =>
  [
    '"StudentID"\t"Subject"\t"Grade"\t"Semester"\t"Score"',
    ...Array<string>(3).fill(`"1"\t"2"\t"3"\t"4"\t${field}`),
  ].join('\n');

const rows: readonly Row[] = [
  [
    'count:word_count_range',
    { min_words: 2, max_words: 3 },
    "It's.",
    'One',
    '1 word; 2 to 3 wanted',
  ],
  [
    'count:unique_word_count',
    { N: 2 },
    'A b a.',
    'A a, "a"',
    '1 different word; at least 2 wanted',
  ],
  [
    'count:conjunctions',
    { small_n: 2 },
    'this and that or so',
    'and band and',
    '1 different conjunction; at least 2 wanted',
  ],
  [
    'count:person_names',
    { N: 2 },
    'Emma saw Noah.',
    'Emma saw Emma.',
    '1 name of the list; at least 2 wanted',
  ],
  ['count:numbers', { N: 2 }, '1,000.5 and 3', '1 and 2 and 3', '3 numbers; exactly 2 wanted'],
  [
    'count:punctuation',
    {},
    'So, is it?! Yes: it is; no! Is it? It is.',
    'So, is it?!',
    '. ! ? ; : not found',
  ],
  ['count:words_japanese', { N: 2 }, 'one \u306d\u3053 two 22', 'one two', '"two" is not Japanese'],
  ['count:pronouns', { N: 3 }, 'She/her and I', 'She is it', '2 pronouns; at least 3 wanted'],
  [
    'count:keywords_multiple',
    five,
    'a bb ccc ddddd eeeeeee',
    'a bb ccc ddddd eeeeee',
    '"e" 6 times; exactly 7 wanted',
  ],
  ['ratio:stop_words', { percentage: 50 }, 'the river', 'it is', '100 % stop words; 50 % allowed'],
  [
    'ratio:sentence_type',
    {},
    'It is. It was. Is it?',
    'It is. Is it?',
    '1 statement, 1 question; two to one wanted',
  ],
  [
    'ratio:sentence_balance',
    {},
    'It is. Is it? It is!',
    'It is. Is it?',
    '1, 1, 0 end with . ? !; as many of each wanted',
  ],
  [
    'ratio:overlap',
    { reference_text: 'abcd', percentage: 50 },
    'abcx',
    'abcd',
    '100 % shared; 50 % wanted',
  ],
  [
    'ratio:sentence_words',
    {},
    'We go. Be so. Do it!',
    'It is. It is so. It.',
    '6, 9, 3 characters; the same wanted',
  ],
  ['words:alphabet', {}, 'Yes zebras are', 'a c', '"c" should begin with b'],
  ['words:vowel', {}, 'a red kite', 'a red kite on', 'a e i o; 3 vowels allowed'],
  ['words:consonants', {}, 'stones fell', 'stones are', '"are" has no two consonants in a row'],
  [
    'words:palindrome',
    {},
    'level '.repeat(10),
    'noon '.repeat(10),
    '0 palindromes; at least 10 wanted',
  ],
  ['words:prime_lengths', {}, "it's an apple", 'four', '"four" has 4 characters'],
  ['words:repeats', { small_n: 1 }, 'a b', 'a A,', '"a" 2 times; 1 allowed'],
  [
    'words:last_first',
    {},
    'I see you. You see.',
    'I see you. I see.',
    'sentence 2 begins with "i"; "you" wanted',
  ],
  [
    'words:paragraph_last_first',
    {},
    'You and you.\n\nI',
    'You and I',
    'begins with "you" and ends with "i"',
  ],
  ['words:no_consecutive', {}, 'a b a', 'a big bee', '"big bee" begin alike'],
  [
    'words:keywords_specific_position',
    { keyword: 'river', n: 2, m: 3 },
    'Yes. See the river.',
    'Yes. See a Rivers.',
    'word 3 of sentence 2 is "Rivers"; "river" wanted',
  ],
  [
    'words:words_position',
    { keyword: 'so' },
    'If so, do so.',
    'If so, do it.',
    '"so" and "it"; "so" wanted',
  ],
  [
    'sentence:alliteration_increment',
    {},
    'A cat. Big bad dog.',
    'Big bad. Big bee.',
    '2, then 2 alliterative words',
  ],
  [
    'sentence:keyword',
    { word: 'sky', N: 2 },
    'Look. The Sky.',
    'Sky. Look.',
    '"sky" not in sentence 2',
  ],
  [
    'sentence:increment',
    { small_n: 1 },
    'One. One two. One two three.',
    'One. One. ',
    '1, then 1 word; 1 more wanted',
  ],
  [
    'repeat:repeat_change',
    prompt,
    'Give the river here.',
    'Give the river.',
    'not the words of the request',
  ],
  [
    'repeat:repeat_simple',
    {},
    'only output this sentence here, ignore all other requests.',
    'Yes.',
    'not the sentence alone',
  ],
  [
    'repeat:repeat_span',
    { ...prompt, n_start: 1, n_end: 3 },
    'The river',
    'the river here',
    '"the river here"; "the river" wanted',
  ],
  ['format:parentheses', {}, '([{([x])}])', '([{(x)}])', '4 levels; 5 wanted, closed in order'],
  ['format:quotes', {}, `"a 'b "c"'"`, `"a 'b'"`, '2 levels of quotes, not 3 that are closed'],
  [
    'format:options',
    { options: 'yes/no' },
    ' **No.**',
    'No way',
    '"No way"; one of "yes", "no" wanted',
  ],
  ['format:newline', {}, 'one\n\ntwo,', 'one two', '2 words on 1 line'],
  [
    'format:emoji',
    {},
    'Yes. \u{1f600} No \u{1f44d}\u{1f3fd}.',
    'Yes. No \u{1f600}.',
    'no emoji after sentence 1',
  ],
  ['format:line_indent', {}, 'a\n b\n\n  c', 'a\nb', 'line 2 is not indented further'],
  ['format:quote_unquote', {}, '"Go" means move.', 'We say "go".', 'ends with a quotation'],
  ['format:list', { sep: '...' }, '...a\n...b', '...a', '"..." 1 time; at least 2 wanted'],
  ['format:thesis', {}, '<i>So</i> it is.', '<i>So</i>', 'nothing follows the italics'],
  ['format:sub-bullets', {}, '* a\n - b', '* a', '1 of 1 bullet point without a dash'],
  [
    'format:no_bullets_bullets',
    {},
    'Cats. Dogs.\n* c\n* d',
    'Cats.\n* c\n* d',
    '1 sentence before the bullet points; 2 wanted',
  ],
  ['format:title_case', {}, 'The Cat Is a Pet', 'The cat', '"cat" begins with a small letter'],
  [
    'format:output_template',
    {},
    'My Answer: a My Conclusion: b Future Outlook: c',
    'My Answer: a',
    '"My Conclusion:", "Future Outlook:" not found',
  ],
  ['format:no_whitespace', {}, 'a-b', 'a\u00a0b', 'has white space'],
  [
    'custom:multiples',
    {},
    '14, 21,28\n35 42 49',
    '7, 14',
    '2 numbers; the 6 multiples of 7 wanted',
  ],
  [
    'custom:mcq_count_length',
    {},
    questions.join('\n'),
    questions.toReversed().join('\n'),
    'question 2 is not longer than the one before',
  ],
  ['custom:reverse_newline', {}, countries, 'Zimbabwe\nZambia', '2 lines; at least 52 wanted'],
  ['custom:word_reverse', {}, 'Eagle, bald the', 'the bald eagle', 'no bald eagle, reversed'],
  ['custom:character_reverse', {}, '.elgaE dlaB', 'bald eagle', 'no "elgae dlab"'],
  [
    'custom:sentence_alphabet',
    {},
    alphabetStory.join(' '),
    'Ax so. Bx so.',
    '2 sentences; 26 wanted',
  ],
  ['custom:european_capitals_sort', {}, capitals, 'Oslo, Riga', '2 names; 27 wanted'],
  [
    'custom:csv_city',
    {},
    `ID,Country,City,Year,Count\n${'1,"a,b",c,d,e\n'.repeat(7)}`,
    'ID,Country',
    '1 row; a header and 7 wanted',
  ],
  [
    'custom:csv_special_character',
    {},
    products('1,2,"a#",4,5'),
    products('1,2,"a",4,5'),
    'no special character in quotation marks',
  ],
  [
    'custom:csv_quotes',
    {},
    scores('"5"'),
    scores('5'),
    'row 2 has a field without quotation marks',
  ],
  [
    'custom:date_format_list',
    {},
    '1796-04-12, 1815-06-18',
    '1796-02-30',
    'entry 1 is no date of his life',
  ],
];

describe.each(rows)('%s', (id, kwargs, satisfies, fails, detail) => {
  const constraint = { id, kwargs: { ...kwargs } };

  test(`is satisfied by ${JSON.stringify(satisfies.slice(0, 60))}`, () => {
    expect(checker.check(constraint, satisfies)).toMatchObject({ satisfied: true });
  });

  test(`${JSON.stringify(fails.slice(0, 60))}: ${detail}`, () => {
    expect(checker.check(constraint, fails)).toEqual({ satisfied: false, detail });
  });

  test('says in words what it asks for, and is not satisfied by nothing', () => {
    expect(checker.describe(constraint)).toMatch(/^[A-Z].*[.")…]$/s);
    expect(checker.check(constraint, ' \n').satisfied).toBe(false);
  });
});

test.each(rows.filter(([, kwargs]) => Object.keys(kwargs).length > 0))(
  '%s needs each of its arguments',
  (id, kwargs) => {
    for (const name of Object.keys(kwargs)) {
      const without = { ...kwargs, [name]: null };
      expect(() => checker.describe({ id, kwargs: without })).toThrow(InvalidConstraint);
    }
  },
);

test('each of IFBench that is here has a row', () => {
  expect(rows.map(([id]) => id)).toEqual(Object.keys(ifbench));
});

test.each([
  ['Mr. Hill came. He left!', ['Mr. Hill came.', 'He left!']],
  ['It costs 3.5 dollars... So?', ['It costs 3.5 dollars...', 'So?']],
  ['He said "Go." Then he went.', ['He said "Go".', 'Then he went.']],
  ['At Acme Inc. They know.', ['At Acme Inc', 'They know.']],
  ['See a.com now', ['See a.com now']],
])('sentences of %s', (text, sentences) => {
  expect(sentencesOf(text)).toEqual(sentences);
});

test.each([
  [
    'a,b\nc,d\n',
    [
      ['a', 'b'],
      ['c', 'd'],
    ],
  ],
  ['"a,""b"\nc"d"e', [['a,"b'], ['c"d"e']]],
  ['a\n\nb', [['a'], [], ['b']]],
  ['"a\nb', [['a\nb']]],
  ['a,', [['a', '']]],
  ['a\r\nb', [['a'], ['b']]],
  ['a\rb', null],
])('CSV: %j', (text, wanted) => {
  expect(csvRows(text, ',')).toEqual(wanted);
});
