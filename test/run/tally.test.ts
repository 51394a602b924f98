import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import type { Home } from '../../infra/home/home.ts';
import { countsOf, summaryOf } from '../../infra/run/summary.ts';
import { createTallyReader } from '../../infra/run/tally.ts';
import { fullId } from '../../processors/rules/ids.ts';
import { noSpend } from '../../processors/rules/spend.ts';
import type { Outcome } from '../../schemas/records.ts';
import { topics } from '../../topology/topics.ts';
import { append, numbered, outcome } from '../runtime/support.ts';
import { memoryHome } from '../support/home.ts';

const readerOf = ({ log, serde, pipeline }: Home, iteration = '1') =>
  createTallyReader(log, serde, pipeline, iteration);

async function write(home: Home, outcomes: readonly Outcome[], iteration = '1'): Promise<void> {
  await home.log.append(
    outcomes.map((one) => ({
      topic: 'spar.outcomes',
      partition: 0,
      key: one.id,
      headers: { iteration },
      value: home.serde.encode(topics.outcomes, one),
    })),
  );
}

/** One of the trees of an instruction. */
const treeOf = (id: string, tree: number, trees: number, change: Partial<Outcome> = {}) =>
  outcome(id, {
    id: fullId('1', id, String(tree)),
    tree,
    trees,
    outcome: 'paired',
    ...change,
  });

const failed = (id: string, change: Partial<Outcome> = {}) =>
  outcome(id, { outcome: 'failed', cause: 'attempts', ...change });

test('much that is to be read lets others have their turn meanwhile', async () => {
  const home = await memoryHome();
  const reader = readerOf(home);
  await append(home, numbered(1000), { iteration: '1' });
  let reading = true;
  let turns = 0;
  const count = () => {
    turns++;
    if (reading) setImmediate(count);
  };
  setImmediate(count);
  expect(await reader.refresh()).toMatchObject({ admitted: 1000 });
  reading = false;
  expect(turns).toBeGreaterThanOrEqual(4);
  reader.close();
});

test('a look at how things stand ends, however fast others append', async () => {
  const home = await memoryHome();
  const reader = readerOf(home);
  await append(home, numbered(200), { iteration: '1' });
  const looking = reader.refresh();
  for (let round = 0; round < 10; round++) {
    await append(
      home,
      numbered(200).map((id) => `${round}-${id}`),
      { iteration: '1' },
    );
  }
  // What came while it looked is for the next one.
  expect((await looking).admitted).toBeLessThan(1000);
  expect(await reader.refresh()).toMatchObject({ admitted: 2200 });
  reader.close();
});

describe('instructions that name no iteration', () => {
  const foreign = (id: string, key: string | null = null) => ({
    topic: 'spar.instructions',
    partition: 0,
    key,
    headers: {},
    value: Buffer.from(JSON.stringify({ id, prompt: id })),
  });

  test('are those of every iteration, each once however often it was written', async () => {
    const home = await memoryHome();
    const readers = [readerOf(home, '1'), readerOf(home, '2')];
    await append(home, numbered(2), { iteration: '1' });
    await home.log.append([foreign('a'), foreign('b', 'x'), foreign('a', 'y')]);
    expect(await readers[0]?.refresh()).toMatchObject({ admitted: 4 });
    await home.log.append([foreign('b'), foreign('c')]);
    expect(await readers[0]?.refresh()).toMatchObject({ admitted: 5 });
    expect(await readers[1]?.refresh()).toMatchObject({ admitted: 3 });
    for (const reader of readers) reader.close();
  });

  test('are none beside one of the iteration itself, whichever came first', async () => {
    const home = await memoryHome();
    const reader = readerOf(home);
    await append(home, ['a'], { iteration: '1' });
    await home.log.append([foreign('a'), foreign('b')]);
    await append(home, ['b'], { iteration: '1' });
    expect(await reader.refresh()).toMatchObject({ admitted: 2 });
    reader.close();
  });

  test('count by their key where they cannot be read, and not at all where nobody can tell whose they were', async () => {
    const home = await memoryHome();
    const reader = readerOf(home);
    const broken = { ...foreign(''), value: Buffer.from('?') };
    await home.log.append([broken, { ...broken, key: 'known' }]);
    expect(await reader.refresh()).toMatchObject({ admitted: 1 });
    reader.close();
  });
});

describe('how an iteration stands', () => {
  test('is counted from its own topics, as they grow, each record once', async () => {
    const home = await memoryHome(2);
    const reader = readerOf(home);
    await append(home, numbered(3), { iteration: '1' }, 1);
    await append(home, numbered(2), { iteration: '2' });
    await write(home, [outcome('i0'), failed('i1')]);
    await write(home, [outcome('i0')], '2');
    const tally = await reader.refresh();
    expect(tally).toMatchObject({ admitted: 3, ended: 2, deadLetters: 0 });
    expect(tally.outcomes).toMatchObject({ 'all-passed': 1, failed: 1, paired: 0 });
    await write(home, [outcome('i2')]);
    expect(await reader.refresh()).toMatchObject({ ended: 3, outcomes: { 'all-passed': 2 } });
    expect(await reader.refresh()).toEqual(await readerOf(home).refresh());
  });

  test('an instruction with three trees has ended with the third', async () => {
    const home = await memoryHome();
    const reader = readerOf(home);
    const ended: number[] = [];
    for (const tree of [2, 0, 1]) {
      await write(home, [treeOf('i0', tree, 3)]);
      ended.push(Math.floor((await reader.refresh()).ended));
    }
    expect(ended).toEqual([0, 0, 1]);
  });

  test.each([
    ['retried', { revision: '1' }],
    ['moved to the tail because it held the others up', { moved: '0' }],
  ])('an instruction that was %s was admitted once', async (_name, headers) => {
    const home = await memoryHome();
    await append(home, ['i0']);
    await append(home, ['i0'], { iteration: '1', ...headers });
    expect(await readerOf(home).refresh()).toMatchObject({ admitted: 1 });
  });
});

describe('a retried dead letter counts once, by its last end', () => {
  test.each<[string, readonly Outcome[], Partial<Outcome>[], number]>([
    [
      'that went well',
      [failed('i0'), outcome('i0', { revision: 1 })],
      [{ outcome: 'all-passed' }],
      1,
    ],
    [
      'that failed again, twice',
      [failed('i0'), failed('i0', { revision: 1 }), failed('i0', { revision: 2 })],
      [{ outcome: 'failed' }],
      1,
    ],
    [
      'of one tree among two',
      [
        treeOf('i0', 0, 2),
        treeOf('i0', 1, 2, { outcome: 'failed' }),
        treeOf('i0', 1, 2, { outcome: 'exhausted', revision: 1 }),
      ],
      [{ outcome: 'paired' }, { outcome: 'exhausted' }],
      1,
    ],
    [
      'that failed before it had a tree',
      [failed('i0'), treeOf('i0', 0, 1, { revision: 1 })],
      [{ outcome: 'paired' }],
      1,
    ],
    [
      'that failed before it had two trees',
      [
        failed('i0'),
        treeOf('i0', 1, 2, { revision: 1 }),
        treeOf('i0', 0, 2, { revision: 1, outcome: 'exhausted' }),
      ],
      [{ outcome: 'paired' }, { outcome: 'exhausted' }],
      1,
    ],
    [
      'of which one tree fails and is retried in turn',
      [
        failed('i0'),
        treeOf('i0', 0, 2, { revision: 1 }),
        treeOf('i0', 1, 2, { revision: 1, outcome: 'failed' }),
        treeOf('i0', 1, 2, { revision: 2 }),
      ],
      [{ outcome: 'paired' }, { outcome: 'paired' }],
      1,
    ],
  ])('%s', async (_name, outcomes, expected, ended) => {
    const home = await memoryHome();
    // Others are there as well, and stay counted.
    await write(home, [failed('other'), ...outcomes]);
    const tally = await readerOf(home).refresh();
    const counts: Record<string, number> = { failed: 1 };
    for (const { outcome: how = '' } of expected) counts[how] = (counts[how] ?? 0) + 1;
    const found = Object.entries(tally.outcomes).filter(([, count]) => count !== 0);
    expect(Object.fromEntries(found)).toEqual(counts);
    expect(tally.ended).toBe(ended + 1);
  });

  property.prop([fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 12 })])(
    'whatever is retried how often, and whenever one looks',
    async (retries) => {
      const home = await memoryHome();
      const reader = readerOf(home);
      const revisions = [0, 0, 0];
      await write(
        home,
        revisions.map((_, index) => failed(`i${index}`)),
      );
      for (const index of retries) {
        const revision = (revisions[index] ?? 0) + 1;
        revisions[index] = revision;
        await write(home, [(revision % 2 ? outcome : failed)(`i${index}`, { revision })]);
        if (index === 1) await reader.refresh();
      }
      const good = revisions.filter((revision) => revision % 2 === 1).length;
      const tally = await reader.refresh();
      expect(tally.outcomes).toMatchObject({ 'all-passed': good, failed: 3 - good });
      expect(tally.ended).toBe(3);
    },
  );
});

describe('the summary', () => {
  const counters = {
    'calls.probe': 1,
    'calls.sample': 2,
    'calls.judge': 3,
    'calls.refine': 4,
    'generations.probe': 2,
    'generations.sample': 10,
    'generations.judge': 15,
    'generations.refine': 5,
    'retries.429': 1,
    'retries.5xx': 2,
    'retries.timeout': 3,
    'retries.cut': 4,
    'retries.unusable': 5,
    'retries.down.401': 9,
    'tokens.prompt': 100,
    'tokens.completion': 200,
    'tokens.sample.prompt': 10,
    'tokens.sample.completion': 20,
    'tokens.judge.prompt': 60,
    'tokens.judge.completion': 150,
    'tokens.refine.prompt': 30,
    'tokens.refine.completion': 30,
    'tokens.estimated': 6,
    cost: 0.5,
  };

  test('has every counter under its name', () => {
    expect(countsOf(counters)).toEqual({
      modelCalls: { probe: 1, sample: 2, judge: 3, refine: 4 },
      generations: { probe: 2, sample: 10, judge: 15, refine: 5 },
      retries: { '429': 1, '5xx': 2, timeout: 3, cut: 4, unusable: 5 },
      tokens: {
        prompt: 100,
        completion: 200,
        estimatedCalls: 6,
        byPurpose: {
          sample: { prompt: 10, completion: 20 },
          judge: { prompt: 60, completion: 150 },
          refine: { prompt: 30, completion: 30 },
        },
      },
      cost: 0.5,
    });
  });

  test('of a run that asked nothing has zeros, and no cost that nobody knows', () => {
    expect(countsOf({})).toEqual({
      modelCalls: { probe: 0, sample: 0, judge: 0, refine: 0 },
      generations: { probe: 0, sample: 0, judge: 0, refine: 0 },
      retries: { '429': 0, '5xx': 0, timeout: 0, cut: 0, unusable: 0 },
      tokens: {
        prompt: 0,
        completion: 0,
        estimatedCalls: 0,
        byPurpose: {
          sample: { prompt: 0, completion: 0 },
          judge: { prompt: 0, completion: 0 },
          refine: { prompt: 0, completion: 0 },
        },
      },
      cost: null,
    });
  });

  test('tells the iteration from this process, and has a pair for each paired outcome', () => {
    const tally = {
      admitted: 7,
      ended: 6,
      deadLetters: 1,
      outcomes: { 'all-passed': 1, undecided: 1, paired: 2, exhausted: 1, failed: 1, stopped: 0 },
      spend: noSpend,
      saved: {
        saved_responses: 20,
        saved_lazy_votes: 100,
        saved_early_votes: 10,
        saved_code_votes: 0,
        saved_children: 2,
        cancelled_calls: 1,
      },
    };
    const summary = summaryOf(
      tally,
      { total: counters, thisRun: { 'calls.judge': 1 } },
      { admitted: 3, duplicates: 4, rejected: 5 },
      { complete: true, state: 'complete', budget: null, unreadSources: [], seconds: 1.23456 },
      5,
    );
    expect(summary).toEqual({
      ...countsOf(counters),
      admitted: 7,
      state: 'complete',
      budget: null,
      duplicates: 4,
      rejected: 5,
      outcomes: { paired: 2, allPassed: 1, undecided: 1, exhausted: 1, failed: 1, stopped: 0 },
      pairs: 2,
      perPair: { calls: 5, generations: 16, tokens: 150, cost: 0.25 },
      saved: {
        responses: { count: 20, estimatedTokens: 40 },
        // A vote has taken 14 tokens, 10 of them generated; a refinement 12, and it would have had five votes.
        lazyVotes: { count: 100, estimatedTokens: 1400 },
        earlyVotes: { count: 10, estimatedTokens: 100 },
        codeVotes: { count: 0, estimatedTokens: 0 },
        children: { count: 2, estimatedTokens: 164 },
        cancelledCalls: 1,
      },
      deadLetters: 1,
      complete: true,
      unreadSources: [],
      thisRun: { ...countsOf({ 'calls.judge': 1 }), admitted: 3 },
      seconds: 1.235,
    });
  });
});
