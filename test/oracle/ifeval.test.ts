import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fromJson } from '../../infra/input/instruction.ts';
import { judgedBy } from '../support/judged-by.ts';
import { checker, ifeval } from '../../infra/constraints/index.ts';
import { readBenchmark } from '../../infra/evaluate/benchmark.ts';
import { readResponses } from '../../infra/evaluate/responses.ts';
import { openSource } from '../../infra/input/source.ts';
import * as punkt from '../../processors/rules/constraints/punkt.ts';
import { accuraciesOf, scoreOf, type Scored } from '../../processors/rules/constraints/score.ts';
import { compare, variants, type Compared } from './compare.ts';
import { cache, oracle, script } from './setup.ts';
import {
  casesOfFamilies,
  casesOfRows,
  makers,
  responsesTo,
  rowsMade,
  type Case,
  type Row,
} from './cases.ts';

/** The same of all constraints of a row; nothing but what it raised, if it did. */
interface SaidOfRow {
  readonly strict?: readonly boolean[];
  readonly loose?: readonly boolean[];
  readonly note?: readonly (string | null)[];
  readonly raised?: string;
}

const scoredBy =
  (rows: readonly Row[]) =>
  (said: SaidOfRow, row: number): readonly Scored[] =>
    (rows[row]?.instruction_id_list ?? []).map((id, index) => ({
      id,
      strict: { satisfied: said.strict?.[index] ?? false, detail: '' },
      loose: { satisfied: said.loose?.[index] ?? false, detail: '' },
    }));

/** The benchmark's own file of 541 prompts (`input_data.jsonl`), where it is at hand; else prompts of its shape. */
const realRows = process.env['SPAR_IFEVAL_DATA'];
const seed = Number(process.env['SPAR_ORACLE_SEED'] ?? 20_231_114);
const eachFamily = Number(process.env['SPAR_ORACLE_CASES'] ?? 440);
const rows = 541;
const answers = 3;

const its = oracle();

const linesOf = (text: string): readonly string[] => text.split('\n').filter((line) => line !== '');

const asked = (name: string, cases: readonly Case[]) =>
  compare(name, cases, checker, its.folder, (given, taken) =>
    its.python(script('ifeval.py'), [cache, given, taken]),
  );

const asLines = (values: readonly object[]): string =>
  values.map((value) => `${JSON.stringify(value)}\n`).join('');

/** What the benchmark says of rows that have a response, all constraints of a row together. */
async function saidOfRows(
  name: string,
  given: readonly (Row & { readonly response: string })[],
): Promise<readonly SaidOfRow[]> {
  const file = join(its.folder, `${name}.jsonl`);
  const taken = join(its.folder, `${name}-verdicts.jsonl`);
  const texts = realRows === undefined;
  await writeFile(file, asLines(given.map((row) => ({ ...row, texts }))));
  await its.python(script('ifeval.py'), [cache, file, taken]);
  const said = linesOf(await readFile(taken, 'utf8')).map((line) => JSON.parse(line) as SaidOfRow);
  expect(said).toHaveLength(given.length);
  return said;
}

/** The rows of the benchmark's own file where it is at hand, or such as it might have. */
const rowsGiven = async (from: number): Promise<readonly Row[]> =>
  realRows === undefined ? [...rowsMade(rows, from)] : rowsOf(realRows);

const rowsOf = async (file: string): Promise<readonly Row[]> =>
  linesOf(await readFile(file, 'utf8')).map((line) => JSON.parse(line) as Row);

/** Languages are told by other means than the benchmark's; nothing else may differ. */
const mayDiffer = [
  'language:response_language',
  'change_case:english_capital',
  'change_case:english_lowercase',
];

function expectTheSame({ verdicts, differences }: Compared): void {
  expect(differences.filter(({ id }) => !mayDiffer.includes(id))).toEqual([]);
  expect(differences.length / verdicts).toBeLessThan(0.002);
}

test('every family has its cases', () => {
  expect(Object.keys(makers).toSorted()).toEqual(Object.keys(ifeval).toSorted());
});

test('the benchmark gives the same verdicts on responses to each family', async () => {
  const cases = [...casesOfFamilies(eachFamily, seed)];
  expect(cases.length).toBeGreaterThanOrEqual(10_000);
  expect(cases.filter(({ response }) => response.length >= 100_000).length).toBeGreaterThan(20);
  const compared = await asked('families', cases);
  expectTheSame(compared);
  expect(compared.satisfied / compared.verdicts).toBeGreaterThan(0.3);
  expect(compared.satisfied / compared.verdicts).toBeLessThan(0.7);
});

test('the benchmark gives the same verdicts on answers to its prompts', async () => {
  const given = await rowsGiven(seed);
  expect(given).toHaveLength(rows);
  expectTheSame(await asked('prompts', [...casesOfRows(given, answers, seed)]));
});

test("the accuracies of a file of responses are the benchmark's, within 0.2 points", async () => {
  const given = [...responsesTo(await rowsGiven(seed), seed + 1)];
  expect(given).toHaveLength(rows);
  const said = await saidOfRows('rows', given);
  const benchmark = join(its.folder, 'input_data.jsonl');
  const responses = join(its.folder, 'responses.jsonl');
  await writeFile(
    benchmark,
    asLines(given.map((row, key) => ({ ...row, key, response: undefined }))),
  );
  await writeFile(responses, asLines(given.map(({ prompt, response }) => ({ prompt, response }))));

  // The same way as `spar evaluate FILE --responses FILE`.
  const options = { maxLineBytes: 2 ** 24, limit: null };
  const { tasks, problems } = await readBenchmark(await openSource(benchmark), options, checker);
  const read = await readResponses(await openSource(responses), tasks, benchmark, 2 ** 24);
  expect([problems, read.gaps, read.problems]).toEqual([[], [], []]);
  const ours = tasks.map(({ constraints }, index) =>
    scoreOf(checker, constraints, read.responses[index] ?? ''),
  );
  const theirs = said.map(scoredBy(given));
  const reasonOf = (row: number, place: number): string | null =>
    said[row]?.raised ?? said[row]?.note?.[place] ?? null;
  const differing = ours.flatMap((scored, row) =>
    scored.flatMap(({ id, ...mine }, place) =>
      variants.flatMap((variant) => {
        const benchmark = theirs[row]?.[place]?.[variant].satisfied ?? false;
        const { satisfied, detail } = mine[variant];
        const reason = reasonOf(row, place);
        return benchmark === satisfied
          ? []
          : [{ row: row + 1, id, variant, benchmark, reason, detail }];
      }),
    ),
  );
  const telling = (scored: readonly Scored[], row: number) =>
    scored.filter((_one, place) => reasonOf(row, place) === null);
  const all = figuresOf(ours, theirs);
  // A verdict that is drawn at random, or a guess, is noise in either.
  const figures = figuresOf(
    ours.map(telling).filter(({ length }) => length > 0),
    theirs.map(telling).filter(({ length }) => length > 0),
  );
  process.stdout.write(`${JSON.stringify({ accuracies: { all, figures, differing } }, null, 1)}\n`);
  for (const { here, benchmark } of figures) {
    expect(Math.abs(here - benchmark)).toBeLessThanOrEqual(0.002);
    expect(here).toBeGreaterThan(0.1);
  }
  for (const { here, benchmark } of all) expect(Math.abs(here - benchmark)).toBeLessThan(0.01);
});

/** The four accuracies, ours beside the benchmark's. */
function figuresOf(ours: readonly (readonly Scored[])[], theirs: readonly (readonly Scored[])[]) {
  const settings = { resamples: 100, seed };
  const [mine, others] = [accuraciesOf(ours, settings), accuraciesOf(theirs, settings)];
  return (['prompt', 'instruction'] as const).flatMap((level) =>
    variants.map((variant) => ({
      ...{ level, variant },
      here: mine[level][variant].value,
      benchmark: others[level][variant].value,
    })),
  );
}

test.each(['code', 'both'] as const)(
  'judged by %s, every chosen side keeps to all constraints, says the benchmark',
  async (by) => {
    const instructions = (await rowsGiven(seed)).map((row, index) => ({
      ...fromJson(JSON.stringify({ ...row, key: undefined, id: `p${index}` })),
      ...{ source: 'test', source_line: index + 1, added_at: 0 },
    }));
    expect(instructions).toHaveLength(rows);
    const { figures, chosen } = await judgedBy(by, instructions, seed);
    const said = await saidOfRows(
      `chosen-${by}`,
      chosen.map(({ prompt, constraints, response }) => ({
        ...{ prompt, response },
        instruction_id_list: constraints.map(({ id }) => id),
        kwargs: constraints.map((one) => JSON.parse(one.arguments) as Row['kwargs'][number]),
      })),
    );
    const verdicts = chosen.flatMap(({ constraints, response }, side) =>
      constraints.map(({ id }, place) => ({
        ...{ side, id, response },
        followed: said[side]?.strict?.[place] ?? false,
        reason: said[side]?.raised ?? said[side]?.note?.[place] ?? null,
      })),
    );
    const telling = verdicts.filter(({ reason }) => reason === null);
    // Drawn at random, or a guess at the language: listed, whatever the verdict.
    const apart = verdicts.filter(({ reason }) => reason !== null);
    const sidesApart = new Set(apart.map(({ side }) => side)).size;
    process.stdout.write(
      `${JSON.stringify({ chosen: { ...figures, verdicts: telling.length, sidesApart, apart } }, null, 1)}\n`,
    );
    expect(figures.pairs).toBeGreaterThan(100);
    expect(chosen).toHaveLength(figures.pairs);
    expect(telling.length).toBeGreaterThan(figures.pairs);
    expect(telling.filter(({ followed }) => !followed)).toEqual([]);
    expect(apart.length / verdicts.length).toBeLessThan(0.1);
  },
);

test("the model of sentences is NLTK's", async () => {
  const model = join(cache, 'nltk_data/tokenizers/punkt_tab/english');
  const linesIn = async (name: string) => linesOf(await readFile(join(model, name), 'utf8'));
  expect([...punkt.sentenceStarters].toSorted()).toEqual(
    (await linesIn('sent_starters.txt')).toSorted(),
  );
  expect([...punkt.collocations].toSorted()).toEqual(
    (await linesIn('collocations.tab')).map((line) => line.replace('\t', ' ')).toSorted(),
  );
  expect([...punkt.abbreviations, '. . '].toSorted()).toEqual(
    (await linesIn('abbrev_types.txt')).toSorted(),
  );
  const contexts = (await linesIn('ortho_context.tab')).map((line) => {
    const [word = '', flags] = line.split('\t');
    return { word, flags: Number(flags) };
  });
  // Bits 1 to 3: in upper case at the start of a sentence, within one, somewhere. Bits 4 to 6: in lower case.
  const wordsWith = (wanted: (flags: number) => boolean) =>
    contexts.flatMap(({ word, flags }) => (wanted(flags) ? [word] : [])).toSorted();
  const [upper, upperWithin, lowerAtStart, lower] = [0b1110, 0b100, 0b1_0000, 0b111_0000];
  expect([...punkt.lowerOnlyWithin].toSorted()).toEqual(
    wordsWith((flags) => (flags & lower) !== 0 && (flags & upperWithin) === 0),
  );
  expect([...punkt.lowerAndUpperWithin].toSorted()).toEqual(
    wordsWith((flags) => (flags & lower) !== 0 && (flags & upperWithin) !== 0),
  );
  expect([...punkt.lowerAtStart].toSorted()).toEqual(
    wordsWith((flags) => (flags & lowerAtStart) !== 0 && (flags & upper) === 0),
  );
});
