import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test, vi } from 'vitest';
import { Unavailable } from '../../infra/errors.ts';
import type { LogRecord } from '../../infra/log/log.ts';
import type { Gateway } from '../../infra/model/gateway.ts';
import { openIteration } from '../../infra/run/iteration.ts';
import { chanceOf } from '../../infra/runtime/chance.ts';
import { createContexts, NotServed } from '../../infra/runtime/contexts.ts';
import { headersFor, orderOf } from '../../infra/runtime/headers.ts';
import { PermanentError } from '../../processors/processor.ts';
import type { Settings } from '../../processors/settings.ts';
import { step } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { memoryHome } from '../support/home.ts';
import { settingsWith } from '../support/script.ts';
import { instantTime } from '../support/time.ts';
import { outcome } from './support.ts';

const never = new AbortController().signal;

const record = (
  headers: Readonly<Record<string, string>>,
  key: string | null = '1/i1',
): LogRecord => ({
  topic: 'spar.responses',
  partition: 0,
  offset: 9,
  timestamp: 0,
  key,
  headers,
  value: new Uint8Array(),
});

const stage = {
  name: 'judge',
  rank: 3,
  iteration: null,
  step: step(() => Promise.resolve({}), {
    from: topics.responses,
    to: {},
    tables: {},
    ends: 'instruction',
  }),
};

async function contextsOf(gateway: Partial<Gateway> = {}) {
  const home = await memoryHome();
  const time = instantTime();
  const asked: unknown[] = [];
  const contexts = createContexts({
    pipeline: 'spar',
    log: home.log,
    serde: home.serde,
    time,
    tableWaitMs: 10_000,
    gateway: {
      serves: () => true,
      model: (...parameters) => {
        asked.push(parameters);
        return { ask: () => Promise.reject(new Error('nobody')) };
      },
      ...gateway,
    },
  });
  await openIteration(home.log, home.serde, 'spar', settingsWith({ seed: 5 }), time);
  return { home, time, contexts, asked };
}

describe('what a processor may know', () => {
  test('is the settings of its iteration, and a model that knows whose draws these are', async () => {
    const { contexts, asked } = await contextsOf();
    const context = await contexts.of(
      stage,
      record({ iteration: '1', order: '4' }),
      { instruction_id: 'i1' },
      never,
    );
    expect(context.settings).toEqual(settingsWith({ seed: 5 }));
    expect(asked).toEqual([
      [
        { pipeline: 'spar', iteration: '1', seed: 5, instruction: 'i1', stage: 'judge' },
        { actor: 'actor-1', judge: 'judge-1', refiner: 'refiner-1' },
        { rank: 3, order: 4 },
      ],
    ]);
    expect(context.chance('which')).toBe(chanceOf(5, '1', '1/i1')('which'));
  });

  test.each([
    ['names none', {}, /names no iteration/],
    ['names one that was never opened', { iteration: '9' }, /"9" was never opened/],
  ])('is nothing for a record that %s', async (_name, headers, words) => {
    const { contexts } = await contextsOf();
    const failure: unknown = await contexts
      .of(stage, record(headers), {}, never)
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(PermanentError);
    expect(failure).toMatchObject({ code: 'no-iteration', message: expect.stringMatching(words) });
  });
});

test('an iteration without a judge waits for nobody who has one', async () => {
  const { contexts, home, time } = await contextsOf({ serves: () => false });
  const models = { actor: 'actor-1', judge: '', refiner: 'refiner-1' };
  const settings = { ...settingsWith(), iteration: '2', models };
  await openIteration(home.log, home.serde, 'spar', settings, time);
  const asking = { ...stage, step: { ...stage.step, asks: ['judge'] as const } };
  const of = (iteration: string) =>
    contexts.of(asking, record({ iteration }), { instruction_id: 'i1' }, never);
  await expect(of('1')).rejects.toBeInstanceOf(NotServed);
  expect((await of('2')).settings.models.judge).toBe('');
});

test('thousands of records that begin together look their iteration up once', async () => {
  const { contexts, home } = await contextsOf();
  const latest = vi.spyOn(home.log, 'latest');
  const all = await Promise.all(
    Array.from({ length: 100 }, () =>
      contexts.of(stage, record({ iteration: '1' }), { instruction_id: 'i1' }, never),
    ),
  );
  expect(all).toHaveLength(100);
  expect(latest).toHaveBeenCalledTimes(1);
});

test('an iteration that could not be looked up is looked up again', async () => {
  const { contexts, home } = await contextsOf();
  vi.spyOn(home.log, 'latest').mockRejectedValueOnce(new Unavailable('the log is away'));
  const ask = () => contexts.of(stage, record({ iteration: '1' }), {}, never);
  await expect(ask()).rejects.toThrow('away');
  await expect(ask()).resolves.toHaveProperty('model');
});

describe('a record whose iteration was opened with another model', () => {
  const asks = { ...stage, step: { ...stage.step, asks: ['judge', 'refiner'] as const } };
  const gateway = { serves: (role: string, version: string) => version === `${role}-1` };

  test('is not served by this process, which says what it lacks', async () => {
    const { contexts } = await contextsOf({
      serves: (role, version) => role !== 'refiner' && version === `${role}-1`,
    });
    const failure: unknown = await contexts
      .of(asks, record({ iteration: '1' }), {}, never)
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(NotServed);
    expect(failure).toMatchObject({
      iteration: '1',
      message: 'iteration 1 was opened with refiner-1 as its refiner',
    });
  });

  test('is not served either if only its settings make the step ask that one', async () => {
    const { contexts } = await contextsOf({ serves: (role) => role !== 'actor' });
    const sampling = {
      ...stage,
      step: {
        ...stage.step,
        asksToo: ({ judge }: Settings) => (judge.lazy ? [] : ['actor' as const]),
      },
    };
    await expect(contexts.of(sampling, record({ iteration: '1' }), {}, never)).rejects.toThrow(
      'actor-1 as its actor',
    );
    await expect(contexts.of(stage, record({ iteration: '1' }), {}, never)).resolves.toHaveProperty(
      'model',
    );
  });

  test.each([
    ['the models are those of the iteration', gateway, asks],
    ['the step asks none', { serves: () => false }, stage],
  ])('is served where %s', async (_name, those, where) => {
    const { contexts } = await contextsOf(those);
    await expect(contexts.of(where, record({ iteration: '1' }), {}, never)).resolves.toHaveProperty(
      'model',
    );
  });
});

describe('a table', () => {
  const withTable = {
    ...stage,
    step: { ...stage.step, tables: { outcomes: topics.outcomes } },
  };
  const tableOf = async () => {
    const made = await contextsOf();
    const { tables } = await made.contexts.of(withTable, record({ iteration: '1' }), {}, never);
    const append = (id: string, cause: string | null = null) =>
      made.home.log.append([
        {
          topic: 'spar.outcomes',
          partition: 0,
          key: outcome(id).id,
          headers: {},
          value: made.home.serde.encode(topics.outcomes, outcome(id, { cause })),
        },
      ]);
    return { ...made, table: tables['outcomes']!, append };
  };

  test('finds the latest record of a key', async () => {
    const { table, append } = await tableOf();
    expect(await table.find('1/i1')).toBeNull();
    await append('i1', 'old');
    await append('i1', 'new');
    expect(await table.find('1/i1')).toEqual(outcome('i1', { cause: 'new' }));
  });

  test('has no row that is no record: whose look-up meets one finds the row before it, or none', async () => {
    const { table, append, home } = await tableOf();
    const junk = (key: string) =>
      home.log.append([
        { topic: 'spar.outcomes', partition: 0, key, headers: {}, value: Buffer.from('junk') },
      ]);
    await junk('1/i2');
    expect(await table.find('1/i2')).toBeNull();
    await junk('1/i1');
    await append('i1', 'old');
    await append('i1', 'new');
    await junk('1/i1');
    expect(await table.find('1/i1')).toEqual(outcome('i1', { cause: 'new' }));
  });

  test('waits for a row that is late', async () => {
    const { table, append, time } = await tableOf();
    const row = table.wait('1/i1', never);
    await append('i1');
    expect(await row).toEqual(outcome('i1'));
    expect(time.monotonic()).toBeLessThan(10_000);
  });

  test('does not wait for ever: the record fails with the name of what it lacks', async () => {
    const { table, time } = await tableOf();
    await expect(table.wait('1/i1', never)).rejects.toMatchObject({ code: 'no-outcome' });
    expect(time.monotonic()).toBeGreaterThanOrEqual(10_000);
    // Looked up seldom while it lasts.
    expect(time.sleeps.length).toBeLessThan(30);
  });

  test('is left when the answer is no longer wanted', async () => {
    const { table } = await tableOf();
    const given = new AbortController();
    const row = table.wait('1/i1', given.signal);
    row.catch(() => undefined);
    given.abort(new Error('enough'));
    await expect(row).rejects.toThrow('enough');
  });
});

describe('chance', () => {
  property.prop([fc.integer({ min: 0 }), fc.string(), fc.string(), fc.string()])(
    'is a fraction that depends on seed, iteration, id and purpose alone',
    (seed, iteration, id, purpose) => {
      const fraction = chanceOf(seed, iteration, id)(purpose);
      expect(fraction).toBeGreaterThanOrEqual(0);
      expect(fraction).toBeLessThan(1);
      expect(chanceOf(seed, iteration, id)(purpose)).toBe(fraction);
    },
  );

  test.each([
    ['the seed', chanceOf(2, '1', 'a')('p')],
    ['the iteration', chanceOf(1, '2', 'a')('p')],
    ['the id', chanceOf(1, '1', 'b')('p')],
    ['the purpose', chanceOf(1, '1', 'a')('q')],
  ])('%s changes it', (_what, fraction) => {
    expect(fraction).not.toBe(chanceOf(1, '1', 'a')('p'));
  });
});

describe('headers', () => {
  test('the trace is the same for all that comes of one instruction, in this iteration', () => {
    const first = headersFor(record({}, 'i1'), {}, '1');
    expect(headersFor(record({}, 'i1'), {}, '1')['trace']).toBe(first['trace']);
    expect(headersFor(record(first, '1/i1'), {}, null)['trace']).toBe(first['trace']);
    expect(headersFor(record({}, 'i2'), {}, '1')['trace']).not.toBe(first['trace']);
    expect(headersFor(record({}, 'i1'), {}, '2')['trace']).not.toBe(first['trace']);
  });

  test('the number of trees is told where the output has one', () => {
    expect(headersFor(record({}), { trees: 3 }, '1')).toMatchObject({ trees: '3' });
    expect(headersFor(record({}), {}, '1')).not.toHaveProperty('trees');
  });

  test.each([
    ['as admitted', { order: '12' }, 12],
    ['without a header: its place in the topic', {}, 9],
    ['with a hostile one: its place in the topic', { order: '1e99' }, 9],
  ])('the order, %s', (_name, headers, expected) => {
    expect(orderOf(record(headers))).toBe(expected);
  });
});
