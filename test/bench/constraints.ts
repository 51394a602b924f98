/**
 * How fast are the checkers, and do they stay linear? Checks per second of each family on a response of 1 kB, and
 * the milliseconds of processor time for 250 kB, 500 kB and 1 MB: of prose, and of each text that is made to be slow.
 *
 *   node test/bench/constraints.ts [BEGINNING OF A NAME…]
 *
 * Prints JSON: for each family the checks per second, and the slowest text with its milliseconds at each size.
 */
import { check, checkLoose, ids } from '../../infra/constraints/index.ts';
import type { Constraint } from '../../processors/rules/constraints/constraint.ts';

/** Arguments that are neither trivial nor impossible. */
const kwargs: Readonly<Record<string, Constraint['kwargs']>> = {
  'keywords:existence': { keywords: ['river', 'aaaaaaab'] },
  'keywords:frequency': { keyword: 'a', frequency: 3 },
  'keywords:forbidden_words': { forbidden_words: ['a', 'aaaaaaab'] },
  'keywords:letter_frequency': { letter: 'a', let_frequency: 9 },
  'language:response_language': { language: 'en' },
  'length_constraints:number_sentences': { num_sentences: 5 },
  'length_constraints:number_words': { num_words: 100 },
  'length_constraints:nth_paragraph_first_word': { num_paragraphs: 2, first_word: 'The' },
  'combination:repeat_prompt': { prompt_to_repeat: 'Write about the river.' },
  'startend:end_checker': { end_phrase: 'The end.' },
  'change_case:capital_word_frequency': { capital_frequency: 3 },
  'count:word_count_range': { min_words: 10, max_words: 100 },
  'count:unique_word_count': { N: 100 },
  'count:conjunctions': { small_n: 3 },
  'count:person_names': { N: 3 },
  'count:numbers': { N: 3 },
  'count:words_japanese': { N: 1_000_000 },
  'count:pronouns': { N: 3 },
  'count:keywords_multiple': {
    keyword1: 'a',
    keyword2: 'aa',
    keyword3: 'river',
    keyword4: '. ',
    keyword5: 'aaaaaaab',
  },
  'ratio:stop_words': { percentage: 50 },
  'ratio:overlap': { reference_text: 'Write about the river.', percentage: 50 },
  'words:repeats': { small_n: 1_000_000 },
  'words:keywords_specific_position': { keyword: 'river', n: 1, m: 3 },
  'words:words_position': { keyword: 'old' },
  'sentence:keyword': { word: 'aaaaaaab', N: 1 },
  'sentence:increment': { small_n: 0 },
  'repeat:repeat_change': { prompt_to_repeat: 'Write about the river.' },
  'repeat:repeat_span': { prompt_to_repeat: 'Write about the river.', n_start: 1, n_end: 3 },
  'format:options': { options: 'yes/no/maybe' },
  'format:list': { sep: 'aaaaaaab' },
};

const prose =
  'The old town lies on the bank of the river, and Mr. Hill of the U.S. visits it every year. "Is it far?" she ' +
  'asked; NASA did not know. *Some* say it is **3.5** miles [or more], while others are not so sure!\n\n';
const hostile = {
  prose,
  capitals: prose.toUpperCase(),
  chinese: '今朝、私は市場へ行って、家族のためにパンと果物を買いました。',
  spaces: ' ',
  lines: '\n',
  letters: 'a',
  'letters apart': 'a ',
  'capitals apart': 'A ',
  'full stops': '.',
  'full stops apart': '. ',
  initials: 'A. B',
  exclamations: '!',
  'exclamations in a word': 'a!b)',
  abbreviations: 'Mr.)',
  asterisks: '*',
  'asterisks apart': '* a',
  dashes: '-',
  'brackets that open': '[',
  'brackets that close': ']',
  'angles that open': '<',
  'angles that close': '<<a',
  quotes: '"',
  escapes: '\\"',
  'quotes and escapes': '"\\',
  apostrophes: "'",
  'apostrophes and letters': "'a",
  backticks: '`',
  colons: ':,',
  'open arrays': '[1,',
  'sections without number': 'Section ',
  digits: '1',
  postscripts: 'p.p',
  'quotation marks by turns': `"'`,
  'brackets of three kinds': '([{',
  'brackets closed': '()',
  'fields in quotation marks': '"a","b"\n',
  'carriage returns': 'a\r\n',
  questions: 'Question 1. ',
  'questions of lines': 'Question\n',
  'sentences of one letter': 'a. ',
  'initials of names': ' A.B.',
  'domains and numbers': '.com1.1',
  'bullet points': '* -\n',
  'different words': 'q1w2e3 r4t5 ',
  'marks that combine': 'e\u0301',
  emoji: '😀',
};

const sized = (unit: string, length: number): string =>
  unit.repeat(Math.ceil(length / unit.length)).slice(0, length);

/** Of the processor, and not of the clock: other work on the machine is not what we ask about. */
function millisecondsOf(work: () => unknown): number {
  const start = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}

function perSecond(work: () => unknown): number {
  const [warmUpMs, measuredMs] = [50, 200];
  const batch = (): number => millisecondsOf(() => Array.from({ length: 20 }, work));
  for (let ms = 0; ms < warmUpMs;) ms += batch();
  let [times, ms] = [0, 0];
  for (; ms < measuredMs; times += 20) ms += batch();
  return Math.round((times / ms) * 1000);
}

const sizes = [250_000, 500_000, 1_000_000];
const rounded = (ms: number): number => Math.round(ms * 10) / 10;

function measured(id: string): object {
  const constraint: Constraint = { id, kwargs: kwargs[id] ?? {} };
  const short = sized(prose, 1000);
  const slowest = Object.entries(hostile)
    .map(([name, unit]) => ({
      name,
      ms: sizes.map((size) => {
        const text = sized(unit, size);
        return Math.min(...[1, 2, 3].map(() => millisecondsOf(() => check(constraint, text))));
      }),
    }))
    .toSorted((a, b) => (b.ms.at(-1) ?? 0) - (a.ms.at(-1) ?? 0));
  const proseMs = slowest.find(({ name }) => name === 'prose')?.ms.at(-1) ?? 0;
  return {
    checksPerSecond: perSecond(() => check(constraint, short)),
    looseChecksPerSecond: perSecond(() => checkLoose(constraint, short)),
    proseMs: rounded(proseMs),
    slowest: slowest.slice(0, 3).map(({ name, ms }) => ({ name, ms: ms.map(rounded) })),
  };
}

const beginnings = process.argv.slice(2);
const wanted = ids.filter(
  (id) => beginnings.length === 0 || beginnings.some((beginning) => id.startsWith(beginning)),
);

// The model of languages is loaded once; that is no check.
const loadMs = millisecondsOf(() =>
  check({ id: 'language:response_language', kwargs: { language: 'en' } }, prose),
);
process.stdout.write(
  `${JSON.stringify(
    {
      bench: 'constraints',
      sizes,
      languageModelMs: rounded(loadMs),
      families: Object.fromEntries(wanted.map((id) => [id, measured(id)])),
    },
    null,
    2,
  )}\n`,
);
