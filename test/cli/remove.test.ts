import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { folder, smallHome, spar } from './support.ts';

async function homeAndOut(): Promise<{ readonly at: string; readonly out: string }> {
  const made = await folder();
  const at = join(made, 'home');
  await smallHome(at);
  return { at, out: join(made, 'out') };
}

/** What an export of the home has, and what it says that it left out. */
async function exported({ at, out }: { readonly at: string; readonly out: string }) {
  const ran = await spar('export', '--home', at, '--out', out, '--json');
  const { counts } = JSON.parse(ran.out) as { readonly counts: Readonly<Record<string, number>> };
  const text = await readFile(join(out, 'rejected.jsonl'), 'utf8').catch(() => '');
  const rejected = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Readonly<Record<string, string>>);
  return { counts, rejected };
}

const why = ['--who', 'ada', '--why', 'wrong about the mat'];

test('a rejected pair is in no export until that is undone', async () => {
  const place = await homeAndOut();
  const before = await exported(place);
  expect(before).toMatchObject({ counts: { preference: 1 }, rejected: [] });

  const ran = await spar('reject', 'cat', '--home', place.at, ...why);
  expect(ran).toMatchObject({ code: 0, err: '' });
  expect(ran.out).toBe(
    'The pair 1/cat/0 stays out of every export from now on.\n' +
      `Take it back: spar reject cat --undo --why … --home ${place.at}\n`,
  );
  const after = await exported(place);
  expect(after.counts['preference']).toBe(0);
  expect(after.rejected).toEqual([
    expect.objectContaining({
      kind: 'preference',
      id: '1/cat/0',
      reason: 'rejected-by-hand',
      detail: 'ada: wrong about the mat',
    }),
    // What the refiner would learn from is the same text.
    expect.objectContaining({ kind: 'refiner_sft', id: '1/cat/0', reason: 'rejected-by-hand' }),
  ]);

  const undone = await spar(
    'reject',
    '1/cat/0',
    '--home',
    place.at,
    '--undo',
    '--why',
    'it is not',
  );
  expect(undone.out).toBe('The next export may use the pair 1/cat/0 again.\n');
  expect(await exported(place)).toEqual(before);
});

test('of a purged instruction nothing is left, in no set', async () => {
  const place = await homeAndOut();
  const before = await exported(place);
  await spar('purge', 'cat', '--home', place.at, ...why);
  const { counts, rejected } = await exported(place);
  expect(counts['preference']).toBe(0);
  expect(counts['refiner_sft']).toBeLessThan(before.counts['refiner_sft']!);
  expect(rejected.length).toBeGreaterThan(1);
  for (const one of rejected) {
    expect(one).toMatchObject({ instruction: 'cat', reason: 'purged' });
  }
  await spar('purge', 'cat', '--home', place.at, '--undo', '--why', 'agreed');
  expect(await exported(place)).toEqual(before);
});

test('the topic keeps who decided, why and when', async () => {
  const { at } = await homeAndOut();
  await spar('reject', '1/cat/0', '--home', at, ...why);
  await spar('purge', 'dog', '--home', at, '--why', 'private');
  const { out } = await spar('tap', 'removals', '--home', at, '--json');
  const rows = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { readonly key: string; readonly value: object });
  expect(rows).toMatchObject([
    {
      key: 'pair/cat/1/0',
      value: { scope: 'pair', pair_id: '1/cat/0', removed: true, who: 'ada', why: why[3] },
    },
    { key: 'instruction/dog', value: { scope: 'instruction', pair_id: null, why: 'private' } },
  ]);
});

test.each([
  ['a pair that is not there', ['reject', 'unicorn', ...why], 1, 'there is no pair unicorn: spar'],
  [
    'an instruction that is not there',
    ['purge', 'unicorn', ...why],
    1,
    'there is no instruction unicorn: spar tap instructions',
  ],
  ['no reason', ['purge', 'cat'], 2, "required option '--why <text>' not specified"],
  ['an empty reason', ['purge', 'cat', '--why', ' '], 2, '--why needs a reason'],
  [
    'an undo of nothing',
    ['purge', 'cat', '--undo', ...why],
    1,
    'instruction cat was never taken out of exports',
  ],
])('%s is refused', async (_name, args, code, message) => {
  const { at } = await homeAndOut();
  const ran = await spar(...args, '--home', at);
  expect(ran.code).toBe(code);
  expect(ran.err).toContain(message);
});

test('twice is once', async () => {
  const { at } = await homeAndOut();
  await spar('purge', 'cat', '--home', at, ...why);
  const again = await spar('purge', 'cat', '--home', at, '--why', 'again');
  expect(again.code).toBe(1);
  expect(again.err).toBe(
    'spar: instruction cat is out of exports already (ada: wrong about the mat)\n',
  );
});

test('a home from before there were removals has none', async () => {
  const place = await homeAndOut();
  const log = new DatabaseSync(join(place.at, 'log.sqlite'));
  log.exec(`DELETE FROM topics WHERE name = 'spar.removals'`);
  log.close();
  expect(await exported(place)).toMatchObject({ counts: { preference: 1 }, rejected: [] });
});
