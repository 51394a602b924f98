import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ifbench, ifbenchChecker } from '../../infra/constraints/index.ts';
import { stopWords } from '../../processors/rules/constraints/ifbench/stop-words.ts';
import { cache, oracle, script } from './setup.ts';
import { compare } from './compare.ts';
import { casesOfIfbench, ifbenchMakers } from './ifbench-cases.ts';

const seed = Number(process.env['SPAR_ORACLE_SEED'] ?? 20_250_703);
const eachKind = Number(process.env['SPAR_ORACLE_CASES'] ?? 440);

const its = oracle();

/** They ask a model of parts of speech, and a dictionary of syllables. */
const leftOut = ['words:start_verb', 'words:odd_even_syllables'];

test('all but two of the 58 are here, and each has its cases', async () => {
  const taken = join(its.folder, 'names.json');
  await its.python(script('ifbench.py'), [cache, 'names', taken]);
  const names = JSON.parse(await readFile(taken, 'utf8')) as readonly string[];
  expect(names).toHaveLength(58);
  expect([...Object.keys(ifbench), ...leftOut].toSorted()).toEqual(names.toSorted());
  expect(Object.keys(ifbenchMakers).toSorted()).toEqual(Object.keys(ifbench).toSorted());
});

test('IFBench gives the same verdicts on responses to each kind of constraint', async () => {
  const cases = [...casesOfIfbench(eachKind, seed)];
  const compared = await compare('ifbench', cases, ifbenchChecker, its.folder, (given, taken) =>
    its.python(script('ifbench.py'), [cache, given, taken]),
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
