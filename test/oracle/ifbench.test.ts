import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ifbench, ifbenchChecker } from '../../infra/constraints/index.ts';
import { stopWords } from '../../processors/rules/constraints/ifbench/stop-words.ts';
import { pythonIn, type Python } from '../support/python.ts';
import { compare } from './compare.ts';
import { casesOfIfbench, ifbenchMakers } from './ifbench-cases.ts';

const cache = join(import.meta.dirname, '../../.cache/oracle');
const script = (name: string): string => join(import.meta.dirname, name);
const seed = Number(process.env['SPAR_ORACLE_SEED'] ?? 20_250_703);
const eachKind = Number(process.env['SPAR_ORACLE_CASES'] ?? 440);

let folder = '';
let python: Python;

beforeAll(async () => {
  await mkdir(cache, { recursive: true });
  python = await pythonIn(join(cache, 'venv'), '-r', script('requirements.txt'));
  await python(script('wheels.py'), [cache]);
  folder = await mkdtemp(join(tmpdir(), 'spar-oracle-'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** They ask a model of parts of speech, and a dictionary of syllables. */
const leftOut = ['words:start_verb', 'words:odd_even_syllables'];

test('all but two of the 58 are here, and each has its cases', async () => {
  const taken = join(folder, 'names.json');
  await python(script('ifbench.py'), [cache, 'names', taken]);
  const names = JSON.parse(await readFile(taken, 'utf8')) as readonly string[];
  expect(names).toHaveLength(58);
  expect([...Object.keys(ifbench), ...leftOut].toSorted()).toEqual(names.toSorted());
  expect(Object.keys(ifbenchMakers).toSorted()).toEqual(Object.keys(ifbench).toSorted());
});

test('IFBench gives the same verdicts on responses to each kind of constraint', async () => {
  const cases = [...casesOfIfbench(eachKind, seed)];
  const compared = await compare('ifbench', cases, ifbenchChecker, folder, (given, taken) =>
    python(script('ifbench.py'), [cache, given, taken]),
  );
  expect(compared.differences).toEqual([]);
  // Who always says the same would agree, too.
  const lopsided = Object.entries(compared.shares).filter(
    ([, share]) => share < 0.03 || share > 0.97,
  );
  expect(lopsided).toEqual([]);
});

test("the stop words are NLTK's, but for those with an apostrophe", async () => {
  const file = join(cache, 'nltk_data/corpora/stopwords/english');
  const words = (await readFile(file, 'utf8')).split('\n').filter((word) => /^[^']+$/.test(word));
  expect([...stopWords].toSorted()).toEqual(words.toSorted());
});
