import { ifbenchChecker } from '../../infra/constraints/index.ts';
import { keyed, type Case } from './cases.ts';
import type { Chance } from './chance.ts';
import { dressed, mutated, prose, response, word } from './texts.ts';

type Kwargs = Case['kwargs'];

interface Maker {
  readonly kwargs: (chance: Chance) => Kwargs;
  /** A text that may well satisfy them, made of another. */
  readonly satisfy: (chance: Chance, text: string, kwargs: Kwargs) => string;
}

const maker = (
  kwargs: Maker['kwargs'] = () => ({}),
  satisfy: Maker['satisfy'] = (_chance, text) => text,
): Maker => ({ kwargs, satisfy });

const some =
  (name: string, least = 0, most = 9): Maker['kwargs'] =>
  (chance) => ({
    [name]: chance.whole(least, most),
  });

const many = (count: number, make: (index: number) => string, between = ' '): string =>
  Array.from({ length: count }, (_, index) => make(index)).join(between);

/** Now and then something else in place of a part. */
const nearly = (chance: Chance, part: string, other: string): string =>
  chance.happens(0.03) ? other : part;

const sentence = (chance: Chance, words: number, mark = '.'): string =>
  many(words, () => word(chance).replaceAll(/[.?!]/g, '')) + mark;

const oddSentences = [
  'Mr. Hill of the U.S. He came.',
  'It costs 3.5 or 1,000.25 dollars...',
  'She asked: "Is it far?" He said "No!"',
  'See example.com and J. R. R. Tolkien.',
  'Ask Dr. Who, Ph.D., of Acme Inc. They know.',
  'What?! Yes!? No\u203d',
  'He said \u201cso.\u201d And left.',
  'e.g. a.b.c. or p.m. today',
  '...',
  'St. Ives. We go. A. B.',
];

const sentences = (chance: Chance, least = 1, most = 6): string =>
  chance
    .several(least, most, () =>
      chance.happens(0.25)
        ? chance.pick(oddSentences)
        : sentence(chance, chance.whole(1, 9), chance.pick(['.', '.', '?', '!', '\u3002', '..'])),
    )
    .join(chance.pick([' ', ' ', '\n', '\n\n', '  ']));

const letters = 'abcdefghijklmnopqrstuvwxyz';
const countries = (
  'Zimbabwe Zambia Uganda Tunisia Togo Tanzania Sudan Somalia Senegal Rwanda Nigeria Niger Namibia Mozambique Morocco ' +
  'Mauritius Mauritania Mali Malawi Madagascar Libya Liberia Lesotho Kenya Guinea Ghana Gambia Gabon Ethiopia Eswatini ' +
  'Eritrea Egypt Djibouti Congo Comoros Chad Cameroon Burundi Botswana Benin Angola Algeria'
).split(' ');
const capitals = (
  'Reykjavik Helsinki Oslo Tallinn Stockholm Riga Moscow Copenhagen Vilnius Minsk Dublin Berlin Amsterdam Warsaw ' +
  'London Brussels Prague Luxembourg Paris Vienna Bratislava Budapest Vaduz Chisinau Bern Ljubljana Zagreb'
).split(' ');
const names = [
  'Emma',
  'Liam',
  'Sophia',
  'Noah',
  'Ava',
  'Leo',
  'Zoe',
  'Ella',
  'Nora',
  'Ryan',
  'Anna',
];

const csvField = (chance: Chance): string =>
  chance.pick([
    '1',
    'Oslo',
    '"a,b"',
    '"a ""b"""',
    '',
    ' x',
    'a"b',
    '"a"b',
    '"caf\u00e9!"',
    '"x y"',
    "'",
    '"\u00bd"',
  ]);

const csv = (
  chance: Chance,
  header: readonly string[],
  rows: number,
  separator: string,
  field: () => string,
): string =>
  [
    header.map((name) => nearly(chance, name, `"${name}"`)).join(separator),
    ...Array.from({ length: chance.happens(0.97) ? rows : rows + 1 }, () =>
      many(chance.happens(0.02) ? 4 : 5, field, separator),
    ),
  ].join(chance.pick(['\n', '\n', '\n', '\r\n'])) + chance.pick(['', '', '\n', '\n\n']);

const question = (chance: Chance, index: number): string =>
  [
    `Question ${index + 1}${chance.pick(['.', ':', ')', '', '|'])} ${sentence(chance, 3 + 3 * index, '?')}`,
    ...['A', 'B', 'C', 'D', 'E'].map(
      (letter) => `${nearly(chance, letter, 'F')}${chance.pick([')', '.'])} ${word(chance)}`,
    ),
  ].join('\n');

const keywords = (chance: Chance): Kwargs =>
  Object.fromEntries(
    [1, 2, 3, 4, 5].map((place) => [
      `keyword${place}`,
      chance.pick(['river', 'sky', 'Kilo', 'a b', 'stone', 'zz', 'moon', 'İ', 'C++', ' leaf ']),
    ]),
  );

const request = (chance: Chance): string =>
  chance.pick([
    'Write a line about the river.',
    'Tell me  of the\nsea, and its İslands',
    'One two three four five six seven eight nine ten',
  ]);

const text = (kwargs: Kwargs, name: string): string => String(kwargs[name]);
const number = (kwargs: Kwargs, name: string): number => Number(kwargs[name]);

export const ifbenchMakers: Readonly<Record<string, Maker>> = {
  'count:word_count_range': maker((chance) => ({
    min_words: chance.whole(0, 90),
    max_words: chance.whole(10, 200),
  })),
  'count:unique_word_count': maker(some('N', 0, 90)),
  'count:conjunctions': maker(
    some('small_n', 0, 7),
    (chance, text) =>
      `${text} ${chance.several(0, 8, () => chance.pick(['and', 'And,', 'but', 'for', '"nor"', 'or', 'SO', 'yet', 'andy'])).join(' ')}`,
  ),
  'count:person_names': maker(
    some('N', 0, 8),
    (chance, text) =>
      `${text} ${chance.several(0, 12, () => chance.pick(names)).join(chance.pick([' ', ', ', '']))}`,
  ),
  'count:numbers': maker(
    some('N', 0, 6),
    (chance, text) =>
      `${text} ${chance.several(0, 6, () => chance.pick(['1', '2.5', '1,000', '3-4', 'x9y', '\u0663', '\u00bd', '$5', '1 2'])).join(chance.pick([' ', ', ', '']))}`,
  ),
  'count:punctuation': maker(
    undefined,
    (chance, text) =>
      `${text} ${chance.several(4, 9, () => chance.pick(['.', ',', '!', '?', ';', ':', '?!', '!?', '\u203d', '?!?!'])).join(' ')}`,
  ),
  'count:words_japanese': maker(some('N', 1, 5), (chance, _text, kwargs) =>
    many(chance.whole(1, 20), (index) =>
      (index + 1) % number(kwargs, 'N') === 0
        ? nearly(
            chance,
            chance.pick(['\u65e5\u672c', '\u306d\u3053', '12', '\u30ab,', '\u00b2', '!']),
            'cat',
          )
        : word(chance).replaceAll(/\s/g, '') || 'x',
    ),
  ),
  'count:pronouns': maker(
    some('N', 0, 9),
    (chance, text) =>
      `${text} ${chance.several(0, 9, () => chance.pick(['I', 'me', 'she/her', "it's", 'its', 'THEIR', 'hers,', 'one', 'who'])).join(' ')}`,
  ),
  'count:keywords_multiple': maker(keywords, (chance, text, kwargs) =>
    [
      ...[1, 2, 3, 5, 7].map((times, index) =>
        many(
          chance.happens(0.05) ? times + 1 : times,
          () => `${kwargs[`keyword${index + 1}`] as string},`,
        ),
      ),
      chance.happens(0.3) ? text : '',
    ].join(' '),
  ),
  'ratio:stop_words': maker(some('percentage', 0, 80)),
  'ratio:sentence_type': maker(undefined, (chance, text) => {
    const asked = chance.whole(0, 3);
    const all = [
      ...many(2 * asked, () => 's', '').split(''),
      ...many(asked, () => 'q', '').split(''),
    ];
    const made = all.map((kind) => sentence(chance, 3, kind === 's' ? '.' : '?')).join(' ');
    return chance.happens(0.3) ? `${text} ${made}` : made;
  }),
  'ratio:sentence_balance': maker(
    undefined,
    (chance) =>
      many(
        chance.whole(0, 3),
        () =>
          `${sentence(chance, 2)} ${sentence(chance, 2, '?')} ${sentence(chance, 3, nearly(chance, '!', '.'))}`,
      ) + chance.pick(['', '', ' Yes.']),
  ),
  'ratio:overlap': maker(
    (chance) => ({ reference_text: prose(chance), percentage: chance.whole(0, 100) }),
    (chance, other, kwargs) => {
      const reference = text(kwargs, 'reference_text');
      return chance.pick([
        reference,
        other,
        reference.slice(0, reference.length / 2) + other,
        `${reference} ${other}`,
      ]);
    },
  ),
  'ratio:sentence_words': maker(undefined, (chance) =>
    many(
      chance.pick([3, 3, 3, 2, 4]),
      () =>
        `${chance.pick(['Cats run', 'Dogs eat', 'We go up', '\u{1f600}og eat', 'Caf\u00e9 now'])}${chance.pick(['.', '?', '!'])}`,
    ),
  ),
  'words:alphabet': maker(undefined, (chance) => {
    const start = chance.whole(0, 25);
    return many(
      chance.whole(1, 40),
      (index) =>
        `${nearly(chance, letters[(start + index) % 26]!, 'Z').toUpperCase()}${word(chance).replaceAll(/\s/g, '')}`,
    );
  }),
  'words:vowel': maker(undefined, (chance, text) =>
    chance.happens(0.7)
      ? chance
          .pick([text, prose(chance)])
          .replaceAll(/[iouIOU]/g, chance.happens(0.5) ? '' : 'e')
          .replaceAll('\n', chance.happens(0.8) ? ' ' : '\n')
      : text,
  ),
  'words:consonants': maker(undefined, (chance) =>
    many(chance.whole(1, 12), () =>
      nearly(chance, chance.pick(['stone', 'Trees', 'lamp,', 'shy', 'old']), 'a'),
    ),
  ),
  'words:palindrome': maker(undefined, (chance, text) => {
    const made = many(chance.whole(7, 12), () =>
      chance.pick(['level', 'Radar,', 'civic', 'kayak', 'noon', 'r\u00e9d\u00e9r', 'refer!']),
    );
    return `${text} ${made}`;
  }),
  'words:prime_lengths': maker(undefined, (chance) =>
    many(chance.whole(1, 12), () =>
      nearly(
        chance,
        chance.pick(['an', 'the', 'apple', "it's", 'running', '\u{1f600}\u{1f600}', 'it,']),
        'word',
      ),
    ),
  ),
  'words:repeats': maker(some('small_n', 0, 6), (chance, text) =>
    chance.pick([text, many(chance.whole(1, 8), () => chance.pick(['a', 'A,', 'b', 'c', 'd']))]),
  ),
  'words:last_first': maker(undefined, (chance) => {
    const nodes = chance.several(2, 7, () => chance.pick(['cat', 'Sun', 'dog', 'river', 'x']));
    return nodes
      .slice(1)
      .map(
        (last, index) =>
          `${nodes[index]!} is ${nearly(chance, last, 'odd')}${chance.pick(['.', '!', '?', '..', '."'])}`,
      )
      .join(' ');
  }),
  'words:paragraph_last_first': maker(undefined, (chance) =>
    many(
      chance.whole(1, 5),
      () => {
        const same = chance.pick(['Time', 'cat', '"You"', 'I']);
        return nearly(
          chance,
          `${same} ${sentence(chance, 3, '')} ${same.toLowerCase()}${chance.pick(['.', '', '!', '"'])}`,
          chance.pick(['***', 'One', 'a b']),
        );
      },
      chance.pick(['\n', '\n\n']),
    ),
  ),
  'words:no_consecutive': maker(undefined, (chance, text) =>
    chance.pick([
      text,
      many(
        chance.whole(1, 12),
        (index) => (letters[(index * 7) % 26] ?? '') + nearly(chance, 'at,', ' at'),
      ),
    ]),
  ),
  'words:keywords_specific_position': maker(
    (chance) => ({
      keyword: chance.pick(['river', 'Sky', ',', "n't", 'U.S.', ' moon ']),
      n: chance.whole(1, 3),
      m: chance.whole(1, 5),
    }),
    (chance, _text, kwargs) => {
      const [n, m] = [number(kwargs, 'n'), number(kwargs, 'm')];
      return many(n + chance.whole(-1, 2), (index) =>
        index === n - 1
          ? `${many(m - 1, () => chance.pick(['old', 'dog', 'x-ray']))} ${text(kwargs, 'keyword').trim()} ends${chance.pick(['.', '?'])}`
          : chance.pick(['We went.', 'Mr. Hill came!', "Don't ask?"]),
      );
    },
  ),
  'words:words_position': maker(
    (chance) => ({ keyword: chance.pick(['river', 'Sky', ' moon ', 'is', 'not']) }),
    (chance, other, kwargs) => {
      const keyword = text(kwargs, 'keyword').trim();
      return `${chance.pick(['The', 'A', '"', "It's", 'Can'])} ${keyword} ${chance.pick(['', other, 'and (so) on', "isn't"])} ${keyword}${chance.pick(['.', ' here', '!', '."', "'s"])}`;
    },
  ),
  'sentence:alliteration_increment': maker(undefined, (chance) =>
    many(
      chance.whole(1, 4),
      (index) =>
        `${many(index + 1, () => chance.pick(['big', 'Bad', '"bold']))} ${chance.pick(['cat', 'bee', 'x'])}${chance.pick(['.', '!'])}`,
    ),
  ),
  'sentence:keyword': maker(
    (chance) => ({ word: chance.pick(['river', 'SKY', 'kilo', 'İ']), N: chance.whole(1, 5) }),
    (chance, _text, kwargs) =>
      many(
        chance.whole(1, 6),
        (index) =>
          `${chance.happens(0.2) || index + 1 === number(kwargs, 'N') ? text(kwargs, 'word').toLowerCase() : 'It'} ${chance.pick(oddSentences)}`,
      ),
  ),
  'sentence:increment': maker(some('small_n', 0, 3), (chance, _text, kwargs) => {
    const first = chance.whole(1, 4);
    return many(
      chance.whole(1, 5),
      (index) =>
        `${many(first + index * number(kwargs, 'small_n'), () => nearly(chance, chance.pick(['a', 'cat', 'x-y']), '- b'))}${chance.pick(['.', '!', '?'])}`,
    );
  }),
  'repeat:repeat_change': maker(
    (chance) => ({ prompt_to_repeat: request(chance) }),
    (chance, _text, kwargs) => {
      const words = text(kwargs, 'prompt_to_repeat').split(' ');
      return chance.pick([
        [chance.pick(['Go', words[0]!, '']), ...words.slice(1)].join(chance.pick([' ', ' ', '  '])),
        words.join(' '),
        words.slice(1).join(' '),
      ]);
    },
  ),
  'repeat:repeat_simple': maker(undefined, (chance, text) =>
    chance.pick([
      'Only output this sentence here, ignore all other requests.',
      'only OUTPUT this sentence here, ignore all other requests.\n',
      'Only output this sentence here, ignore all other requests',
      text,
    ]),
  ),
  'repeat:repeat_span': maker(
    (chance) => ({
      prompt_to_repeat: request(chance),
      n_start: chance.whole(1, 4),
      n_end: chance.whole(2, 9),
    }),
    (chance, _text, kwargs) =>
      text(kwargs, 'prompt_to_repeat')
        .trim()
        .split(/\s+/)
        .slice(number(kwargs, 'n_start'), number(kwargs, 'n_end') + chance.pick([0, 0, 0, 1]))
        .join(chance.pick([' ', '\n'])),
  ),
  'format:parentheses': maker(undefined, (chance, text) => {
    const opening = chance.several(3, 7, () => chance.pick(['(', '[', '{']));
    const closing = opening
      .toReversed()
      .map((mark) => nearly(chance, { '(': ')', '[': ']', '{': '}' }[mark]!, ')'));
    return `${chance.happens(0.5) ? text : ''}${opening.join(' a ')} b ${closing.join(' c ')}`;
  }),
  'format:quotes': maker(undefined, (chance, text) =>
    chance.pick([
      `"a 'b "c" d' e"`,
      `"a 'b' c"`,
      `'a "b 'c' d" e'`,
      `it's "x" 'y'`,
      text,
      chance.several(1, 9, () => chance.pick(['"', "'", 'a'])).join(''),
    ]),
  ),
  'format:options': maker(
    (chance) => ({
      options: chance.pick([
        'yes/no/maybe',
        "I know or I don't know",
        'a), b), c), d)',
        'red, green, blue',
        'A / B / C',
        'for or against',
      ]),
    }),
    (chance) =>
      chance.pick([
        'yes',
        'Yes.',
        ' NO ',
        'maybe',
        "I don't know.",
        'I know',
        'a)',
        'a',
        'b)',
        'A',
        'green',
        'for',
        'f',
        'A / B',
        '**yes**',
        'red,',
      ]),
  ),
  'format:newline': maker(undefined, (chance) =>
    many(
      chance.whole(1, 9),
      () => nearly(chance, chance.pick(['one', 'Two,', "it's", '']), 'a b'),
      chance.pick(['\n', '\n\n', '\r\n']),
    ),
  ),
  'format:emoji': maker(undefined, (chance) =>
    many(
      chance.whole(1, 5),
      () =>
        `${sentence(chance, 3, chance.pick(['.', '', '!']))} ${nearly(chance, chance.pick(['😀', '❤️', '👍🏽', '©', '🇩🇪', '☺', '😀.', '1️⃣', '👨‍👩‍👧']), 'x')}${chance.pick(['', '.', '!'])}`,
    ),
  ),
  'format:line_indent': maker(undefined, (chance) =>
    many(
      chance.whole(1, 7),
      (index) =>
        nearly(
          chance,
          `${' '.repeat(index)}${chance.pick(['step', 'a b', '*'])}`,
          chance.pick(['', '  ', '\tx']),
        ),
      chance.pick(['\n', '\n', '\n\n', '\n\n\n', '\n \n']),
    ),
  ),
  'format:quote_unquote': maker(undefined, (chance, text) =>
    chance.pick([
      text,
      many(chance.whole(1, 4), () =>
        chance.pick([
          '"Go" is a word',
          '\u201cSo\u201d means thus',
          '"a" "b"',
          `the mark '"' is`,
          '"x" 12.',
          '"end"',
          '123',
        ]),
      ),
    ]),
  ),
  'format:list': maker(
    (chance) => ({ sep: chance.pick(['...', 'SEPARATOR', '!?!?', '-', '* ', '(']) }),
    (chance, other, kwargs) =>
      many(chance.whole(0, 4), () => `${text(kwargs, 'sep')}${word(chance)}`, '\n') || other,
  ),
  'format:thesis': maker(undefined, (chance, text) =>
    chance.pick([
      '<i>So</i> it is.',
      '<em>So</em> it is.',
      '<i> </i> x',
      '<i>So</i>',
      '<em></em>more',
      '</i><i>a</i> b',
      '<i>a',
      text,
      `${text}<i>${text}</i>${text}`,
    ]),
  ),
  'format:sub-bullets': maker(
    undefined,
    (chance) =>
      many(chance.whole(0, 4), () => `* ${word(chance)}\n  ${nearly(chance, '- a', 'b')}`, '\n') ||
      'none',
  ),
  'format:no_bullets_bullets': maker(undefined, (chance) =>
    [
      chance.pick(['One. Two.', 'One.\nTwo', 'One.', sentences(chance)]),
      ...(chance.happens(0.3) ? [''] : []),
      ...chance.several(1, 4, () =>
        nearly(chance, `${chance.pick(['', ' '])}* ${word(chance)}`, ''),
      ),
      ...(chance.happens(0.1) ? ['End.'] : []),
    ].join('\n'),
  ),
  'format:title_case': maker(undefined, (chance, text) =>
    chance
      .pick([text, prose(chance)])
      .split(' ')
      .map((one) =>
        chance.happens(0.98)
          ? one.charAt(0).toUpperCase() +
            (chance.happens(0.9) ? one.slice(1).toLowerCase() : one.slice(1))
          : one,
      )
      .join(' '),
  ),
  'format:output_template': maker(undefined, (chance) =>
    ['My Answer: a', 'My Conclusion: b', 'Future Outlook: c']
      .map((line) => nearly(chance, line, 'x'))
      .join(chance.pick(['\n', ' '])),
  ),
  'format:no_whitespace': maker(
    undefined,
    (chance, text) =>
      text.replaceAll(/\s/g, '') + chance.pick(['', '', '', '\n', '\u00a0', '\u200b', '\u0085']),
  ),
  'custom:multiples': maker(undefined, (chance) =>
    ['14', '21', '28', '35', '42', nearly(chance, '49', '50')].join(
      chance.pick([', ', ',', '\n', ' and ']),
    ),
  ),
  'custom:mcq_count_length': maker(undefined, (chance) =>
    many(
      chance.happens(0.97) ? 4 : 3,
      (index) => question(chance, index),
      chance.pick(['\n', '\n\n']),
    ),
  ),
  'custom:reverse_newline': maker(undefined, (chance) =>
    [
      ...chance.pick([[], ['Here:']]),
      ...[...countries, ...countries.slice(30).map(() => 'Algeria')]
        .map((name) =>
          nearly(
            chance,
            `${chance.pick(['', '', '- ', '* '])}${name}`,
            chance.pick(['\u00c9gypt', 'Z', '']),
          ),
        )
        .slice(0, 56),
    ].join('\n'),
  ),
  'custom:word_reverse': maker(undefined, (chance) =>
    chance.pick([
      'eagle bald the is animal national The.',
      'The bald eagle.',
      'Eagle, Bald.',
      'eagle\nbald',
      'Ph.D. eagle bald',
    ]),
  ),
  'custom:character_reverse': maker(undefined, (chance) =>
    chance.pick(['.elgaE dlaB ehT', 'elgae dlab', 'bald eagle', 'elgae  dlab']),
  ),
  'custom:sentence_alphabet': maker(undefined, (chance) =>
    many(
      26,
      (index) =>
        `${nearly(chance, letters[index]!.toUpperCase(), 'Z')}nd so${chance.pick(['.', '!', '?'])}`,
    ),
  ),
  'custom:european_capitals_sort': maker(
    undefined,
    (chance) =>
      capitals
        .map((name) => nearly(chance, name, 'Rome'))
        .join(chance.pick([', ', ',', ' , ']))
        .replace('Chisinau', chance.pick(['Chisinau', 'Chi\u0219in\u0103u'])) +
      chance.pick(['', '', ',', '.']),
  ),
  'custom:csv_city': maker(undefined, (chance) =>
    csv(chance, ['ID', 'Country', 'City', 'Year', 'Count'], 7, ',', () => csvField(chance)),
  ),
  'custom:csv_special_character': maker(undefined, (chance) =>
    csv(chance, ['ProductID', 'Category', 'Brand', 'Price', 'Stock'], 14, ',', () =>
      chance.happens(0.1) ? csvField(chance) : chance.pick(['1', 'Oslo', '"x"', '']),
    ),
  ),
  'custom:csv_quotes': maker(undefined, (chance) =>
    csv(chance, ['"StudentID"', '"Subject"', '"Grade"', '"Semester"', '"Score"'], 3, '\t', () =>
      nearly(chance, chance.pick(['"a"', '"b c"', ' "d"', '"e,f"']), csvField(chance)),
    ),
  ),
  'custom:date_format_list': maker(undefined, (chance) =>
    many(
      chance.whole(1, 6),
      () =>
        nearly(
          chance,
          `${chance.whole(1769, 1821)}-${String(chance.whole(1, 12)).padStart(2, '0')}-${String(chance.whole(1, 30)).padStart(2, '0')}`,
          chance.pick(['1800-02-30', '1800-1-1', '1768-01-01', '1800-13-01', '1800-00-99']),
        ),
      chance.pick([', ', ',', ',\n']),
    ),
  ),
};

const amounts = ['N', 'small_n', 'percentage'];

/** So many as were counted, or one more: whether the benchmark counts the same shows at the edge. */
function atTheEdge(chance: Chance, id: string, kwargs: Kwargs, text: string): Kwargs {
  if (chance.happens(0.3)) return kwargs;
  const { detail } = ifbenchChecker.check({ id, kwargs }, text);
  if (id === 'count:word_count_range') {
    const words = Number(/^\d+/.exec(detail)?.[0] ?? 0);
    return {
      min_words: Math.max(0, words + chance.whole(-2, 1)),
      max_words: Math.max(0, words + chance.whole(-1, 2)),
    };
  }
  const amount = amounts.find(
    (name) =>
      name in kwargs &&
      id !== 'count:words_japanese' &&
      id !== 'sentence:keyword' &&
      id !== 'sentence:increment',
  );
  const count = /^(\d+)/.exec(detail)?.[1];
  if (amount === undefined || count === undefined) return kwargs;
  return { ...kwargs, [amount]: Math.max(0, Number(count) + chance.pick([0, 0, 1, -1])) };
}

/** Responses to one constraint each, as many for each kind. */
export function* casesOfIfbench(each: number, seed: number): Generator<Case> {
  for (const [id, { kwargs: draw, satisfy }] of Object.entries(ifbenchMakers)) {
    const chance = keyed(seed, id);
    for (let index = 0; index < each; index++) {
      const kwargs = draw(chance);
      let text = chance.happens(0.5) ? sentences(chance) : response(chance);
      if (chance.happens(0.8)) text = satisfy(chance, text, kwargs);
      if (chance.happens(0.25)) text = mutated(chance, text);
      if (chance.happens(0.2)) text = dressed(chance, text);
      yield { id, kwargs: atTheEdge(chance, id, kwargs, text), prompt: '', response: text };
    }
  }
}
