import { describe, expect, test } from 'vitest';
import { UsageError } from '../../infra/errors.ts';
import { CallError } from '../../infra/model/endpoint.ts';
import type { Home } from '../../infra/home/home.ts';
import { scan } from '../../infra/log/scan.ts';
import { checkBudget, createBudget, keepBudget, keptBudget } from '../../infra/run/budget.ts';
import type { RunOptions } from '../../infra/run/run.ts';
import type { Summary } from '../../infra/run/summary.ts';
import { standingOf } from '../../infra/cli/standing.ts';
import type { Outcome, Responses } from '../../schemas/records.ts';
import { nameOnLog, type TopicInfo } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { batchingServer, type BatchingServer } from '../support/batching-server.ts';
import { memoryHome } from '../support/home.ts';
import { deadModel, type InstantModel } from '../support/model.ts';
import { instantTime } from '../support/time.ts';
import { virtualTime, type VirtualTime } from '../support/virtual-time.ts';
import { configOf, endpointOf, runWith } from './support.ts';

const count = 120;
const lines = Array.from({ length: count }, (_, index) =>
  JSON.stringify({ id: `i${index}`, prompt: `Describe thing ${index} in ${index + 10} words.` }),
);

interface Situation {
  readonly budget: object;
  readonly seed?: number;
  readonly maxInFlight?: number;
  readonly truth?: object;
  readonly price?: { readonly prompt: number; readonly completion: number };
  readonly home?: Home;
  readonly time?: VirtualTime;
  readonly options?: Partial<RunOptions>;
  readonly wrap?: (server: InstantModel) => InstantModel;
}

interface Ran {
  readonly summary: Summary;
  readonly server: BatchingServer;
  readonly home: Home;
  readonly spent: number;
}

/** A run on a clock of its own, against a simulated server with as many slots as calls are in flight. */
async function ran(situation: Situation): Promise<Ran> {
  const { budget, seed = 0, maxInFlight = 64, truth = {}, price = null } = situation;
  const time = situation.time ?? virtualTime();
  const server = batchingServer({
    time,
    slots: maxInFlight,
    whenFull: 'queue',
    truth: { seed, ...truth },
  });
  const home = situation.home ?? (await memoryHome());
  const named = { urls: ['batching'], model: 'batching', version: 'batching' };
  const endpoint = endpointOf({ ...named, maxInFlight, price });
  // What remembers its calls otherwise is asked in the same way.
  const model = server as unknown as InstantModel;
  const summary = await time.drive(
    runWith(home, situation.wrap?.(model) ?? model, lines, {
      time,
      endpoints: { actor: endpoint, judge: endpoint, refiner: endpoint },
      config: configOf({ budget, limits: { max_in_flight: maxInFlight } }),
      progressMs: 60_000,
      ...situation.options,
    }),
  );
  const { prompt, completion } = summary.tokens;
  return { summary, server, home, spent: prompt + completion };
}

async function rowsOf<Row>(home: Home, topic: TopicInfo): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for await (const record of scan(home.log, nameOnLog(home.pipeline, topic))) {
    rows.push((await home.serde.decode(topic.schema, record.value)) as Row);
  }
  return rows;
}

const sum = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((total, each) => total + each, 0);

describe('a budget of tokens', () => {
  test.each([
    { tokens: 300_000, maxInFlight: 8, leastUsed: 0.85, seed: 1 },
    { tokens: 300_000, maxInFlight: 8, leastUsed: 0.85, seed: 2 },
    { tokens: 300_000, maxInFlight: 256, leastUsed: 0.85, seed: 1 },
    { tokens: 300_000, maxInFlight: 256, leastUsed: 0.85, seed: 3 },
    { tokens: 600_000, maxInFlight: 24, leastUsed: 0.9, seed: 1 },
    { tokens: 1_000_000, maxInFlight: 128, leastUsed: 0.95, seed: 2 },
    { tokens: 1_000_000, maxInFlight: 512, leastUsed: 0.95, seed: 1 },
    { tokens: 1_000_000, maxInFlight: 512, leastUsed: 0.95, seed: 2 },
    { tokens: 1_000_000, maxInFlight: 512, leastUsed: 0.95, seed: 3 },
  ])(
    'of $tokens with $maxInFlight in flight is passed by 5 % at most, and used up to its last instruction (seed $seed)',
    async ({ tokens, maxInFlight, leastUsed, seed }) => {
      const situation = { budget: { max_tokens: tokens }, seed, maxInFlight };
      const { summary, spent, home } = await ran(situation);
      expect(summary.state).toBe('incomplete: budget');
      expect(spent / tokens).toBeLessThanOrEqual(1.05);
      expect(spent / tokens).toBeGreaterThan(leastUsed);
      // What was begun was finished, and nobody heard of the rest.
      expect(summary.budget).toMatchObject({ open: 0 });
      const ended = sum(summary.outcomes);
      expect(summary.budget?.notBegun).toBe(count - ended);
      expect((await rowsOf(home, topics.responses)).length).toBe(ended);
    },
  );

  test.each([
    ['hardly any response fails', { failRate: 0.02 }],
    ['every response fails, and no refinement helps', { failRate: 0.95, refineRate: 0.02 }],
    ['judges err', { judgeAccuracy: 0.8 }],
  ])('where %s is passed by 10 % at most', async (_name, truth) => {
    for (const seed of [1, 2]) {
      const { summary, spent } = await ran({ budget: { max_tokens: 600_000 }, seed, truth });
      expect(summary.state).toBe('incomplete: budget');
      expect(spent).toBeLessThanOrEqual(660_000);
      expect(spent).toBeGreaterThan(480_000);
    }
  });

  test('that does for all of them changes nothing', async () => {
    const within = await ran({ budget: { max_tokens: 100_000_000 } });
    const without = await ran({ budget: {} });
    expect(within.summary).toMatchObject({ state: 'complete', complete: true });
    expect(without.summary).toMatchObject({ state: 'complete', budget: null });
    expect(within.summary.outcomes).toEqual(without.summary.outcomes);
    expect(within.summary.modelCalls).toEqual(without.summary.modelCalls);
  });

  test('too small for one begins one, and breaks it off', async () => {
    const { summary, server, home, spent } = await ran({ budget: { max_tokens: 6000 } });
    expect(summary.state).toBe('incomplete: budget');
    expect(summary.budget).toMatchObject({ open: 1, notBegun: count - 1 });
    expect(server.calls.some(({ ending }) => ending === 'aborted')).toBe(true);
    // The answer that passes the limit is the last one.
    const largest = Math.max(
      ...server.calls.map(({ promptTokens, completionTokens }) => promptTokens + completionTokens),
    );
    expect(spent).toBeLessThan(6600 + largest);
    // It has no outcome, and lies where it was for whoever goes on.
    expect(await rowsOf(home, topics.outcomes)).toEqual([]);
    expect(await rowsOf(home, topics.deadLetters)).toEqual([]);
  });
});

describe('with a larger budget', () => {
  test('goes on to the same end as without any, and pays for nothing twice', async () => {
    const straight = await ran({ budget: {} });
    const home = await memoryHome();
    let spent = 0;
    let asked = 0;
    for (const tokens of [6000, 400_000, 1_500_000, 100_000_000]) {
      const part = await ran({ budget: { max_tokens: tokens }, home });
      expect(part.summary.complete).toBe(tokens === 100_000_000);
      expect(part.spent).toBeGreaterThanOrEqual(spent);
      spent = part.spent;
      asked += part.server.calls.filter(({ ending }) => ending === 'answered').length;
    }
    expect(await rowsOf<Outcome>(home, topics.outcomes)).toHaveLength(count);
    const counted = await ran({ budget: {}, home, wrap: deadModel });
    expect(counted.summary.outcomes).toEqual(straight.summary.outcomes);
    expect(counted.summary.modelCalls).toEqual(straight.summary.modelCalls);
    expect(asked).toBe(sum(straight.summary.modelCalls));
  });

  test('the same one again asks nothing and contacts nobody', async () => {
    const first = await ran({ budget: { max_tokens: 400_000 } });
    const again = await ran({ budget: { max_tokens: 400_000 }, home: first.home, wrap: deadModel });
    expect(again.summary).toMatchObject({
      state: 'incomplete: budget',
      outcomes: first.summary.outcomes,
      tokens: first.summary.tokens,
      thisRun: { admitted: 0 },
    });
  });

  test('stopped at any moment, keeps count', async () => {
    const home = await memoryHome();
    let state: Summary['state'] = 'incomplete';
    let stops = 0;
    let spent = 0;
    while (state === 'incomplete') {
      const stop = new AbortController();
      let answers = 0;
      const wrap = (model: InstantModel): InstantModel => ({
        ...model,
        send: (call, signal) => {
          if (++answers === 120) stop.abort(new Error('enough for now'));
          return model.send(call, signal);
        },
      });
      const part = await ran({
        budget: { max_tokens: 500_000 },
        home,
        wrap,
        options: { stop: stop.signal },
      });
      ({ state } = part.summary);
      ({ spent } = part);
      if (++stops > 50) throw new Error('it makes no headway');
    }
    expect(stops).toBeGreaterThan(2);
    expect(state).toBe('incomplete: budget');
    expect(spent).toBeLessThanOrEqual(525_000);
    expect(spent).toBeGreaterThan(425_000);
  });
});

describe('a budget of money', () => {
  const price = { prompt: 1, completion: 4 };

  test('is kept by the prices', async () => {
    for (const seed of [1, 2]) {
      const { summary } = await ran({ budget: { max_cost: 1.5 }, price, seed });
      expect(summary.state).toBe('incomplete: budget');
      expect(summary.cost).toBeLessThanOrEqual(1.575);
      expect(summary.cost).toBeGreaterThan(1.35);
    }
  });

  test('beside one of tokens, the narrower one holds', async () => {
    const both = { max_cost: 1000, max_tokens: 400_000 };
    const { summary, spent } = await ran({ budget: both, price });
    expect(summary.state).toBe('incomplete: budget');
    expect(spent).toBeLessThanOrEqual(420_000);
  });

  test.each([
    ['nobody', null, null, 'the actor and the judge and the refiner have none'],
    ['not the judge', price, null, 'the judge has none'],
  ])('where %s has a price is refused with the setting', (_name, others, judge, words) => {
    const [one, other] = [endpointOf({ price: others }), endpointOf({ price: judge })];
    const endpoints = { actor: one, judge: other, refiner: one };
    const check = () => checkBudget(configOf({ budget: { max_cost: 1 } }).budget, endpoints);
    expect(check).toThrow(UsageError);
    expect(check).toThrow(words);
    expect(check).toThrow('models.judge.price');
    expect(() => checkBudget(configOf().budget, endpoints)).not.toThrow();
  });
});

describe('a target of pairs', () => {
  test.each([
    [1, 1],
    [10, 1],
    [10, 2],
    [30, 1],
  ])('of %d ends with as many, or hardly more (seed %d)', async (pairs, seed) => {
    const { summary } = await ran({ budget: { pairs }, seed });
    expect(summary.state).toBe('target reached');
    expect(summary.pairs).toBeGreaterThanOrEqual(pairs);
    expect(summary.pairs).toBeLessThanOrEqual(pairs + 3);
    expect(summary.budget?.notBegun).toBeGreaterThan(0);
  });

  test('reached before asks nothing; a larger one goes on with what was left open', async () => {
    const first = await ran({ budget: { pairs: 10 } });
    const again = await ran({ budget: { pairs: 10 }, home: first.home, wrap: deadModel });
    expect(again.summary).toMatchObject({ state: 'target reached', pairs: first.summary.pairs });
    const straight = await ran({ budget: {} });
    const all = await ran({ budget: {}, home: first.home });
    expect(all.summary.outcomes).toEqual(straight.summary.outcomes);
    expect(all.summary.modelCalls).toEqual(straight.summary.modelCalls);
  });

  test('that the instructions do not give ends as complete, and says how many there are', async () => {
    const { summary } = await ran({ budget: { pairs: 1000 } });
    expect(summary).toMatchObject({ state: 'complete', complete: true });
    expect(summary.budget?.pairs).toMatchObject({ limit: 1000, spent: summary.pairs, reserved: 0 });
  });
});

describe('a source without an end', () => {
  test('is not waited for once the budget is used up', async () => {
    const time = virtualTime();
    const home = await memoryHome();
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield Buffer.from(`${lines.join('\n')}\n`);
      await new Promise(() => undefined);
    }
    const { summary } = await ran({
      budget: { max_tokens: 300_000 },
      home,
      time,
      options: { source: { name: 'standard input', chunks: endless() } },
    });
    expect(summary).toMatchObject({
      state: 'incomplete: budget',
      unreadSources: ['standard input'],
    });
  });
});

describe('whoever only looks', () => {
  test('sees the budget that the last run was given, what is spent, and what was not begun', async () => {
    const { home, summary, spent } = await ran({ budget: { max_tokens: 400_000 } });
    const standing = await standingOf(
      {
        ...home,
        counters: (iteration) => home.journal.counters(iteration),
        notes: (key) => [home.journal.note(key) ?? []].flat(),
      },
      '1',
    );
    expect(standing.budget).toEqual(summary.budget);
    expect(standing.budget).toMatchObject({
      tokens: { limit: 400_000, spent, reserved: 0 },
      open: 0,
      notBegun: count - sum(summary.outcomes),
    });
  });

  test('sees none after a run without one, and the latest of several processes', async () => {
    const { journal } = await memoryHome();
    const guess = { tokens: 1, cost: 0 };
    const keep = (budget: object, now: number) =>
      keepBudget(journal, '1', { ...configOf({ budget }).budget, guess }, { wall: () => now });
    const notes = (key: string) => [journal.note(key) ?? []].flat();
    await keep({}, 1);
    expect(notes('budget 1')).toEqual([]);
    await keep({ pairs: 5 }, 2);
    expect(keptBudget(notes, '1')).toMatchObject({ pairs: 5, max_tokens: null, guess });
    const [older = ''] = notes('budget 1');
    await keep({ pairs: 9 }, 3);
    const [newer = ''] = notes('budget 1');
    expect(keptBudget(() => [newer, older], '1')).toMatchObject({ pairs: 9 });
    await keep({}, 4);
    expect(keptBudget(notes, '1')).toBeNull();
  });
});

test('instructions with several trees are open until the last of them has ended', async () => {
  const { summary, spent } = await ran({
    budget: { max_tokens: 1_500_000 },
    options: {
      config: configOf({ negatives_per_instruction: 3, budget: { max_tokens: 1_500_000 } }),
    },
  });
  expect(summary.state).toBe('incomplete: budget');
  expect(summary.budget).toMatchObject({ open: 0 });
  expect(spent).toBeLessThanOrEqual(1_575_000);
});

test('what fails before it has responses was begun, and is not open', async () => {
  const tooLong = (model: InstantModel): InstantModel => ({
    ...model,
    send: (call, signal) =>
      call.purpose === 'sample' && call.messages.some(({ content }) => content.includes('7'))
        ? Promise.reject(new CallError('context', 'too long'))
        : model.send(call, signal),
  });
  const { summary, spent } = await ran({ budget: { max_tokens: 400_000 }, wrap: tooLong });
  expect(summary.outcomes.failed).toBeGreaterThan(0);
  expect(summary.state).toBe('incomplete: budget');
  expect(summary.budget).toMatchObject({ open: 0, notBegun: count - sum(summary.outcomes) });
  expect(spent).toBeLessThanOrEqual(420_000);
});

test('what was lost on the way is not waited for without end', async () => {
  const first = await ran({ budget: { max_tokens: 300_000 } });
  // Responses whose verdicts and outcome never come, as after a topic was cleared.
  const { log, serde, pipeline } = first.home;
  const [kept] = await rowsOf<Responses>(first.home, topics.responses);
  await log.append([
    {
      topic: nameOnLog(pipeline, topics.responses),
      partition: 0,
      key: '1/lost',
      headers: { iteration: '1' },
      value: serde.encode(topics.responses, {
        ...(kept as Responses),
        id: '1/lost',
        instruction_id: 'lost',
      }),
    },
  ]);
  const group = 'spar.judge';
  const subscription = await log.subscribe(group, nameOnLog(pipeline, topics.responses), {
    assigned: () => undefined,
    records: () => undefined,
    revoked: () => Promise.resolve(),
    failed: () => undefined,
  });
  const [end] = await log.ends(nameOnLog(pipeline, topics.responses));
  await subscription.commit(0, { outputs: [], position: end?.latest ?? 0, metadata: '' });
  await subscription.close();
  const { summary } = await ran({ budget: { max_tokens: 350_000 }, home: first.home });
  expect(summary).toMatchObject({ state: 'incomplete: budget', budget: { open: 1 } });
});

/** Whoever asks for it; one instruction is taken to come to 600 tokens. */
const budgetOf = (home: Home, tokens: number) =>
  createBudget({
    ...home,
    settings: configOf({ budget: { max_tokens: tokens } }).budget,
    guess: { tokens: 600, cost: 0 },
    iteration: '1',
    ledger: { total: () => ({}), thisRun: {} },
    isShared: true,
    share: () => 1,
    isIdle: () => false,
    lookMs: 10,
    time: instantTime(),
  });

test('an instruction that is given up with its partition leaves its place to another', async () => {
  const budget = budgetOf(await memoryHome(), 1000);
  const given = new AbortController();
  const kept = new AbortController();
  await budget.start();
  await budget.admit('a', given.signal);
  const second = budget.admit('b', kept.signal);
  await budget.look();
  expect(budget).toMatchObject({ refuses: true, standing: { open: 1 } });
  given.abort(new Error('the partition is given up'));
  await second;
  expect(budget).toMatchObject({ refuses: false, standing: { open: 1 } });
  await budget.stop();
});

test.each([
  ['is room', 100_000_000],
  ['is none', 1000],
])('a repeat of what has ended holds no place where there %s', async (_name, tokens) => {
  const { home } = await ran({ budget: { max_tokens: 300_000 } });
  const [ended] = await rowsOf<Outcome>(home, topics.outcomes);
  const budget = budgetOf(home, tokens);
  await budget.look();
  await budget.admit(ended?.instruction_id ?? '', new AbortController().signal);
  await budget.look();
  expect(budget).toMatchObject({ refuses: false, standing: { open: 0 } });
  await budget.stop();
});

test('an instruction that asks twice, since it was moved while it waited, has one place', async () => {
  const budget = budgetOf(await memoryHome(), 1000);
  const given = new AbortController();
  const { signal } = new AbortController();
  await budget.start();
  await budget.admit('a', given.signal);
  const both = [budget.admit('b', signal), budget.admit('b', signal)];
  await budget.look();
  given.abort(new Error('the partition is given up'));
  await Promise.all(both);
  expect(budget).toMatchObject({ refuses: false, standing: { open: 1 } });
  await budget.stop();
});

test('an instruction that comes back after a rejoin keeps its place', async () => {
  const budget = budgetOf(await memoryHome(), 1000);
  const before = new AbortController();
  const { signal } = new AbortController();
  await budget.start();
  await budget.admit('a', before.signal);
  before.abort(new Error('the partition is given up'));
  await budget.admit('a', signal);
  await budget.look();
  expect(budget.standing).toMatchObject({ open: 1 });
  await budget.stop();
});
