import { describe, expect, test } from 'vitest';
import { openSqliteRegistry } from '../../infra/codec/sqlite-registry.ts';
import { RunError } from '../../infra/errors.ts';
import type { Home } from '../../infra/home/home.ts';
import type { Log } from '../../infra/log/log.ts';
import { scan } from '../../infra/log/scan.ts';
import { copy, type CopyOptions } from '../../infra/run/copy.ts';
import { partsOf } from '../../processors/rules/ids.ts';
import type { DeadLetter, PreferencePair } from '../../schemas/records.ts';
import { partitionOf } from '../../topology/partition.ts';
import { nameOnLog, type TopicInfo } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { memoryHome } from '../support/home.ts';
import { instantModel } from '../support/model.ts';
import { recordsOf } from '../runtime/support.ts';
import { runWith } from './support.ts';

const lines = (count: number) =>
  Array.from({ length: count }, (_, index) =>
    JSON.stringify({ id: `i${index}`, prompt: `Write ${index} words.` }),
  );

const model = () => instantModel({ failRate: 0.4, refineRate: 0.4 });

/** A registry whose ids are others than those of a home. */
async function otherRegistry() {
  const registry = openSqliteRegistry({ file: ':memory:' });
  for (const name of ['a', 'b', 'c']) {
    await registry.register(name, JSON.stringify({ type: 'enum', name, symbols: ['x'] }));
  }
  return registry;
}

const elsewhere = async (partitions = 3, change: Parameters<typeof memoryHome>[2] = {}) =>
  memoryHome(partitions, 'spar', { registry: await otherRegistry(), ...change });

const copyAll = (from: Home, to: Home, change: Partial<CopyOptions> = {}) =>
  copy({ from, to, progress: () => undefined, signal: new AbortController().signal, ...change });

/** Every record of every topic as a reader sees it, its place and time aside. */
async function contentsOf(home: Home): Promise<Readonly<Record<string, readonly unknown[]>>> {
  const contents: Record<string, readonly unknown[]> = {};
  for (const topic of Object.values(topics)) {
    const records = await recordsOf<{ id: string }>(home, topic);
    contents[topic.name] = records
      .map(({ key, row, headers }) => ({
        key,
        headers: { ...headers, copied: undefined },
        row,
      }))
      .toSorted((one, other) => (JSON.stringify(one) < JSON.stringify(other) ? -1 : 1));
  }
  return contents;
}

const pairsOf = async (home: Home): Promise<readonly PreferencePair[]> =>
  (await recordsOf<PreferencePair>(home, topics.pairs))
    .map(({ row }) => row)
    .toSorted((one, other) => (one.id < other.id ? -1 : 1));

const countIn = async (home: Home, topic: TopicInfo): Promise<number> =>
  (await recordsOf(home, topic)).length;

/** A run that is stopped once so many outcomes are there. */
async function stoppedRun(home: Home, count: number, outcomes: number): Promise<void> {
  const stop = new AbortController();
  await runWith(home, model(), lines(count), {
    stop: stop.signal,
    progressMs: 1,
    progress: ({ tally }) => {
      if (tally.ended >= outcomes) stop.abort(new Error('stopped by the test'));
    },
  });
}

describe('a home that is done', () => {
  test('is there record by record, each with the partition of its instruction', async () => {
    const [from, to] = [await memoryHome(), await elsewhere()];
    await runWith(from, model(), lines(30));
    const report = await copyAll(from, to);
    expect(await contentsOf(to)).toEqual(await contentsOf(from));
    expect(report.topics).toMatchObject({ instructions: 30, outcomes: 30 });
    expect(report).toMatchObject({ before: 0, groups: 6 });
    for (const topic of [topics.instructions, topics.nodes, topics.pairs]) {
      for (const { key, partition } of await recordsOf(to, topic)) {
        const id = topic === topics.instructions ? key : partsOf(key ?? '')[1];
        expect(partition).toBe(partitionOf(id ?? '', 3));
      }
    }
  });

  test('stays done: the same run there asks for nothing', async () => {
    const [from, to] = [await memoryHome(), await elsewhere()];
    await runWith(from, model(), lines(20));
    await copyAll(from, to);
    const before = await contentsOf(to);
    const again = model();
    const summary = await runWith(to, again, lines(20));
    expect(summary).toMatchObject({ complete: true, admitted: 20 });
    expect(again.calls.filter(({ purpose }) => purpose !== 'probe')).toEqual([]);
    expect(await contentsOf(to)).toEqual(before);
  });

  test('can be sampled anew in another iteration', async () => {
    const [from, to] = [await memoryHome(), await elsewhere()];
    await runWith(from, model(), lines(5));
    await copyAll(from, to);
    const summary = await runWith(to, model(), lines(5), { iteration: '2' });
    expect(summary).toMatchObject({ complete: true, admitted: 5 });
  });
});

describe('a home that was stopped in mid-run', () => {
  test.each([1, 5, 14])(
    'goes on there after %i outcomes, with the same pairs',
    async (outcomes) => {
      const whole = await memoryHome();
      await runWith(whole, model(), lines(30));

      const from = await memoryHome();
      await stoppedRun(from, 30, outcomes);
      const to = await elsewhere(4, { journal: from.journal });
      await copyAll(from, to);
      expect(await countIn(to, topics.outcomes)).toBeLessThan(30);
      const summary = await runWith(to, model(), lines(30));
      expect(summary).toMatchObject({ complete: true, admitted: 30, deadLetters: 0 });
      expect(await pairsOf(to)).toEqual(await pairsOf(whole));
      expect(await countIn(to, topics.outcomes)).toBe(await countIn(whole, topics.outcomes));
      expect(await countIn(to, topics.nodes)).toBe(await countIn(whole, topics.nodes));
    },
  );
});

/** A log whose appends fail from the `last` one on. */
function failingAfter(log: Log, last: number): Log {
  let appends = 0;
  return {
    ...log,
    append: (records) =>
      ++appends > last ? Promise.reject(new Error('the broker is gone')) : log.append(records),
  };
}

describe('a copy that was interrupted', () => {
  test('goes on behind the last record, wherever it was', async () => {
    const from = await memoryHome();
    await stoppedRun(from, 20, 8);
    const straight = await elsewhere();
    await copyAll(from, straight);
    for (let appends = 0; appends < 36; appends += 3) {
      const to = await elsewhere();
      const failing = { ...to, log: failingAfter(to.log, appends) };
      const first = copyAll(from, failing);
      const failed = await first.then(
        () => false,
        () => true,
      );
      const { before } = await copyAll(from, to);
      expect(before > 0).toBe(appends > 0);
      expect(await contentsOf(to)).toEqual(await contentsOf(straight));
      if (!failed) break;
    }
  });

  test('by a signal says so, and the same copy goes on', async () => {
    const [from, to] = [await memoryHome(), await elsewhere()];
    await runWith(from, model(), lines(10));
    const stop = new AbortController();
    const reason = new Error('interrupted');
    const stopped = copyAll(from, to, {
      signal: stop.signal,
      progress: ({ topic }) => {
        if (topic === 'search.nodes') stop.abort(reason);
      },
    });
    await expect(stopped).rejects.toBe(reason);
    expect(await countIn(to, topics.instructions)).toBe(0);
    await copyAll(from, to);
    expect(await contentsOf(to)).toEqual(await contentsOf(from));
  });

  test('lets no worker begin before it is at its end', async () => {
    const [from, to] = [await memoryHome(), await elsewhere()];
    await runWith(from, model(), lines(10));
    for (const { name } of Object.values(topics)) {
      const stop = new AbortController();
      const stopped = copyAll(from, to, {
        signal: stop.signal,
        progress: ({ topic }) => {
          if (topic === name) stop.abort(new Error('interrupted'));
        },
      });
      await expect(stopped).rejects.toThrow('interrupted');
      const before = await contentsOf(to);
      await expect(runWith(to, model(), lines(10))).rejects.toThrow(
        /a copy of a home .* was interrupted|has forgotten where these stages stand/,
      );
      expect(await contentsOf(to)).toEqual(before);
    }
    await copyAll(from, to);
    expect(await runWith(to, model(), lines(10))).toMatchObject({ complete: true });
  });

  test('after all was copied does nothing', async () => {
    const [from, to] = [await memoryHome(), await elsewhere()];
    await runWith(from, model(), lines(10));
    const first = await copyAll(from, to);
    const records = Object.values(first.topics).reduce((total, count) => total + count, 0);
    expect(await copyAll(from, to)).toEqual({ ...first, before: records });
  });
});

describe('whoever is there already', () => {
  test('keeps what it has: records of others are refused', async () => {
    const [from, to] = [await memoryHome(), await elsewhere()];
    await runWith(from, model(), lines(3));
    await runWith(to, model(), lines(3));
    await expect(copyAll(from, to)).rejects.toThrow(/not from this home/);
  });

  test('keeps what it has: so are those of another home', async () => {
    const [from, other, to] = [await memoryHome(), await memoryHome(), await elsewhere()];
    await runWith(other, model(), ['{"prompt":"Another."}'], { iteration: '7' });
    await copyAll(other, to);
    await runWith(from, model(), lines(3));
    await expect(copyAll(from, to)).rejects.toThrow(/not from this home/);
  });

  test('keeps where it stands', async () => {
    const [from, to] = [await memoryHome(), await elsewhere(1)];
    await runWith(from, model(), lines(3));
    const subscription = await to.log.subscribe('spar.judge', 'spar.responses', {
      assigned: () => undefined,
      records: () => undefined,
      revoked: () => Promise.resolve(),
      failed: () => undefined,
    });
    await subscription.close();
    await expect(copyAll(from, to)).rejects.toThrow(/spar\.judge has been at work there/);
  });

  test('is named, if it is working', async () => {
    const [from, to] = [await memoryHome(), await elsewhere()];
    await runWith(from, model(), lines(3));
    const member = { id: 'm', host: '10.0.0.7', partitions: [0] };
    const members = (group: string) => Promise.resolve(group === 'spar.sample.1' ? [member] : []);
    const busy = { ...to, log: { ...to.log, members } };
    await expect(copyAll(from, busy)).rejects.toThrow(RunError);
    await expect(copyAll(from, busy)).rejects.toThrow(/10\.0\.0\.7/);
    expect(await countIn(to, topics.iterations)).toBe(0);
  });
});

describe('what cannot be read', () => {
  test('is copied as it is, and a dead letter can be retried where it is now', async () => {
    const from = await memoryHome();
    const topic = nameOnLog('spar', topics.instructions);
    const value = new Uint8Array([0, 0, 0, 99, 9, 1, 2]);
    await from.log.append([
      { topic, partition: 0, key: 'poison', headers: { iteration: '1' }, value },
    ]);
    await runWith(from, model(), lines(2));
    const [before] = await recordsOf<DeadLetter>(from, topics.deadLetters);
    expect(before?.row).toMatchObject({ id: 'instructions/0/0', key: 'poison' });

    const to = await elsewhere(5);
    await copyAll(from, to);
    const [letter] = await recordsOf<DeadLetter>(to, topics.deadLetters);
    const partition = partitionOf('poison', 5);
    expect(letter).toMatchObject({
      partition,
      key: 'copied/instructions/0/0',
      row: { ...before?.row, id: 'copied/instructions/0/0', partition },
    });
    for await (const record of scan(to.log, topic)) {
      if (record.key === 'poison') expect([...record.value]).toEqual([...value]);
    }
  });

  test('keeps its schema within a dead letter, by the id that it has there', async () => {
    const from = await memoryHome();
    await runWith(from, model(), lines(1));
    const topic = nameOnLog('spar', topics.responses);
    const [record] = await from.log.read(topic, 0, 0, { records: 1, bytes: 1 });
    const letter: DeadLetter = {
      id: 'responses/0/0',
      ...{ topic: 'responses', partition: 0, offset: 0, key: '1/i0', headers: '{}' },
      ...{ value: Buffer.from(record!.value), stage: 'judge', iteration: '1' },
      ...{ cause: 'attempts', error: '', attempts: 3, revision: 0 },
    };
    await from.log.append([
      {
        topic: nameOnLog('spar', topics.deadLetters),
        ...{ partition: 0, key: letter.id, headers: { iteration: '1' } },
        value: from.serde.encode(topics.deadLetters, letter),
      },
    ]);
    const to = await elsewhere();
    await copyAll(from, to);
    const [moved] = await recordsOf<DeadLetter>(to, topics.deadLetters);
    const bytes = moved!.row.value;
    expect(await to.serde.decode('responses', bytes)).toEqual(
      await from.serde.decode('responses', record!.value),
    );
  });
});
