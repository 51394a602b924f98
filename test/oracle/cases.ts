import { check } from '../../infra/constraints/index.ts';
import type { Constraint } from '../../processors/rules/constraints/constraint.ts';
import { Chance } from './chance.ts';
import { dressed, inLanguage, json, languages, mutated, prose, response, word } from './texts.ts';

/** A response to judge: the benchmark's data has the prompt, too. */
export interface Case {
  readonly id: string;
  readonly kwargs: Readonly<Record<string, unknown>>;
  readonly prompt: string;
  readonly response: string;
}

type Kwargs = Case['kwargs'];

/** Random arguments of a family, and a text changed so that it may well satisfy them. */
interface Maker {
  readonly kwargs: (chance: Chance) => Kwargs;
  readonly satisfy: (chance: Chance, text: string, kwargs: never) => string;
}

const maker = <Args extends Kwargs>(
  kwargs: (chance: Chance) => Args,
  satisfy: (chance: Chance, text: string, kwargs: Args) => string = (_chance, text) => text,
): Maker => ({ kwargs, satisfy });

const relation = (chance: Chance) => chance.pick(['at least', 'less than']);
const keyword = (chance: Chance): string =>
  chance
    .pick([
      word(chance),
      'river',
      'THE',
      'time',
      'a.b',
      'C++',
      '(sic)',
      'straße',
      'İ',
      'kilo',
      'kılo',
      'kiss',
      'e\u0301',
      '日本',
      'two words',
      '[x]',
      'Σ',
      '😀',
      '$5',
      '_',
      'na\u00efve',
      'don’t',
      'a'.repeat(chance.whole(1, 3)),
    ])
    .trim() || 'river';
const keywords = (chance: Chance) => chance.several(1, 3, () => keyword(chance));
const anyCase = (chance: Chance, text: string): string =>
  chance.pick([text, text.toUpperCase(), text.toLowerCase(), `${text}s`, `x${text}`, `_${text}`]);
/** Puts something between two words. */
function within(chance: Chance, text: string, part: string): string {
  const place = text.indexOf(' ', chance.whole(0, text.length));
  return place < 0 ? `${text} ${part}` : `${text.slice(0, place)} ${part}${text.slice(place)}`;
}
const numbered = (chance: Chance, name: string, most: number) => ({
  [name]: chance.whole(1, most),
});

export const makers: Readonly<Record<string, Maker>> = {
  'keywords:existence': maker(
    (chance) => ({ keywords: keywords(chance) }),
    (chance, text, { keywords }) =>
      keywords.reduce((longer, key) => within(chance, longer, anyCase(chance, key)), text),
  ),
  'keywords:frequency': maker(
    (chance) => ({
      keyword: keyword(chance),
      frequency: chance.whole(1, 4),
      relation: relation(chance),
    }),
    (chance, text, { keyword }) =>
      chance
        .several(0, 5, () => anyCase(chance, keyword))
        .reduce((longer, key) => within(chance, longer, key), text),
  ),
  'keywords:forbidden_words': maker(
    (chance) => ({ forbidden_words: keywords(chance) }),
    (chance, text, { forbidden_words: forbidden }) =>
      chance.happens(0.5) ? text : within(chance, text, anyCase(chance, chance.pick(forbidden))),
  ),
  'keywords:letter_frequency': maker((chance) => ({
    letter: chance.pick(Array.from('abcdeijkqstxyzABIKSZ')),
    let_frequency: chance.whole(1, 40),
    let_relation: relation(chance),
  })),
  'language:response_language': maker(
    (chance) => ({ language: chance.pick(languages) }),
    (chance, text, { language }) => (chance.happens(0.9) ? inLanguage(chance, language) : text),
  ),
  'length_constraints:number_sentences': maker((chance) => ({
    num_sentences: chance.whole(1, 15),
    relation: relation(chance),
  })),
  'length_constraints:number_paragraphs': maker(
    (chance) => numbered(chance, 'num_paragraphs', 5),
    (chance, text) =>
      chance
        .several(0, 4, () =>
          chance.pick(['***', '\n***\n', ' *** ', '\n\n***\n\n', '****', '\u00a0***\u001c']),
        )
        .reduce(
          (parts, divider) => parts + divider + (chance.happens(0.9) ? prose(chance) : ''),
          text,
        ),
  ),
  'length_constraints:number_words': maker((chance) => ({
    num_words: chance.whole(1, 120),
    relation: relation(chance),
  })),
  'length_constraints:nth_paragraph_first_word': maker(
    (chance) => {
      const paragraphs = chance.whole(1, 5);
      return {
        num_paragraphs: paragraphs,
        nth_paragraph: chance.whole(1, paragraphs),
        first_word: chance.pick(['river', 'The', 'ÉCOLE', 'İstanbul', "don't", 'ΣΑΣ', 'x-ray']),
      };
    },
    (chance, _text, { num_paragraphs: wanted, nth_paragraph: nth, first_word: first }) =>
      Array.from({ length: wanted + chance.pick([0, 0, 0, 0, 1, -1]) }, (_, index) => {
        const begins = index === nth - 1 && chance.happens(0.9);
        const mark = chance.pick(['', '', '', '"', "'", '\'"', '"\'', '* ', '“']);
        const after = chance.pick([' ', ', ', '. ', '! ', '\n', '\t', '\u00a0', ' ', '-', '"']);
        const body = prose(chance).replaceAll('\n\n', '\n');
        return begins ? mark + chance.pick([first, first.toUpperCase()]) + after + body : body;
      }).join(chance.pick(['\n\n', '\n\n', '\n\n', '\n\n\n', '\n\n\n\n', '\n \n'])),
  ),
  'detectable_content:number_placeholders': maker(
    (chance) => numbered(chance, 'num_placeholders', 5),
    (chance, text) =>
      chance
        .several(0, 5, () =>
          chance.pick(['[name]', '[]', '[[x]]', '[a', 'b]', '[a\nb]', '[a](b)', '] [']),
        )
        .reduce((longer, part) => within(chance, longer, part), text),
  ),
  'detectable_content:postscript': maker(
    (chance) => ({
      postscript_marker: chance.pick(['P.S.', 'P.P.S', 'P.P.S', 'P.S', 'PS:', 'P.P.S.', 'Note*']),
    }),
    (chance, text, { postscript_marker: marker }) =>
      `${text}${chance.pick(['\n\n', ' ', ''])}` +
      chance.pick([
        marker,
        marker.toLowerCase(),
        'P. S.',
        'p.p.s.',
        'P. P. S',
        'P.\u00a0S.',
        'P.\nS. x',
        'pXs',
      ]) +
      ` ${prose(chance)}`,
  ),
  'detectable_format:number_bullet_lists': maker(
    (chance) => numbered(chance, 'num_bullets', 6),
    (chance, text) =>
      [
        text,
        ...chance.several(
          0,
          6,
          () =>
            chance.pick([
              '* ',
              '- ',
              '*',
              '-',
              '  * ',
              '\t-',
              '** ',
              '*\n',
              '\n\n* ',
              '*\n\n* ',
              '• ',
              '\u00a0- ',
            ]) + (chance.happens(0.9) ? word(chance) : ''),
        ),
      ].join('\n'),
  ),
  'detectable_format:constrained_response': maker(
    () => ({}),
    (chance, text) =>
      chance.pick([
        'My answer is yes.',
        'My answer is no.',
        'My answer is maybe.',
        'My answer is Yes.',
        'My answer is no',
      ]) + (chance.happens(0.5) ? ` ${text}` : ''),
  ),
  'detectable_format:number_highlighted_sections': maker(
    (chance) => numbered(chance, 'num_highlights', 6),
    (chance, text) =>
      chance
        .several(0, 5, () =>
          chance.pick([
            '*a b*',
            '**a b**',
            '***a***',
            '* *',
            '** **',
            '**',
            '****',
            '*a\nb*',
            '*a',
            '_a_',
            '*\u00a0*',
            '*a**b*',
          ]),
        )
        .reduce((longer, part) => within(chance, longer, part), text),
  ),
  'detectable_format:multiple_sections': maker(
    (chance) => ({
      section_spliter: chance.pick([
        'Section',
        'SECTION',
        'Day',
        'PARAGRAPH',
        'Audience',
        '§',
        'Part (',
        '1',
        '*',
      ]),
      num_sections: chance.whole(1, 5),
    }),
    (chance, text, { section_spliter: splitter }) =>
      chance
        .several(0, 5, () => splitter)
        .reduce(
          (longer, mark, index) =>
            `${longer}${chance.pick(['\n', ' ', ''])}${mark}${chance.pick([' ', '', '\n', '\u00a0', '  '])}` +
            `${chance.pick([String(index + 1), '٣', 'X', 'IV', '1 2'])} ${word(chance)}`,
          text,
        ),
  ),
  'detectable_format:json_format': maker(
    () => ({}),
    (chance) => (chance.happens(0.01) ? '['.repeat(5e4) + ']'.repeat(5e4) : json(chance)),
  ),
  'detectable_format:title': maker(
    () => ({}),
    (chance, text) =>
      within(
        chance,
        text,
        chance.pick([
          '<<joy>>',
          '<<>>',
          '<<<>>>',
          '<< >>',
          '<<a\nb>>',
          '<a>',
          '<<<a>>>',
          '<<a>',
          '>><<',
          '<<\u00a0>>',
          '<<a>> >>',
          '<<>>>',
        ]),
      ),
  ),
  'combination:two_responses': maker(
    () => ({}),
    (chance, text) => {
      const other = chance.happens(0.15) ? ` ${text}\n` : prose(chance);
      const mark = chance.pick(['******', '\n******\n', '*****', '*******', '************']);
      return `${chance.pick(['', '', '', mark])}${text}${mark}${other}${chance.pick(['', '', mark, `${mark} \n`])}`;
    },
  ),
  'combination:repeat_prompt': maker(
    (chance) => ({
      prompt_to_repeat: chance.pick([prose(chance), ' İs this? ', 'Σ ΑΣ', 'Write two words.']),
    }),
    (chance, text, { prompt_to_repeat: prompt }) =>
      `${chance.pick(['', '', '', '"', '\n', '\u00a0', '*'])}${chance.pick([prompt, prompt.trim(), prompt.toUpperCase()])} ${text}`,
  ),
  'startend:end_checker': maker(
    (chance) => ({
      end_phrase: chance.pick([
        'Any other questions?',
        'İs it?',
        ' ΣΑΣ ',
        'The end.',
        '"',
        'a"',
        'I *am* done',
      ]),
    }),
    (chance, text, { end_phrase: phrase }) =>
      `${text} ${chance.pick([phrase, phrase.toUpperCase(), phrase.trim()])}${chance.pick(['', '', '"', '""', ' ', '.', '\n\u001c', '" '])}`,
  ),
  'startend:quotation': maker(
    () => ({}),
    (chance, text) =>
      chance.pick(['"', '"', '"', '“', "'", ' "', '\u001c"']) +
      text +
      chance.pick(['"', '"', '"', '”', '" ', '".', '"\ufeff']),
  ),
  'change_case:capital_word_frequency': maker(
    (chance) => ({ capital_frequency: chance.whole(1, 20), capital_relation: relation(chance) }),
    (chance, text) => (chance.happens(0.2) ? text.toUpperCase() : text),
  ),
  'change_case:english_capital': maker(
    () => ({}),
    (chance, text) => (chance.happens(0.5) ? inLanguage(chance, 'en') : text).toUpperCase(),
  ),
  'change_case:english_lowercase': maker(
    () => ({}),
    (chance, text) => (chance.happens(0.7) ? inLanguage(chance, 'en') : text).toLowerCase(),
  ),
  'punctuation:no_comma': maker(
    () => ({}),
    (chance, text) => (chance.happens(0.6) ? text.replaceAll(',', '') : text),
  ),
};

/** The argument of a family that says how many. */
const amounts = [
  ...[
    'frequency',
    'let_frequency',
    'num_sentences',
    'num_paragraphs',
    'num_words',
    'num_placeholders',
  ],
  ...['num_bullets', 'num_highlights', 'num_sections', 'capital_frequency'],
];

/** What our own checker counted: a case that wants just as many finds out whether the benchmark counts the same. */
function countedIn(constraint: Constraint, text: string): number | null {
  const { detail } = check(constraint, text);
  const [, count] = /(\d+)[^;]*; (?:at least|less than|exactly) \d+ wanted$/.exec(detail) ?? [];
  return count === undefined ? null : Number(count);
}

function atTheEdge(
  chance: Chance,
  constraint: { id: string; kwargs: Kwargs },
  text: string,
): Kwargs {
  const amount = amounts.find((name) => name in constraint.kwargs);
  const count = amount === undefined || chance.happens(0.3) ? null : countedIn(constraint, text);
  if (amount === undefined || count === null) return constraint.kwargs;
  return { ...constraint.kwargs, [amount]: Math.max(1, count + chance.pick([0, 0, 1])) };
}

/** An answer to constraints: some of them satisfied, then mangled. */
function answer(chance: Chance, constraints: readonly Constraint[]): string {
  let text = response(chance);
  for (const { id, kwargs = {} } of constraints) {
    if (chance.happens(0.8)) text = makers[id]?.satisfy(chance, text, kwargs as never) ?? text;
  }
  if (chance.happens(0.3)) text = mutated(chance, text);
  return chance.happens(0.25) ? dressed(chance, text) : text;
}

/** Chance of its own for each name: what is added to one does not change another. */
export const keyed = (seed: number, name: string): Chance =>
  new Chance(Array.from(name).reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) | 0, seed));

/** Responses to one constraint each, as many for each family. */
export function* casesOfFamilies(each: number, seed: number): Generator<Case> {
  for (const [id, { kwargs: draw }] of Object.entries(makers)) {
    const chance = new Chance(seed);
    for (let index = 0; index < each; index++) {
      const kwargs = draw(chance);
      const text = answer(chance, [{ id, kwargs }]);
      yield { id, kwargs: atTheEdge(chance, { id, kwargs }, text), prompt: '', response: text };
    }
  }
}

/** A row of the benchmark's data. */
export interface Row {
  readonly prompt: string;
  readonly instruction_id_list: readonly string[];
  readonly kwargs: readonly Kwargs[];
}

/** Rows in the shape of the benchmark's data, for where its file is not at hand. */
export function* rowsMade(rows: number, seed: number): Generator<Row> {
  const chance = new Chance(seed);
  for (let index = 0; index < rows; index++) {
    const ids = [...new Set(chance.several(1, 3, () => chance.pick(Object.keys(makers))))];
    yield {
      prompt: prose(chance),
      instruction_id_list: ids,
      kwargs: ids.map((id) => makers[id]?.kwargs(chance) ?? {}),
    };
  }
}

/** Every constraint of a row with several answers that aim at all of them. */
export function* casesOfRows(rows: Iterable<Row>, answers: number, seed: number): Generator<Case> {
  const chance = new Chance(seed);
  for (const { prompt, instruction_id_list: ids, kwargs } of rows) {
    const constraints = ids.map((id, index) => ({ id, kwargs: kwargs[index] ?? {} }));
    for (let index = 0; index < answers; index++) {
      const text = answer(chance, constraints);
      for (const constraint of constraints) yield { ...constraint, prompt, response: text };
    }
  }
}

/** A file of responses, as a model might have written it: one to each row, some of them good. */
export function* responsesTo(
  rows: Iterable<Row>,
  seed: number,
): Generator<Row & { response: string }> {
  const chance = new Chance(seed);
  for (const row of rows) {
    const { instruction_id_list: ids, kwargs } = row;
    const constraints = ids.map((id, index) => ({ id, kwargs: kwargs[index] ?? {} }));
    yield { ...row, response: answer(chance, constraints) };
  }
}

/** A text changed so that it may well keep to one more constraint. */
export const aimedAt = (chance: Chance, text: string, { id, kwargs = {} }: Constraint): string =>
  makers[id]?.satisfy(chance, text, kwargs as never) ?? text;
