import { describe, expect, test } from 'vitest';
import { verdictOn } from './support.ts';

/** [what the case shows, arguments, response, satisfied, detail if it matters] */
type Row = readonly [string, object, string, boolean, string?];

const specification: Readonly<Record<string, readonly Row[]>> = {
  'keywords:existence': [
    ['all are there', { keywords: ['sea', 'land'] }, 'Land and sea.', true, 'has "sea", "land"'],
    ['one is missing', { keywords: ['sea', 'sky'] }, 'Land and sea.', false, '"sky" not found'],
    ['within a longer word', { keywords: ['sea'] }, 'A seaside town.', true],
    ['a full stop is a full stop', { keywords: ['a.b'] }, 'axb', false],
    ['a bracket is a bracket', { keywords: ['f(x)'] }, 'let f(x) be', true],
    ['all i of Turkish are one', { keywords: ['ISTANBUL'] }, 'İstanbul, ıstanbul', true],
    ['sharp s and its capital', { keywords: ['straße'] }, 'STRAẞE', true],
  ],
  'keywords:frequency': [
    ['enough', { keyword: 'a', frequency: 3, relation: 'at least' }, 'A banana', true],
    [
      'one short',
      { keyword: 'sea', frequency: 2, relation: 'at least' },
      'The sea.',
      false,
      '"sea" 1 time; at least 2 wanted',
    ],
    ['less than', { keyword: 'sea', frequency: 2, relation: 'less than' }, 'The sea.', true],
    ['places do not overlap', { keyword: 'aa', frequency: 2 }, 'aaa', false],
    ['space around the keyword does not count', { keyword: ' sea ', frequency: 1 }, 'seas', true],
    ['no number and no relation: at least once', { keyword: 'sea' }, 'sea', true],
    ['zero is zero', { keyword: 'sea', frequency: 0 }, 'land', true],
  ],
  'keywords:forbidden_words': [
    ['none is there', { forbidden_words: ['sea'] }, 'Land.', true, 'none of "sea" found'],
    ['one is', { forbidden_words: ['sea', 'sky'] }, 'SEA!', false, '"sea" found; not allowed'],
    ['part of a word is none', { forbidden_words: ['sea'] }, 'A seaside town', true],
    ['an underscore is part of a word', { forbidden_words: ['sea'] }, 'the_sea', true],
    ['letters of any script are', { forbidden_words: ['sea'] }, 'éseaé', true],
    ['and those beyond 16 bits', { forbidden_words: ['sea'] }, '\u{10400}sea', true],
    ['an emoji is a border', { forbidden_words: ['sea'] }, '😀sea😀', false],
    ['a later place may be a word', { forbidden_words: ['aa'] }, 'aaa aa', false],
    ['a place that overlaps may be', { forbidden_words: ['a a'] }, 'xa a a', false],
    ['marks need a letter next to them', { forbidden_words: ['$5'] }, 'costs $5', true],
  ],
  'keywords:letter_frequency': [
    ['in either case', { letter: 'A', let_frequency: 2, let_relation: 'at least' }, 'aA', true],
    ['less than', { letter: 'a', let_frequency: 2, let_relation: 'less than' }, 'aA', false],
    ['accents make another letter', { letter: 'e', let_frequency: 1 }, 'é', false],
    ['but not where they are apart', { letter: 'e', let_frequency: 1 }, 'e\u0301', true],
    ['any character will do', { letter: '!', let_frequency: 2 }, 'Hey!!', true],
  ],
  'language:response_language': [
    ['the right one', { language: 'de' }, 'Salz und Brot', true, 'German; German wanted'],
    ['another', { language: 'de' }, 'salt and bread', false, 'English; German wanted'],
    ['it cannot be told', { language: 'de' }, '1, 2, 3', true],
  ],
  'length_constraints:number_sentences': [
    ['enough', { num_sentences: 2 }, 'One. Two.', true, '2 sentences; at least 2 wanted'],
    ['a title ends none', { num_sentences: 2, relation: 'less than' }, 'Mr. Hill came.', true],
    ['an initial ends none', { num_sentences: 2 }, 'It was J. Bach who wrote.', false],
    ['a number may', { num_sentences: 2 }, 'It costs 5. He pays.', true],
    ['line ends do not', { num_sentences: 2 }, 'One\n\nTwo', false],
    ['a quotation belongs to its sentence', { num_sentences: 3 }, '"No." He left.', false],
    ['marks in a row end one', { num_sentences: 3 }, 'What?!! No.', false],
    ['but at the very end, two', { num_sentences: 3 }, 'What? No!!!', true],
    ['a mark without a space ends none', { num_sentences: 2 }, 'One.Two', false],
    ['a full stop of Chinese ends none', { num_sentences: 2 }, '一。二。', false],
  ],
  'length_constraints:number_paragraphs': [
    ['between dividers', { num_paragraphs: 2 }, 'a\n***\nb', true],
    ['dividers at the ends', { num_paragraphs: 1 }, '***\na\n***', true],
    [
      'nothing between two',
      { num_paragraphs: 2 },
      'a\n***\n***\nb',
      false,
      'an empty paragraph between two dividers',
    ],
    ['exactly', { num_paragraphs: 1 }, 'a *** b', false, '2 paragraphs; exactly 1 wanted'],
    ['empty lines are none', { num_paragraphs: 2 }, 'a\n\nb', false],
  ],
  'length_constraints:number_words': [
    ['enough', { num_words: 3 }, 'one two three', true, '3 words; at least 3 wanted'],
    ['apostrophes and hyphens part', { num_words: 4 }, "don't X-ray", true],
    ['underscores and digits do not', { num_words: 2 }, 'snake_case42', false],
    ['marks that combine do not', { num_words: 2 }, 'e\u0301te\u0301', false],
    ['Chinese has no spaces', { num_words: 2 }, '今朝市場', false],
    ['less than', { num_words: 3, relation: 'less than' }, 'one two', true],
  ],
  'length_constraints:nth_paragraph_first_word': [
    [
      'there',
      { num_paragraphs: 2, nth_paragraph: 2, first_word: 'sea' },
      'Land.\n\nSea, blue.',
      true,
    ],
    [
      'another word',
      { num_paragraphs: 1, nth_paragraph: 1, first_word: 'sea' },
      'Land.',
      false,
      '1 paragraph; exactly 1 wanted; paragraph 1 begins with "land"; "sea" wanted',
    ],
    ['in quotation marks', { num_paragraphs: 1, first_word: 'sea' }, '\'"sea" it is', true],
    ['the other way round', { num_paragraphs: 1, first_word: 'sea' }, "\"'sea' it is", false],
    ['asterisks stay', { num_paragraphs: 1, first_word: 'sea' }, '*sea*', false],
    ['cut at the apostrophe', { num_paragraphs: 1, first_word: 'don' }, "Don't", true],
    [
      'no such paragraph',
      { num_paragraphs: 1, nth_paragraph: 2, first_word: 'sea' },
      'sea',
      false,
      '1 paragraph; exactly 1 wanted; there is no paragraph 2',
    ],
    [
      'empty ones count for the place, not for the number',
      { num_paragraphs: 2, nth_paragraph: 2, first_word: 'b' },
      'a\n\n\n\nb',
      false,
    ],
    [
      'a long word is still another',
      { num_paragraphs: 1, first_word: 'a'.repeat(70) },
      'a'.repeat(71),
      false,
    ],
  ],
  'detectable_content:number_placeholders': [
    ['enough', { num_placeholders: 2 }, '[name], [place]', true],
    ['too few', { num_placeholders: 2 }, '[a]', false, '1 placeholder; at least 2 wanted'],
    ['empty ones count', { num_placeholders: 1 }, '[]', true],
    ['one within another is one', { num_placeholders: 2 }, '[[a]]', false],
    ['not over lines', { num_placeholders: 1 }, '[a\nb]', false],
  ],
  'detectable_content:postscript': [
    ['there', { postscript_marker: 'P.S.' }, 'Bye.\n\nP.S. Me too.', true, 'has "P.S."'],
    ['in small letters, with a space', { postscript_marker: 'P.S.' }, 'p. s. me', true],
    ['anywhere', { postscript_marker: 'P.S.' }, 'the p.s. is here', true],
    ['missing', { postscript_marker: 'P.S.' }, 'PS: me', false, 'no postscript with "P.S."'],
    ['the last stop of P.P.S may be missing', { postscript_marker: 'P.P.S' }, 'p.p.s', true],
    ['other marks are text', { postscript_marker: 'N.B.' }, 'nxbx', false],
    ['no mark: P.S.', {}, 'P.S. me', true],
  ],
  'detectable_format:number_bullet_lists': [
    ['both bullets', { num_bullets: 2 }, '* a\n- b', true],
    ['exactly', { num_bullets: 1 }, '* a\n* b', false, '2 bullet points; exactly 1 wanted'],
    ['a bold line is none', { num_bullets: 1 }, '**a**', false],
    ['a dash in a line is none', { num_bullets: 1 }, 'a - b', false],
    ['a rule is one', { num_bullets: 1 }, '---', true],
    ['a lone asterisk needs a character', { num_bullets: 1 }, 'a\n*', false],
    ['which may be the end of its line', { num_bullets: 1 }, '*\n* a', true],
    ['a lone dash needs none', { num_bullets: 1 }, 'a\n-', true],
  ],
  'detectable_format:constrained_response': [
    ['one of three', {}, 'My answer is yes.', true, 'has "My answer is yes."'],
    ['among other text', {}, 'Well. My answer is maybe. So.', true],
    ['letter by letter', {}, 'My answer is Yes.', false],
  ],
  'detectable_format:number_highlighted_sections': [
    ['one asterisk', { num_highlights: 2 }, '*a* and *b*', true],
    ['two on each side count once', { num_highlights: 2 }, '**a**', false],
    ['space is nothing', { num_highlights: 1 }, '* * ** **', false],
    ['not over lines', { num_highlights: 1 }, '*a\nb*', false],
    ['an asterisk belongs to one', { num_highlights: 2 }, '*a*b*', false],
  ],
  'detectable_format:multiple_sections': [
    ['numbered', { section_spliter: 'Section', num_sections: 2 }, 'Section 1\na\nSection 2', true],
    ['without numbers', { section_spliter: 'Section', num_sections: 1 }, 'Section A', false],
    ['in its own case', { section_spliter: 'Section', num_sections: 1 }, 'SECTION 1', false],
    ['digits of any script', { section_spliter: 'Day', num_sections: 1 }, 'Day ٣', true],
    ['splitters are text', { section_spliter: 'Part (', num_sections: 1 }, 'Part (1)', true],
  ],
  'detectable_format:json_format': [
    ['JSON', {}, '{"a": [1, 2.5e3, null]}', true, 'JSON'],
    ['in a fence', {}, '```json\n{"a": 1}\n```', true],
    ['a text alone', {}, '"a"', true],
    ['words before it', {}, 'Here: {"a": 1}', false, 'not JSON'],
    ['a comma too many', {}, '[1,]', false],
    ['numbers that Python knows', {}, '[NaN, -Infinity, "NaN"]', true],
    ['but not within others', {}, '[1NaN]', false],
    ['a byte order mark', {}, '\ufeff{}', false],
    ['deep', {}, '['.repeat(20_000) + ']'.repeat(20_000), true],
    ['only a quotation mark and escapes', {}, '"\\"\\"', false],
  ],
  'detectable_format:title': [
    ['there', {}, 'So: <<Joy>>\nand on', true, 'has a title'],
    ['empty', {}, '<<>>', false],
    ['blank', {}, '<<\u00a0>>', false],
    ['brackets alone', {}, '<<<>>>', false],
    ['over lines', {}, '<<a\nb>>', false, 'no title such as <<title>>'],
    ['closed before it opens', {}, '>>a<<', false],
  ],
  'combination:two_responses': [
    ['two', {}, 'a\n******\nb', true, '2 responses'],
    ['the same twice', {}, 'a\n******\n a', false, 'the 2 responses are the same'],
    ['three', {}, 'a******b******c', false, '3 responses; 2 wanted'],
    ['marks at the ends', {}, '******a******b******', true],
    ['nothing between', {}, 'a************b', false, 'an empty response between two marks'],
  ],
  'combination:repeat_prompt': [
    ['word for word', { prompt_to_repeat: 'Say hi.' }, 'Say hi. Hi!', true],
    ['in any case', { prompt_to_repeat: ' Say hi. ' }, '\nSAY HI.', true],
    ['after a quotation mark', { prompt_to_repeat: 'Say hi.' }, '"Say hi."', false],
  ],
  'startend:end_checker': [
    ['there', { end_phrase: 'The end.' }, 'So. THE END.', true],
    ['in quotation marks', { end_phrase: 'The end.' }, '"So. The end.""', true],
    [
      'more follows',
      { end_phrase: 'The end.' },
      'The end. Bye',
      false,
      'ends with "end. bye"; "The end." wanted',
    ],
  ],
  'startend:quotation': [
    ['in them', {}, ' "a" ', true],
    ['two alone', {}, '""', true],
    ['one alone', {}, '"', false],
    ['curly', {}, '“a”', false, 'no quotation marks around the response'],
  ],
  'change_case:capital_word_frequency': [
    ['enough', { capital_frequency: 2 }, 'NASA and the U.S. agree', true],
    ['with a hyphen one', { capital_frequency: 2 }, 'X-RAY', false],
    ['with an ending two', { capital_frequency: 2 }, "DON'T go", true],
    ['the pronoun counts', { capital_frequency: 1 }, 'So did I', true],
    ['digits alone do not', { capital_frequency: 1 }, '42', false],
    ['no mixture', { capital_frequency: 1 }, 'McX iPHONE', false],
    ['the same word in two', { capital_frequency: 2 }, 'CANNOT', true],
    ['a title-case letter is none', { capital_frequency: 1 }, 'ǅ', false],
    [
      'less than',
      { capital_frequency: 1, capital_relation: 'less than' },
      'NO',
      false,
      '1 word in capitals; less than 1 wanted',
    ],
  ],
  'change_case:english_capital': [
    ['capitals', {}, 'ALL OF IT, 42!', true],
    ['one small letter', {}, 'ALL oF IT', false, 'has a small o'],
    ['no letters', {}, '42', false, 'no letters'],
    ['another language', {}, 'SALZ UND BROT', false, 'German; English wanted'],
  ],
  'change_case:english_lowercase': [
    ['small letters', {}, 'all of it, 42!', true],
    ['one capital', {}, 'all Of it', false, 'has a capital O'],
    ['no letters', {}, '42', false, 'no letters'],
    ['another language', {}, 'salz und brot', false],
  ],
  'punctuation:no_comma': [
    ['none', {}, 'No; none.', true],
    ['three', {}, 'a, b, c,', false, '3 commas; none allowed'],
    ['those of other scripts are none', {}, '一，二、٬', true],
  ],
};

describe.each(Object.entries(specification))('%s', (id, rows) => {
  const cases = rows.map(([name, kwargs, response, satisfied, detail]) => ({
    ...{ name, kwargs, response },
    expected: detail === undefined ? { satisfied } : { satisfied, detail },
  }));
  test.each(cases)('$name', ({ kwargs, response, expected }) => {
    expect(verdictOn(id, kwargs, response)).toMatchObject(expected);
  });
});

test.each(Object.keys(specification))('%s: an empty response satisfies nothing', (id) => {
  const kwargs = specification[id]?.[0]?.[1] ?? {};
  for (const response of ['', ' \n', '\u00a0\u001c\u0085\u2028']) {
    expect(verdictOn(id, kwargs, response)).toEqual({
      satisfied: false,
      detail: 'the response is empty',
    });
  }
});
