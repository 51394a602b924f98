import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkExport } from '../../infra/exports/check.ts';
import { defaultExportSettings, type ExportSettings } from '../../infra/exports/settings.ts';
import { Shards } from '../../infra/exports/shards.ts';
import type { Log } from '../../infra/log/log.ts';
import { nameOnLog } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { decode, encode, filesIn, logOf, pair, rowsOf } from './support.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'spar-shards-'));
});
afterEach(() => rm(folder, { recursive: true }));

const open = (log: Log, settings: Partial<ExportSettings> = {}, at = folder) =>
  Shards.open({
    log,
    decode,
    pipeline: 'spar',
    iterations: ['1'],
    seed: 7,
    folder: at,
    settings: { ...defaultExportSettings, formats: ['trl'], shard_rows: 2, ...settings },
  });

const add = (log: Log, name: string, partition = 0, changes = {}) =>
  log.append([
    {
      topic: nameOnLog('spar', topics.pairs),
      partition,
      key: name,
      headers: {},
      value: encode(pair(name, changes)),
    },
  ]);

const texts = async (at = folder) =>
  Object.fromEntries(
    Object.entries(await filesIn(at)).map(([path, { text }]) => [path, text] as const),
  );
const chosenIn = async (file: string) =>
  rowsOf(await readFile(join(folder, 'shards', file), 'utf8')).map(
    ({ chosen }) => (chosen as { readonly content: string }[])[0]!.content,
  );

describe('shards', () => {
  test('are written when they are full, the last one when all pairs are there', async () => {
    const log = await logOf({ pairs: [pair('a')] });
    const shards = await open(log);
    expect(await shards.write(false)).toEqual([]);
    for (const name of ['b', 'c']) await add(log, name);
    expect(await shards.write(false)).toMatchObject([
      { path: 'trl/preference/train-p0-000000.jsonl', rows: 2 },
    ]);
    expect(await shards.write(true)).toHaveLength(2);
    expect(await chosenIn('trl/preference/train-p0-000000.jsonl')).toEqual([
      'chosen a',
      'chosen b',
    ]);
    expect(await chosenIn('trl/preference/train-p0-000001.jsonl')).toEqual(['chosen c']);
  });

  test('stay as they are, byte for byte, whatever comes after', async () => {
    const log = await logOf({ pairs: [pair('a'), pair('b'), pair('c')] });
    const shards = await open(log);
    await shards.write(false);
    const before = await filesIn(join(folder, 'shards', 'trl'));
    for (const name of ['d', 'e']) await add(log, name);
    await shards.write(true);
    expect(await filesIn(join(folder, 'shards', 'trl'))).toMatchObject(before);
  });

  test('have each pair once, and none that is not for training', async () => {
    const log = await logOf({ pairs: [pair('a'), pair('a')] });
    await add(log, 'same', 0, { chosen: 'x', rejected: ' x' });
    await add(log, 'other', 0, { iteration: '2' });
    await (await open(log)).write(false);
    await add(log, 'b');
    await add(log, 'a');
    await (await open(log)).write(true);
    expect(await chosenIn('trl/preference/train-p0-000000.jsonl')).toEqual([
      'chosen a',
      'chosen b',
    ]);
    expect(Object.keys(await texts())).toHaveLength(2);
  });

  test('have nothing that a gate leaves out of the pair by itself', async () => {
    const log = await logOf({
      pairs: [pair('a'), pair('b', { chosen: 'Final Judgement: Yes' }), pair('c'), pair('d')],
      removals: [
        {
          ...{ id: 'instruction/c', instruction_id: 'c', scope: 'instruction', pair_id: null },
          ...{ removed: true, who: 'ada', why: 'asked to', decided_at: 0 },
        },
      ],
    });
    await (await open(log)).write(true);
    expect(await chosenIn('trl/preference/train-p0-000000.jsonl')).toEqual([
      'chosen a',
      'chosen d',
    ]);
  });

  test('are of one partition each', async () => {
    const log = await logOf({}, 2);
    for (const name of ['a', 'b', 'c']) await add(log, name, 1);
    await add(log, 'd', 0);
    const files = await (await open(log)).write(true);
    expect(files.map(({ path, rows }) => [path, rows])).toEqual([
      ['trl/preference/train-p1-000000.jsonl', 2],
      ['trl/preference/train-p0-000000.jsonl', 1],
      ['trl/preference/train-p1-000001.jsonl', 1],
    ]);
  });

  test('hold what a whole export holds, split as it is, in every format', async () => {
    const many = Array.from({ length: 30 }, (_, index) => `n${index}`);
    const log = await logOf({ pairs: many.map((name) => pair(name)) });
    const settings = { formats: ['llamafactory', 'huggingface'] as const, test_share: 0.4 };
    const files = await (await open(log, settings)).write(true);
    const rows = (part: RegExp) =>
      files.filter(({ path }) => part.test(path)).reduce((sum, file) => sum + file.rows!, 0);
    expect(rows(/^llamafactory\/preference/)).toBe(30);
    expect(rows(/^huggingface\/preference/)).toBe(30);
    expect(rows(/^llamafactory\/preference_test-p0/)).toBe(rows(/^huggingface\/.*\/test-p0/));
    const { problems } = await checkExport(join(folder, 'shards'));
    expect(problems).toEqual([]);
  });

  test.each([
    ['another size', { shard_rows: 3 }],
    ['another split', { test_share: 0.5 }],
  ])('do not go on with %s', async (_name, settings) => {
    const log = await logOf({ pairs: [pair('a'), pair('b')] });
    await (await open(log)).write(false);
    await expect(open(log, settings)).rejects.toThrow('were written by other settings');
  });

  test('cannot choose among pairs that are still to come', async () => {
    await expect(open(await logOf({}), { max_pairs: 5 })).rejects.toThrow('export.max_pairs');
  });
});

test('a follower that ends anywhere leaves shards that are those of one that never ended', async () => {
  const names = Array.from({ length: 23 }, (_, index) => `n${index}`);
  const whole = join(folder, 'whole');
  const log = await logOf({ pairs: names.map((name) => pair(name)) });
  await (await open(log, {}, whole)).write(true);

  const broken = join(folder, 'broken');
  const growing = await logOf({});
  for (const [index, name] of names.entries()) {
    await add(growing, name);
    // A new process each time: what the one before had read and not written is lost.
    if (index % 3 === 0) await (await open(growing, {}, broken)).write(false);
    // One that was killed after it moved its files and before it wrote the manifest.
    if (index === 10) {
      const manifest = join(broken, 'shards', 'manifest.json');
      const before = await readFile(manifest, 'utf8');
      await (await open(growing, {}, broken)).write(false);
      await writeFile(manifest, before);
    }
  }
  await (await open(growing, {}, broken)).write(true);
  expect(await texts(broken)).toEqual(await texts(whole));
});
