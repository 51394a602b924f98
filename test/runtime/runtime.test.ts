import { onTestFinished, describe, expect, test } from 'vitest';
import type { Home } from '../../infra/home/home.ts';
import type { Log } from '../../infra/log/log.ts';
import { silentLogger } from '../../infra/logger.ts';
import { NotServed } from '../../infra/runtime/contexts.ts';
import { Runtime, type RuntimeOptions } from '../../infra/runtime/runtime.ts';
import { systemTime } from '../../infra/time.ts';
import { fullId } from '../../processors/rules/ids.ts';
import { noSpend } from '../../processors/rules/spend.ts';
import type { Instruction, Outcome, Responses } from '../../schemas/records.ts';
import { step } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { memoryHome } from '../support/home.ts';
import { virtualTime } from '../support/virtual-time.ts';
import { append, awhile, endedOf, limits, numbered, outcome, recordsOf, until } from './support.ts';

/** Two stages: the first hands each instruction on, the second ends it when `gate` lets it. */
async function runtimeOf(
  gate: (id: string) => Promise<unknown> = () => Promise.resolve(),
  change: Partial<RuntimeOptions> & { readonly home?: Home } = {},
) {
  const home = change.home ?? (await memoryHome());
  const ranks: string[] = [];
  const runtime = new Runtime({
    dataflow: {
      first: step(
        (record: Instruction): Promise<{ out: readonly Responses[] }> =>
          Promise.resolve({
            out: [
              {
                id: fullId('1', record.id),
                iteration: '1',
                instruction_id: record.id,
                messages: record.messages,
                constraints: [],
                judge_by: null,
                source: '',
                extra: '{}',
                responses: [],
                given: false,
                actor_model: 'm',
                ...noSpend,
              },
            ],
          }),
        { from: topics.instructions, to: { out: topics.responses }, ends: 'instruction' },
      ),
      second: step(
        async (record: Responses) => {
          await gate(record.instruction_id);
          return { out: [outcome(record.instruction_id)] };
        },
        { from: topics.responses, to: { out: topics.outcomes }, ends: 'instruction' },
      ),
    },
    pipeline: home.pipeline,
    iteration: '1',
    log: home.log,
    serde: home.serde,
    contexts: {
      of: ({ name, rank }, _record, _input, signal) => {
        ranks.push(`${name} ${rank}`);
        return Promise.resolve({ signal } as never);
      },
    },
    limits,
    sampleRecords: 100,
    openTrees: 1000,
    treesPerInstruction: 1,
    time: systemTime,
    logger: silentLogger,
    ...change,
  });
  onTestFinished(() => runtime.stop());
  return { home, runtime, ranks };
}

const never = new AbortController().signal;

test('records travel through all stages, and it settles when the last is committed', async () => {
  const { home, runtime, ranks } = await runtimeOf();
  await append(home, numbered(30));
  await runtime.start();
  await runtime.settled(never);
  expect([...(await endedOf(home))].sort()).toEqual([...numbered(30)].sort());
  expect(await runtime.status()).toMatchObject([
    { stage: 'first', done: 30, inFlight: 0, deadLetters: 0, held: {}, lag: 0 },
    { stage: 'second', done: 30, inFlight: 0, deadLetters: 0, held: {}, lag: 0 },
  ]);
  // Later stages go first at the model.
  expect(new Set(ranks)).toEqual(new Set(['first 2', 'second 1']));
});

test('it does not settle while anything is left, and a wait can be given up', async () => {
  const { home, runtime } = await runtimeOf(() => new Promise(() => undefined));
  await append(home, numbered(1));
  await runtime.start();
  const given = new AbortController();
  const settled = runtime.settled(given.signal);
  settled.catch(() => undefined);
  await awhile();
  expect((await runtime.status()).at(-1)).toMatchObject({ inFlight: 1, lag: 1 });
  given.abort(new Error('enough'));
  await expect(settled).rejects.toThrow('enough');
});

describe('the first stage', () => {
  const virtual = async (partitions = 1) => {
    const time = virtualTime();
    return { time, home: await memoryHome(partitions, 'spar', { time }) };
  };
  const sampled = async (home: Home) => (await recordsOf(home, topics.responses)).length;

  test.each([
    ['as many as may be open', 50, 1, 50],
    ['each counts as all the trees that may come of it', 50, 3, 16],
    ['one at a time, if even one may become more trees than may be open', 2, 5, 1],
    ['a page that was read already waits, too', 499, 1, 499],
  ])('begins no more while the others are busy: %s', async (_name, openTrees, trees, expected) => {
    const { time, home } = await virtual();
    const open = Promise.withResolvers<undefined>();
    const { runtime } = await runtimeOf(() => open.promise, {
      ...{ home, time, openTrees, treesPerInstruction: trees, sampleRecords: 1000 },
    });
    await append(home, numbered(800));
    await time.drive(runtime.start().then(() => time.sleep(60_000)));
    expect(await sampled(home)).toBe(expected);
    open.resolve(undefined);
    await time.drive(runtime.settled(never));
    expect(await endedOf(home)).toHaveLength(800);
  });

  test('begins no more while the others are busy elsewhere, in whatever partition', async () => {
    const { time, home } = await virtual(3);
    const open = Promise.withResolvers<undefined>();
    const shared = { home, time, openTrees: 20 };
    const one = await runtimeOf(undefined, { ...shared, stages: ['first'] });
    for (const partition of [0, 1, 2]) {
      await append(home, numbered(30, 100 * partition), undefined, partition);
    }
    await time.drive(one.runtime.start().then(() => time.sleep(60_000)));
    expect(await sampled(home)).toBe(20);
    const other = await runtimeOf(() => open.promise, { ...shared, stages: ['second'] });
    await time.drive(other.runtime.start().then(() => time.sleep(60_000)));
    expect(await sampled(home)).toBe(20);
    open.resolve(undefined);
    await time.drive(one.runtime.settled(never));
    expect(await endedOf(home)).toHaveLength(90);
  });

  test('does not wait for what is held, which nobody here can end', async () => {
    const { time, home } = await virtual();
    const { runtime } = await runtimeOf(undefined, {
      ...{ home, time, openTrees: 2 },
      contexts: {
        of: ({ name }, record, _input, signal) =>
          name === 'second' && record.offset < 10
            ? Promise.reject(new NotServed('1', ['another model']))
            : Promise.resolve({ signal } as never),
      },
    });
    await append(home, numbered(30));
    await time.drive(runtime.start().then(() => runtime.settled(never)));
    expect(await endedOf(home)).toHaveLength(20);
    expect([...runtime.held.values()]).toEqual([10]);
  });

  test('passes over what others sample, however much it is', async () => {
    const { time, home } = await virtual();
    const { runtime } = await runtimeOf(undefined, { home, time, openTrees: 1 });
    await append(home, numbered(700), { iteration: '2' });
    await append(home, numbered(2, 700), { iteration: '1' });
    await time.drive(runtime.start().then(() => runtime.settled(never)));
    expect(await endedOf(home)).toEqual(numbered(2, 700));
    expect(time.monotonic()).toBeLessThan(1000);
  });

  test('is left out where no iteration is sampled for', async () => {
    const { home, runtime } = await runtimeOf(undefined, { iteration: null });
    await append(home, numbered(2));
    await runtime.start();
    await awhile();
    expect(await runtime.status()).toMatchObject([{ stage: 'second', done: 0 }]);
    expect(await recordsOf(home, topics.responses)).toEqual([]);
  });

  test('reads all instructions for each iteration, in a group of its own', async () => {
    const home = await memoryHome();
    await append(home, numbered(3), {});
    for (const iteration of ['1', '2']) {
      const { runtime } = await runtimeOf(undefined, { home, iteration });
      await runtime.start();
      await runtime.settled(never);
      await runtime.stop();
    }
    const ended = await recordsOf<Outcome>(home, topics.outcomes);
    expect(ended.map(({ headers }) => headers['iteration'])).toEqual([
      '1',
      '1',
      '1',
      '2',
      '2',
      '2',
    ]);
  });
});

describe('stopping', () => {
  test('its intake leaves what is in flight alone', async () => {
    const open = Promise.withResolvers<undefined>();
    const { home, runtime } = await runtimeOf(() => open.promise);
    await append(home, numbered(2));
    await runtime.start();
    await until(async () => expect((await runtime.status()).at(-1)).toMatchObject({ inFlight: 2 }));
    runtime.stopIntake();
    await append(home, numbered(2, 2));
    open.resolve(undefined);
    await until(async () => expect(await endedOf(home)).toEqual(numbered(2)));
    await awhile();
    expect((await runtime.status())[0]).toMatchObject({ done: 2, lag: 2 });
  });

  test('and starting again on the same home ends the rest, each once', async () => {
    const home = await memoryHome();
    await append(home, numbered(40));
    const first = await runtimeOf(
      (id) => (Number(id.slice(1)) % 2 ? Promise.resolve() : new Promise(() => undefined)),
      { home },
    );
    await first.runtime.start();
    await until(async () => expect(await endedOf(home)).toHaveLength(20));
    await first.runtime.stop();
    const { runtime } = await runtimeOf(undefined, { home });
    await runtime.start();
    await runtime.settled(never);
    expect([...(await endedOf(home))].sort()).toEqual([...numbered(40)].sort());
    expect(await recordsOf(home, topics.responses)).toHaveLength(40);
  });
});

test('a stage that cannot go on fails the runtime', async () => {
  const home = await memoryHome();
  const broken: Log = {
    ...home.log,
    subscribe: async (group, topic, subscriber) => {
      const subscription = await home.log.subscribe(group, topic, subscriber);
      return { ...subscription, commit: () => Promise.reject(new Error('disk full')) };
    },
  };
  const { runtime } = await runtimeOf(undefined, { home, log: broken });
  await append(home, numbered(1));
  await runtime.start();
  await expect(runtime.failure).rejects.toThrow('disk full');
});
