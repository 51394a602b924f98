import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import type { Serde } from '../../infra/codec/serde.ts';
import { Unavailable } from '../../infra/errors.ts';
import type { Home } from '../../infra/home/home.ts';
import { createMemoryJournal } from '../../infra/journal/memory.ts';
import {
  PartitionLost,
  TooLarge,
  type Log,
  type LogRecord,
  type Transaction,
} from '../../infra/log/log.ts';
import { createGateway } from '../../infra/model/gateway.ts';
import { createLedger } from '../../infra/model/ledger.ts';
import { retryPolicy } from '../../infra/model/policy.ts';
import { AdaptiveLimiter } from '../../infra/model/limiter.ts';
import { CallQueue } from '../../infra/model/queue.ts';
import { NotServed, type Contexts } from '../../infra/runtime/contexts.ts';
import { systemTime } from '../../infra/time.ts';
import { PermanentError } from '../../processors/processor.ts';
import type { DeadLetter, Outcome } from '../../schemas/records.ts';
import { topics } from '../../topology/topics.ts';
import { memoryHome } from '../support/home.ts';
import { instantTime } from '../support/time.ts';
import {
  append,
  awhile,
  committedOf,
  endedOf,
  instruction,
  numbered,
  outcome,
  recordsOf,
  script,
  stageOf,
  until,
} from './support.ts';

/** A log whose commits the test sees, holds up or breaks. */
const committing =
  (before: (transaction: Transaction) => Promise<void> | void) =>
  (log: Log): Log => ({
    ...log,
    subscribe: async (group, topic, subscriber) => {
      const subscription = await log.subscribe(group, topic, subscriber);
      return {
        ...subscription,
        commit: async (partition, transaction) => {
          await before(transaction);
          await subscription.commit(partition, transaction);
        },
      };
    },
  });

describe('records finish in any order', () => {
  test('each is published when it is done, and the position waits for the first', async () => {
    const { started, process, end } = script();
    const { home, stage } = await stageOf(process);
    await append(home, numbered(5));
    await stage.start();
    await until(() => expect(started).toEqual(numbered(5)));
    end('i3');
    await until(async () => expect(await endedOf(home)).toEqual(['i3']));
    end('i1');
    await until(async () => expect(await endedOf(home)).toEqual(['i3', 'i1']));
    expect(await committedOf(home)).toMatchObject({
      position: 0,
      metadata: expect.stringMatching(/./),
    });
    end('i0', 'i2', 'i4');
    await until(async () =>
      expect(await committedOf(home)).toMatchObject({ position: 5, metadata: '' }),
    );
    expect(stage.stats).toEqual({
      ...{ done: 5, inFlight: 0, deadLetters: 0, held: {} },
      ...{ joined: true, partitions: 1 },
    });
  });

  test('after a restart nothing that was done is done again', async () => {
    const first = script();
    const { home, stage } = await stageOf(first.process);
    await append(home, numbered(6));
    await stage.start();
    first.end('i1', 'i4');
    await until(async () => expect(await endedOf(home)).toHaveLength(2));
    await stage.stop();
    const second = script();
    second.end(...numbered(6));
    const { stage: next } = await stageOf(second.process, { home });
    await next.start();
    await until(async () => expect(await committedOf(home)).toMatchObject({ position: 6 }));
    expect(second.started).toEqual(['i0', 'i2', 'i3', 'i5']);
    expect([...(await endedOf(home))].sort()).toEqual(numbered(6));
  });

  property.prop(
    [
      fc.shuffledSubarray(numbered(12).map(String), { minLength: 12 }),
      fc.integer({ min: 0, max: 12 }),
      fc.integer({ min: 1, max: 5 }),
    ],
    { numRuns: 15 },
  )(
    'whatever the order and whenever it stops, every record is published once',
    async (order, stopAfter, transactionRecords) => {
      const home = await memoryHome();
      await append(home, numbered(12));
      const first = script();
      const { stage } = await stageOf(first.process, { home, limits: { transactionRecords } });
      await stage.start();
      for (const id of order.slice(0, stopAfter)) first.end(id);
      if (stopAfter > 0)
        await until(async () => expect((await endedOf(home)).length).toBeGreaterThan(0));
      await stage.stop();
      const second = script();
      second.end(...order);
      const { stage: next } = await stageOf(second.process, {
        home,
        limits: { transactionRecords },
      });
      await next.start();
      await until(async () => expect(await committedOf(home)).toMatchObject({ position: 12 }));
      await next.stop();
      expect([...(await endedOf(home))].sort()).toEqual([...order].sort());
    },
  );

  test('none is forgotten, however soon it ends after the commit that let it start', async () => {
    for (let turns = 0; turns <= 20; turns++) {
      const { home, stage } = await stageOf(
        async ({ id }) => {
          for (let turn = 0; turn < turns; turn++) await Promise.resolve();
          return [outcome(id)];
        },
        { limits: { records: 10, transactionRecords: 5 } },
      );
      await append(home, numbered(15));
      await stage.start();
      await until(() => expect(stage.stats.done, `${turns} turns`).toBe(15));
      await stage.stop();
    }
  });

  test('a transaction holds no more records than it may', async () => {
    const sizes: number[] = [];
    const { process, end } = script();
    end(...numbered(10));
    const { home, stage } = await stageOf(process, {
      limits: { transactionRecords: 3 },
      log: committing(({ outputs }) => void sizes.push(outputs.length)),
    });
    await append(home, numbered(10));
    await stage.start();
    await until(() => expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(10));
    expect(Math.max(...sizes)).toBe(3);
  });

  describe('finished work waits for company,', () => {
    // Longer than any test: whoever waits for it, waits in vain.
    const limits = { lingerMs: 60_000, records: 4, transactionRecords: 6 };
    const lingering = async (records: number) => {
      const first = script();
      first.end(...numbered(records));
      const { home, stage } = await stageOf(first.process, { limits, time: systemTime });
      await append(home, numbered(records));
      await stage.start();
      return { home, stage, first };
    };

    test('and alone it waits for long', async () => {
      const { home } = await lingering(3);
      await awhile();
      expect(await endedOf(home)).toEqual([]);
    });

    test('but not for what can only start once it is committed', async () => {
      const { home } = await lingering(10);
      await until(async () => expect(await endedOf(home)).toEqual(numbered(8)));
    });

    test('nor where something comes only later that has to wait for it', async () => {
      const { home, first } = await lingering(1);
      await until(() => expect(first.started).toHaveLength(1));
      await awhile();
      await append(home, ['i0']);
      await until(async () => expect(await endedOf(home)).toEqual(['i0']));
    });

    test('and not when its partition is given up', async () => {
      const { home, stage, first } = await lingering(3);
      await until(() => expect(first.started).toHaveLength(3));
      await awhile();
      await stage.stop();
      expect(await endedOf(home)).toEqual(numbered(3));
    });
  });

  test('outputs go to the partition of their input', async () => {
    const { process, end } = script();
    end(...numbered(6));
    const { home, stage } = await stageOf(process, { partitions: 3 });
    for (const [index, id] of numbered(6).entries()) {
      await append(home, [id], { iteration: '1' }, index % 3);
    }
    await stage.start();
    await until(async () => expect(await endedOf(home)).toHaveLength(6));
    for (const { partition, row } of await recordsOf<Outcome>(home, topics.outcomes)) {
      expect(partition).toBe(Number(row.instruction_id.slice(1)) % 3);
    }
  });
});

describe('limits', () => {
  test('are those of the stage: its partitions share them', async () => {
    const { started, process, end } = script();
    const { home, stage } = await stageOf(process, { partitions: 3, limits: { records: 12 } });
    for (let partition = 0; partition < 3; partition++) {
      const ids = numbered(30, partition * 30);
      await append(home, ids, { iteration: '1' }, partition);
    }
    await stage.start();
    await until(() => expect(started).toHaveLength(12));
    await awhile();
    expect(started).toHaveLength(12);
    end(...numbered(90));
    await until(() => expect(stage.stats.done).toBe(90));
  });
});

describe('gaps', () => {
  test('at the end of a topic are committed too, so that no lag is left that nothing will close', async () => {
    const home = await memoryHome();
    const { stage } = await stageOf(script().process, {
      home,
      log: (log) => ({
        ...log,
        subscribe: async (group, topic, subscriber) => {
          const subscription = await log.subscribe(group, topic, subscriber);
          subscriber.records(0, [], 3);
          return subscription;
        },
      }),
    });
    await stage.start();
    await until(async () => expect(await committedOf(home)).toMatchObject({ position: 3 }));
  });
});

describe('records of the same key', () => {
  test('wait until the earlier one is committed, so that its outputs can be looked up', async () => {
    const home = await memoryHome();
    const seen: number[] = [];
    const disk = Promise.withResolvers<undefined>();
    const { stage } = await stageOf(
      async ({ id }) => {
        if (id === 'same') seen.push((await endedOf(home)).filter((one) => one === id).length);
        return [outcome(id)];
      },
      { home, log: committing(() => disk.promise) },
    );
    await append(home, ['same', 'other', 'same', 'same']);
    await stage.start();
    await until(() => expect(seen).toEqual([0]));
    await awhile();
    expect(seen).toEqual([0]);
    expect(stage.stats.inFlight).toBe(4);
    disk.resolve(undefined);
    await until(() => expect(stage.stats.done).toBe(4));
    expect(seen).toEqual([0, 1, 2]);
  });

  test('of a foreign producer are those of one instruction, under whatever keys', async () => {
    const { started, process, end } = script();
    const { home, stage } = await stageOf(process);
    const foreign = (key: string | null, prompt: string) => ({
      topic: 'spar.instructions',
      partition: 0,
      key,
      headers: { iteration: '1' },
      value: Buffer.from(JSON.stringify({ id: prompt, prompt })),
    });
    await home.log.append([foreign(null, 'a'), foreign('x', 'a'), foreign('y', 'b')]);
    await stage.start();
    await until(() => expect(started).toEqual(['a', 'b']));
    await awhile();
    expect(started).toEqual(['a', 'b']);
    end('a');
    await until(() => expect(started).toEqual(['a', 'b', 'a']));
    const [ended] = await recordsOf<Outcome>(home, topics.outcomes);
    expect(ended?.row.instruction_id).toBe('a');
  });

  test('of a foreign producer are so too while its schema is still being looked up', async () => {
    const { started, process, end } = script();
    const { home, stage } = await stageOf(process, { home: await memoryHome() });
    const value = home.serde.encode(topics.instructions, instruction('a'));
    const foreign = (key: string) => ({
      ...{ topic: 'spar.instructions', partition: 0, key, headers: { iteration: '1' } },
      value: new Uint8Array(value),
    });
    await home.log.append([foreign('x'), foreign('y')]);
    await append(home, ['b']);
    await stage.start();
    await until(() => expect(started).toEqual(['a', 'b']));
    await awhile();
    expect(started).toEqual(['a', 'b']);
    end('a', 'b');
    await until(() => expect(stage.stats.done).toBe(3));
  });

  test('whose schema nobody knows end as dead letters, and hold nobody up', async () => {
    const { home, stage, failures } = await stageOf(({ id }) => Promise.resolve([outcome(id)]));
    const poison = (key: string, ...bytes: readonly number[]) => ({
      ...{ topic: 'spar.instructions', partition: 0, key, headers: { iteration: '1' } },
      value: new Uint8Array(bytes),
    });
    await home.log.append([poison('x', 0, 0, 0, 99, 9, 1), poison('y', 0), poison('z')]);
    await append(home, ['b']);
    await stage.start();
    await until(() => expect(stage.stats).toMatchObject({ done: 4, deadLetters: 3 }));
    expect((await endedOf(home)).toSorted()).toEqual(['b', 'x', 'y', 'z']);
    expect(failures).toEqual([]);
  });

  describe('of a foreign producer whose schema is still being looked up', () => {
    const foreign = (home: Home, key: string, id: string) => ({
      topic: 'spar.instructions',
      partition: 0,
      key,
      headers: { iteration: '1' },
      value: home.serde.encode(topics.instructions, instruction(id)),
    });
    /** A registry that has not answered yet, and may be away for so many tries. */
    const asking = (home: Home, away = 0): Serde => {
      let known = false;
      return {
        ...home.serde,
        decode(schema, bytes, origin) {
          if (known || schema !== 'instruction') return home.serde.decode(schema, bytes, origin);
          return Promise.resolve().then(() => {
            if (away-- > 0) throw new Unavailable('the registry is away');
            known = true;
            return home.serde.decode(schema, bytes, origin);
          });
        },
      };
    };

    test.each([0, 3])('they wait, also for a registry that is away (%i times)', async (away) => {
      const home = await memoryHome();
      const { started, process, end } = script();
      const { stage, failures } = await stageOf(process, {
        home,
        options: { serde: asking(home, away) },
      });
      await home.log.append([
        foreign(home, 'x', 'a'),
        foreign(home, 'y', 'a'),
        foreign(home, 'x', 'b'),
      ]);
      await stage.start();
      await until(() => expect(started).toEqual(['a', 'b']));
      end('a');
      await until(() => expect(started).toEqual(['a', 'b', 'a']));
      end('b');
      await until(async () => expect(await committedOf(home)).toMatchObject({ position: 3 }));
      expect(failures).toEqual([]);
    });

    test('and nobody waits for ever', async () => {
      const home = await memoryHome();
      const { stage, failures } = await stageOf(script().process, {
        home,
        options: { serde: asking(home, Infinity) },
      });
      await home.log.append([foreign(home, 'x', 'a')]);
      await stage.start();
      await until(() => expect(failures.map(String)).toEqual([expect.stringMatching(/is away/)]));
    });
  });

  test('do not hold up others', async () => {
    const { started, process, end } = script();
    const { home, stage } = await stageOf(process);
    await append(home, ['same', 'same', 'other']);
    await stage.start();
    end('other');
    await until(async () => expect(await endedOf(home)).toEqual(['other']));
    expect(started).toEqual(['same', 'other']);
  });
});

describe('a record that fails', () => {
  test('is tried again after waits that double, and then goes on as if nothing had been', async () => {
    const time = instantTime();
    let failures = 2;
    const { home, stage } = await stageOf(
      async ({ id }) => {
        await Promise.resolve();
        if (failures-- > 0) throw new Error('for now');
        return [outcome(id)];
      },
      { time },
    );
    await append(home, ['i0']);
    await stage.start();
    await until(async () => expect(await endedOf(home)).toEqual(['i0']));
    expect(time.sleeps.filter((delayMs) => delayMs > 0)).toEqual([10, 20]);
    expect(await recordsOf(home, topics.deadLetters)).toEqual([]);
  });

  test.each([
    ['that may pass, after the last try', new Error('for ever'), 'attempts', 3],
    ['that never passes, at once', new PermanentError('refused', 'no'), 'refused', 1],
  ])('%s is a dead letter and an outcome', async (_name, error, cause, attempts) => {
    let tries = 0;
    const { home, stage } = await stageOf(() => {
      tries++;
      return Promise.reject(error);
    });
    await append(home, ['i0']);
    await stage.start();
    await until(() => expect(stage.stats.done).toBe(1));
    expect(tries).toBe(attempts);
    expect(stage.stats.deadLetters).toBe(1);
    const [letter] = await recordsOf<DeadLetter>(home, topics.deadLetters);
    const [input] = await recordsOf(home, topics.instructions);
    expect(letter?.row).toMatchObject({
      id: 'instructions/0/0',
      topic: 'instructions',
      key: 'i0',
      headers: '{"iteration":"1"}',
      stage: 'test',
      iteration: '1',
      cause,
      error: error.message,
      attempts,
      revision: 0,
    });
    expect(Buffer.from(letter?.row.value ?? [])).toEqual(Buffer.from(input?.value ?? []));
    const [ended] = await recordsOf<Outcome>(home, topics.outcomes);
    expect(ended?.row).toEqual(outcome('i0', { outcome: 'failed', cause }));
    expect(await committedOf(home)).toMatchObject({ position: 1 });
  });

  test('because something is away that all need uses no tries up, however often it is tried', async () => {
    const time = instantTime();
    let failures = 20;
    const { home, stage } = await stageOf(
      ({ id }) =>
        failures-- > 0
          ? Promise.reject(new Unavailable('the registry does not answer'))
          : Promise.resolve([outcome(id)]),
      { time, limits: { attempts: 2 } },
    );
    await append(home, ['i0']);
    await stage.start();
    await until(async () => expect(await endedOf(home)).toEqual(['i0']));
    expect(await recordsOf(home, topics.deadLetters)).toEqual([]);
  });

  test("because something stays away ends the stage, and the record is nobody's dead letter", async () => {
    const { home, stage, failures } = await stageOf(
      () => Promise.reject(new Unavailable('the registry does not answer')),
      { limits: { awayMs: 1000 } },
    );
    await append(home, ['i0']);
    await stage.start();
    await until(() =>
      expect(failures.map(({ message }) => message)).toEqual(['the registry does not answer']),
    );
    expect(await recordsOf(home, topics.deadLetters)).toEqual([]);
    expect(await committedOf(home)).toMatchObject({ position: 0 });
  });

  test('because something is away now and then, with long work in between, ends nothing', async () => {
    const time = instantTime();
    let tries = 0;
    const { home, stage, failures } = await stageOf(
      async ({ id }) => {
        tries += 1;
        if (tries === 2) await time.sleep(5000);
        if (tries < 3) throw new Unavailable('the registry does not answer');
        return [outcome(id)];
      },
      { time, limits: { awayMs: 1000 } },
    );
    await append(home, ['i0']);
    await stage.start();
    await until(async () => expect(await endedOf(home)).toEqual(['i0']));
    expect(failures).toEqual([]);
  });

  test('does not hold up the others', async () => {
    const { home, stage } = await stageOf(({ id }) =>
      id === 'i1'
        ? Promise.reject(new PermanentError('refused', 'no'))
        : Promise.resolve([outcome(id)]),
    );
    await append(home, numbered(3));
    await stage.start();
    await until(() => expect(stage.stats.done).toBe(3));
    expect([...(await endedOf(home))].sort()).toEqual(numbered(3));
  });

  test('without a key or an iteration leaves the dead letter alone: nobody can tell whose it was', async () => {
    const { home, stage } = await stageOf(() => Promise.resolve([]));
    await home.log.append([
      { topic: 'spar.instructions', partition: 0, key: null, headers: {}, value: Buffer.from('?') },
    ]);
    await stage.start();
    await until(() => expect(stage.stats.done).toBe(1));
    const letters = await recordsOf<DeadLetter>(home, topics.deadLetters);
    expect(letters.map(({ row }) => [row.key, row.iteration, row.cause])).toEqual([
      [null, null, 'decode'],
    ]);
    expect(await endedOf(home)).toEqual([]);
  });

  test('because its output is no such record is a dead letter, not a loop', async () => {
    const { home, stage } = await stageOf(({ id }) =>
      Promise.resolve([{ ...outcome(id), trees: 'many' } as never]),
    );
    await append(home, ['i0']);
    await stage.start();
    await until(() => expect(stage.stats.deadLetters).toBe(1));
    const [letter] = await recordsOf<DeadLetter>(home, topics.deadLetters);
    expect(letter?.row).toMatchObject({ cause: 'encode', attempts: 1 });
  });
});

describe('intake', () => {
  test('pauses at so many records in flight, and goes on as they end', async () => {
    const { started, process, end } = script();
    const { home, stage } = await stageOf(process, { limits: { records: 10 } });
    await append(home, numbered(1200));
    await stage.start();
    await until(() => expect(started).toHaveLength(10));
    await awhile();
    expect(started).toHaveLength(10);
    // One page of the log was on its way; no second one is read.
    expect(stage.stats.inFlight).toBe(500);
    end(...numbered(4));
    await until(() => expect(started).toHaveLength(14));
    end(...numbered(1200));
    await until(() => expect(stage.stats.done).toBe(1200));
    expect(started).toEqual(numbered(1200));
  });

  test('pauses at so many bytes', async () => {
    const { process, end } = script();
    const { home, stage } = await stageOf(process, { limits: { bytes: 1000 } });
    await append(home, numbered(1200));
    await stage.start();
    await until(() => expect(stage.stats.inFlight).toBe(500));
    await awhile();
    expect(stage.stats.inFlight).toBe(500);
    end(...numbered(1200));
    await until(() => expect(stage.stats.done).toBe(1200));
  });

  test('stops behind a closed gate while work in flight goes on', async () => {
    const { started, process, end } = script();
    const { home, stage } = await stageOf(process);
    await append(home, numbered(2));
    await stage.start();
    await until(() => expect(started).toHaveLength(2));
    stage.setGate(false);
    await append(home, numbered(2, 2));
    end('i0');
    await until(async () => expect(await endedOf(home)).toEqual(['i0']));
    await awhile();
    expect(started).toHaveLength(2);
    stage.setGate(true);
    await until(() => expect(started).toEqual(numbered(4)));
  });

  test('that was never opened takes nothing', async () => {
    const { started, process } = script();
    const { home, stage } = await stageOf(process);
    stage.setGate(false);
    await append(home, numbered(2));
    await stage.start();
    await awhile();
    expect(started).toEqual([]);
    stage.setGate(true);
    await until(() => expect(started).toEqual(numbered(2)));
  });
});

describe('stopping', () => {
  test('publishes what is finished, ends what is running and leaves it for the next', async () => {
    const first = script();
    const disk = Promise.withResolvers<undefined>();
    const { home, stage, failures } = await stageOf(first.process, {
      log: committing(() => disk.promise),
    });
    await append(home, numbered(3));
    await stage.start();
    await until(() => expect(first.started).toHaveLength(3));
    first.end('i1');
    await awhile();
    const stopped = stage.stop();
    await awhile();
    expect(first.signals.every(({ aborted }) => aborted)).toBe(true);
    disk.resolve(undefined);
    await stopped;
    expect(await endedOf(home)).toEqual(['i1']);
    expect(failures).toEqual([]);
    const second = script();
    second.end(...numbered(3));
    const { stage: next } = await stageOf(second.process, { home });
    await next.start();
    await until(async () => expect(await committedOf(home)).toMatchObject({ position: 3 }));
    expect(second.started).toEqual(['i0', 'i2']);
  });

  test('drops what comes in afterwards: the partition belongs to someone else', async () => {
    const late = new Map<string, () => void>();
    const { home, stage, failures } = await stageOf(
      ({ id }) =>
        new Promise((resolve) => {
          late.set(id, () => resolve([outcome(id, { cause: 'late' })]));
        }),
    );
    await append(home, numbered(2));
    await stage.start();
    await until(() => expect(late.size).toBe(2));
    await stage.stop();
    const second = script();
    const { stage: next } = await stageOf(second.process, { home });
    await next.start();
    for (const come of late.values()) come();
    await awhile();
    expect(await endedOf(home)).toEqual([]);
    expect(failures).toEqual([]);
    second.end(...numbered(2));
    await until(async () => expect(await endedOf(home)).toHaveLength(2));
    const ended = await recordsOf<Outcome>(home, topics.outcomes);
    expect(ended.map(({ row }) => row.cause)).toEqual([null, null]);
  });

  test('does not make dead letters of what it ended', async () => {
    const { process } = script();
    const { home, stage } = await stageOf(process, { limits: { attempts: 1 } });
    await append(home, numbered(2));
    await stage.start();
    await until(() => expect(stage.stats.inFlight).toBe(2));
    await stage.stop();
    await awhile();
    expect(await recordsOf(home, topics.deadLetters)).toEqual([]);
  });
});

describe('a commit that fails', () => {
  test('ends the stage, and nothing later claims that its records are done', async () => {
    const first = script();
    let commits = 0;
    const { home, stage, failures } = await stageOf(first.process, {
      log: committing(() => {
        if (++commits === 1) throw new Error('disk full');
      }),
    });
    await append(home, numbered(3));
    await stage.start();
    first.end('i0');
    await until(() => expect(failures.map(({ message }) => message)).toEqual(['disk full']));
    // The disk has room again, and another record ends.
    first.end('i1');
    await awhile();
    await stage.stop();
    expect(await committedOf(home)).toMatchObject({ position: 0, metadata: '' });
    const second = script();
    second.end(...numbered(3));
    const { stage: next } = await stageOf(second.process, { home });
    await next.start();
    await until(async () => expect([...(await endedOf(home))].sort()).toEqual(numbered(3)));
  });
});

describe('a partition that another member has taken', () => {
  test('is given up: what ran is ended, nothing is published, and the stage goes on', async () => {
    const { started, signals, process, end } = script();
    const { home, stage, failures } = await stageOf(process, {
      log: committing(() => Promise.reject(new PartitionLost('taken'))),
    });
    await append(home, numbered(3));
    await stage.start();
    await until(() => expect(started).toHaveLength(3));
    end('i1');
    await until(() => expect(signals.every(({ aborted }) => aborted)).toBe(true));
    expect(failures).toEqual([]);
    expect(await endedOf(home)).toEqual([]);
    expect(await committedOf(home)).toMatchObject({ position: 0, metadata: '' });
  });
});

describe('a head that holds everything up', () => {
  const windowSpan = 100;

  test.each([
    ['the window is just full', 100],
    ['more was delivered than the window holds', 150],
  ])('goes to the tail of its topic when %s', async (_name, count) => {
    const { started, signals, process, end } = script();
    const { home, stage } = await stageOf(process, { options: { windowSpan } });
    await append(home, numbered(count));
    await stage.start();
    end(...numbered(count - 1, 1));
    await until(() => expect(started.filter((id) => id === 'i0')).toHaveLength(2));
    // Its first run goes on: the calls that are under way are joined, not cut.
    expect(signals[0]?.aborted).toBe(false);
    end('i0');
    await until(async () => expect(await committedOf(home)).toMatchObject({ position: count + 1 }));
    expect([...(await endedOf(home))].sort()).toEqual([...numbered(count)].sort());
    const moved = (await recordsOf(home, topics.instructions)).at(-1);
    expect(moved).toMatchObject({ key: 'i0', headers: { iteration: '1', moved: '0' } });
    expect(stage.stats.inFlight).toBe(0);
  });

  test('that ends while its move is being committed is published once', async () => {
    const { started, process, end } = script();
    const moving = Promise.withResolvers<undefined>();
    const disk = Promise.withResolvers<undefined>();
    const { home, stage } = await stageOf(process, {
      options: { windowSpan },
      log: committing(({ outputs }) => {
        // The commit that moves the head is the one that writes to the topic it came from.
        if (outputs.every(({ topic }) => topic !== 'spar.instructions')) return;
        moving.resolve(undefined);
        return disk.promise;
      }),
    });
    await append(home, numbered(100));
    await stage.start();
    end(...numbered(99, 1));
    await moving.promise;
    end('i0');
    await awhile();
    disk.resolve(undefined);
    await until(() => expect(started.filter((id) => id === 'i0')).toHaveLength(2));
    await until(async () => expect(await committedOf(home)).toMatchObject({ position: 101 }));
    expect([...(await endedOf(home))].sort()).toEqual([...numbered(100)].sort());
  });

  test('stays while the window has room', async () => {
    const { started, process, end } = script();
    const { home, stage } = await stageOf(process, { options: { windowSpan } });
    await append(home, numbered(79));
    await stage.start();
    end(...numbered(79, 1));
    await until(() => expect(stage.stats.done).toBe(78));
    await awhile();
    expect(started).toHaveLength(79);
  });

  test('and without a stuck head the window only stops intake', async () => {
    const { started, process, end } = script();
    const { home, stage } = await stageOf(process, { options: { windowSpan } });
    await append(home, numbered(1000));
    await stage.start();
    await until(() => expect(started).toHaveLength(100));
    await awhile();
    expect(started).toHaveLength(100);
    end(...numbered(1000));
    await until(() => expect(stage.stats.done).toBe(1000));
    expect(started).toEqual(numbered(1000));
  });

  test('asks the model nothing twice', async () => {
    const slow = Promise.withResolvers<undefined>();
    const asked: string[] = [];
    const time = instantTime();
    const queue = new CallQueue(new AdaptiveLimiter({ most: 1000, first: 1000 }));
    const lane = {
      endpoint: {
        name: 'scripted',
        models: () => Promise.resolve(null),
        send: async ({
          messages,
        }: {
          readonly messages: readonly { readonly content: string }[];
        }) => {
          const [{ content } = { content: '' }] = messages;
          asked.push(content);
          if (content === 'i0') await slow.promise;
          return {
            choices: [{ content: `answer to ${content}`, reasoning: null, finish_reason: 'stop' }],
            usage: null,
          };
        },
      },
      queue,
      policy: retryPolicy(
        {
          attempts: 1,
          firstDelayMs: 1,
          maxDelayMs: 1,
          maxRetryAfterMs: 1,
          downAfter: 10,
          busyAfter: 10,
          downFirstDelayMs: 1,
          downMaxDelayMs: 1,
        },
        time,
        () => Promise.reject(new Error('nothing is down here')),
      ),
      choicesMax: 1,
      usageCoversAll: true,
    };
    const role = {
      lanes: [lane] as const,
      version: 'm',
      price: null,
      deadlineMs: 1000,
      choicesMax: 1,
    };
    const journal = createMemoryJournal();
    const gateway = createGateway(
      { actor: role, judge: role, refiner: role },
      journal,
      createLedger(journal),
      time,
      () => Promise.resolve(),
    );
    const { home, stage } = await stageOf(
      async ({ id }, { model, signal }) => {
        const { choices } = await model.ask(
          {
            role: 'actor',
            messages: [{ role: 'user', content: id }],
            sampling: { temperature: 1, top_p: 1, max_tokens: 1, stop: [] },
            draws: { path: '', round: 0, attempt: 0, count: 1 },
          },
          signal,
        );
        return [outcome(id, { cause: choices[0]?.text ?? null })];
      },
      {
        options: { windowSpan },
        contexts: (_stage, record, _input, signal) =>
          Promise.resolve({
            signal,
            model: gateway.model(
              {
                pipeline: 'spar',
                iteration: '1',
                seed: 0,
                instruction: record.key ?? '',
                stage: 'test',
              },
              { actor: 'm', judge: 'm', refiner: 'm' },
              { rank: 1, order: 0 },
            ),
          } as never),
      },
    );
    await append(home, numbered(110));
    await stage.start();
    await until(() => expect(stage.stats.done).toBe(109));
    slow.resolve(undefined);
    await until(async () => expect(await endedOf(home)).toHaveLength(110));
    expect([...asked].sort()).toEqual([...numbered(110)].sort());
    expect(queue.held).toBe(0);
  });
});

describe('a record that this process has no model for', () => {
  const windowSpan = 100;
  /** Serves no record of iteration 1. */
  const served: Contexts['of'] = (_stage, { headers }, _input, signal) =>
    headers['iteration'] === '1'
      ? Promise.reject(new NotServed('1', ['a model']))
      : Promise.resolve({ signal } as never);

  test('is held: it stays unfinished, and all others go on', async () => {
    const { started, process, end } = script();
    end(...numbered(4));
    const { home, stage } = await stageOf(process, { contexts: served });
    await append(home, ['i0', 'i1'], { iteration: '1' });
    await append(home, ['i2', 'i3'], { iteration: '2' });
    await stage.start();
    await until(() => expect(stage.stats).toMatchObject({ done: 2, inFlight: 0 }));
    expect(started).toEqual(['i2', 'i3']);
    expect(stage.stats.held).toEqual({ 1: 2 });
    expect(await committedOf(home)).toMatchObject({ position: 0 });
    await stage.stop();
    const { stage: next } = await stageOf(process, { home });
    await next.start();
    await until(async () => expect(await committedOf(home)).toMatchObject({ position: 4 }));
    expect(started).toEqual(['i2', 'i3', 'i0', 'i1']);
  });

  test('counts against no limit of records in flight', async () => {
    const { started, process, end } = script();
    end('i60');
    const { home, stage } = await stageOf(process, { contexts: served, limits: { records: 10 } });
    await append(home, numbered(60), { iteration: '1' });
    await append(home, ['i60'], { iteration: '2' });
    await stage.start();
    await until(() => expect(started).toEqual(['i60']));
    expect(stage.stats.held).toEqual({ 1: 60 });
  });

  test('goes to the tail of its topic where it holds a full window up, and is held there', async () => {
    const { process, end } = script();
    end(...numbered(300));
    const { home, stage } = await stageOf(process, { contexts: served, options: { windowSpan } });
    await append(home, ['i0', 'i1'], { iteration: '1' });
    await append(home, numbered(298, 2), { iteration: '2' });
    await stage.start();
    await until(() => expect(stage.stats.done).toBe(298));
    expect(stage.stats.held).toEqual({ 1: 2 });
    const moved = (await recordsOf<{ id: string }>(home, topics.instructions)).slice(300);
    expect(moved.map(({ row }) => row.id)).toEqual(expect.arrayContaining(['i0', 'i1']));
  });

  /** A log that hands out a few records at a time, as a fetch of large ones does, and none while it is paused. */
  const inPagesOf =
    (size: number) =>
    (log: Log): Log => ({
      ...log,
      async subscribe(group, topic, subscriber) {
        const waiting: { readonly page: readonly LogRecord[]; readonly next: number }[] = [];
        let reading = false;
        const deliver = () => {
          for (let one; reading && (one = waiting.shift());) {
            subscriber.records(0, one.page, one.next);
          }
        };
        const subscription = await log.subscribe(group, topic, {
          ...subscriber,
          records(_partition, records, next) {
            for (let from = 0; from < records.length; from += size) {
              const page = records.slice(from, from + size);
              waiting.push({ page, next: records[from + size]?.offset ?? next });
            }
            deliver();
          },
        });
        return {
          ...subscription,
          pause(partition) {
            reading = false;
            subscription.pause(partition);
          },
          resume(partition) {
            reading = true;
            subscription.resume(partition);
            queueMicrotask(deliver);
          },
        };
      },
    });

  test.each([
    { held: 6, others: 300, transactionRecords: 500 },
    { held: 40, others: 300, transactionRecords: 7 },
    { held: 50, others: 500, transactionRecords: 500 },
  ])(
    'holds nobody up, however few come at a time: $held held, $others others',
    async ({ held, others, transactionRecords }) => {
      const { process, end } = script();
      end(...numbered(held + others));
      const { home, stage } = await stageOf(process, {
        contexts: served,
        limits: { transactionRecords },
        log: inPagesOf(3),
        options: { windowSpan },
      });
      await append(home, numbered(held), { iteration: '1' });
      await append(home, numbered(others, held), { iteration: '2' });
      await stage.start();
      await until(() => expect(stage.stats.done).toBe(others));
      expect(stage.stats.held).toEqual({ 1: held });
    },
  );

  test('does not go round for ever where there is nothing else', async () => {
    const { process } = script();
    const { home, stage } = await stageOf(process, {
      contexts: served,
      log: inPagesOf(3),
      options: { windowSpan },
    });
    await append(home, numbered(150), { iteration: '1' });
    await stage.start();
    await until(() => expect(stage.stats.held['1']).toBeGreaterThan(90));
    await awhile();
    expect(await recordsOf(home, topics.instructions)).toHaveLength(150);
  });
});

describe('headers', () => {
  test('carry the iteration, the trace, the order and the version of the rules', async () => {
    const { process, end } = script();
    end('i0', 'i1');
    const { home, stage } = await stageOf(process);
    await append(home, ['i0']);
    await append(home, ['i1'], { iteration: '1', trace: 'abc', order: '7' });
    await stage.start();
    await until(async () => expect(await endedOf(home)).toHaveLength(2));
    const [first, second] = await recordsOf(home, topics.outcomes);
    expect(first?.headers).toEqual({
      iteration: '1',
      trace: expect.stringMatching(/^[0-9a-f]{32}$/),
      order: '0',
      rules: expect.stringMatching(/./),
      trees: '0',
    });
    expect(second?.headers).toMatchObject({ trace: 'abc', order: '7' });
  });

  test('a stage of one iteration passes over the records of others, and stamps its own', async () => {
    const { started, process, end } = script();
    end(...numbered(3));
    const { home, stage } = await stageOf(process, { options: { iteration: '1' } });
    await append(home, ['i0'], { iteration: '2' });
    await append(home, ['i1'], { iteration: '1' });
    await append(home, ['i2'], {});
    await stage.start();
    await until(async () => expect(await committedOf(home)).toMatchObject({ position: 3 }));
    expect(started).toEqual(['i1', 'i2']);
    const ended = await recordsOf(home, topics.outcomes);
    expect(ended.map(({ headers }) => headers['iteration'])).toEqual(['1', '1']);
  });

  test('of a retried dead letter: its outcome has the revision, and all that comes of it tells so', async () => {
    const { home, stage } = await stageOf(({ id }) =>
      id === 'i0'
        ? Promise.resolve([outcome('i0')])
        : Promise.reject(new PermanentError('refused', 'again')),
    );
    await append(home, ['i0', 'i1'], { iteration: '1', revision: '2' });
    await stage.start();
    await until(() => expect(stage.stats.done).toBe(2));
    const ended = await recordsOf<Outcome>(home, topics.outcomes);
    expect(ended.map(({ row, headers }) => [row.revision, headers['revision']])).toEqual([
      [2, '2'],
      [2, '2'],
    ]);
    const [letter] = await recordsOf<DeadLetter>(home, topics.deadLetters);
    expect(letter?.row.revision).toBe(2);
  });

  test.each(['-1', 'soon', '1.5', ''])('a revision of %j is none', async (revision) => {
    const { process, end } = script();
    end('i0');
    const { home, stage } = await stageOf(process);
    await append(home, ['i0'], { iteration: '1', revision });
    await stage.start();
    await until(async () => expect(await endedOf(home)).toHaveLength(1));
    const [ended] = await recordsOf<Outcome>(home, topics.outcomes);
    expect(ended?.row.revision).toBe(0);
    expect(ended?.headers).not.toHaveProperty('revision');
  });
});

describe('what is larger than its topic takes, although nothing says so beforehand,', () => {
  /** Topics that take so many bytes of a record. */
  const taking = (limits: Readonly<Record<string, number>>) =>
    committing(({ outputs }) => {
      const large = outputs.filter(
        ({ topic, value }) => value.length > (limits[topic.replace('spar.', '')] ?? Infinity),
      );
      if (large.length > 0) throw new TooLarge('larger than the topic takes', large);
    });

  const long = 'x'.repeat(1000);
  const process = ({ id }: { readonly id: string }) =>
    Promise.resolve([outcome(id, id === 'i1' ? { cause: long } : {})]);

  test('is one dead letter and one outcome; all others are published', async () => {
    const { home, stage, failures } = await stageOf(process, { log: taking({ outcomes: 500 }) });
    await append(home, numbered(3));
    await stage.start();
    await until(async () => expect(await committedOf(home)).toMatchObject({ position: 3 }));
    expect((await endedOf(home)).toSorted()).toEqual(numbered(3));
    const [letter, ...others] = await recordsOf<DeadLetter>(home, topics.deadLetters);
    expect([letter?.row, others]).toMatchObject([{ key: 'i1', cause: 'too-large' }, []]);
    expect(letter?.row.error).toMatch(
      /an output of 1\d{3} bytes is larger than spar.outcomes takes/,
    );
    // Once the topic takes more, it can be tried again.
    expect(Buffer.compare(letter!.row.value, (await firstOf(home, 'i1'))!.value)).toBe(0);
    const outcomes = await recordsOf<Outcome>(home, topics.outcomes);
    expect(outcomes.find(({ row }) => row.instruction_id === 'i1')?.row).toMatchObject({
      outcome: 'failed',
      cause: 'too-large',
    });
    expect([stage.stats.deadLetters, stage.stats.done, failures]).toEqual([1, 3, []]);
  });

  test('is a dead letter without its value where that does not fit either', async () => {
    const { home, stage } = await stageOf(process, {
      log: taking({ outcomes: 500, 'dead-letters': 500 }),
    });
    await append(home, ['i0']);
    const value = home.serde.encode(topics.instructions, instruction('i1', long));
    const place = { topic: 'spar.instructions', partition: 0, headers: { iteration: '1' } };
    await home.log.append([{ ...place, key: 'i1', value }]);
    await append(home, ['i2']);
    await stage.start();
    await until(async () => expect(await committedOf(home)).toMatchObject({ position: 3 }));
    const letters = await recordsOf<DeadLetter>(home, topics.deadLetters);
    expect(letters.map(({ row }) => [row.key, row.cause, row.value.length])).toEqual([
      ['i1', 'too-large', 0],
    ]);
    expect(letters[0]!.row.error).toContain('stays where it was');
    expect(stage.stats.deadLetters).toBe(1);
  });

  test('ends the stage where not even that fits, and nothing is lost', async () => {
    const { home, stage, failures } = await stageOf(process, {
      log: taking({ outcomes: 500, 'dead-letters': 10 }),
    });
    await append(home, numbered(3));
    await stage.start();
    await until(() => expect(failures).toHaveLength(1));
    expect(failures[0]!.message).toBe('larger than the topic takes');
    expect(await recordsOf(home, topics.deadLetters)).toEqual([]);
    expect(await committedOf(home)).toMatchObject({ position: 0 });
  });

  const firstOf = async ({ log }: Home, key: string) =>
    (await log.read('spar.instructions', 0, 0, { records: 10, bytes: 1e6 })).find(
      (record) => record.key === key,
    );
});
