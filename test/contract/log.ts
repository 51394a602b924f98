import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Log, LogRecord, NewRecord, Subscriber, Subscription } from '../../infra/log/log.ts';
import { scan } from '../../infra/log/scan.ts';

/** A clock that moves by hand, for the records' timestamps. */
export interface Clock {
  now: number;
}

/**
 * What an adapter must bring along: an empty log with these two topics and two partitions. Where logs share a
 * cluster, each has a prefix of its own for its topics and groups.
 */
export type OpenLog = (
  clock: Clock,
) => Promise<{ log: Log; dispose: () => Promise<void>; prefix?: string }>;

export const contractTopics = (prefix = 'spar') => [
  { name: `${prefix}.keyed`, keyed: true },
  { name: `${prefix}.plain`, keyed: false },
];

let [keyed, plain, none] = ['', '', ''];
let group = (name: string): string => name;

const record = (text: string, more: Partial<NewRecord> = {}): NewRecord => ({
  topic: plain,
  partition: 0,
  key: null,
  headers: {},
  value: Buffer.from(text),
  ...more,
});

const waitFor = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 5000 });

/** What a log far away shows a moment later. */
const soon = (check: () => Promise<void>): Promise<void> => vi.waitFor(check, { timeout: 5000 });

const textOf = ({ value }: LogRecord): string => Buffer.from(value).toString();
const many = { records: 1000, bytes: 1 << 20 };

/** A subscriber that writes down what it is told. */
function listen(onRevoked: () => Promise<void> = () => Promise.resolve()) {
  const told: string[] = [];
  const records: LogRecord[] = [];
  const next = [0, 0];
  let failure: Error | null = null;
  const subscriber: Subscriber = {
    assigned: (partition, { position, metadata }) =>
      told.push(`assigned ${partition} at ${position} ${metadata}`.trim()),
    records: (partition, page, upTo) => {
      records.push(...page);
      next[partition] = upTo;
    },
    revoked: async (partition) => {
      await onRevoked();
      told.push(`revoked ${partition}`);
    },
    failed: (error) => (failure = error),
  };
  return { subscriber, told, records, next, failure: () => failure };
}

/** The specification of the log: every adapter passes it. */
export function logContract(name: string, open: OpenLog): void {
  describe(`${name} is a log`, () => {
    const clock: Clock = { now: 1000 };
    let log: Log;
    let dispose: () => Promise<void>;
    beforeEach(async () => {
      clock.now = 1000;
      const opened = await open(clock);
      ({ log, dispose } = opened);
      const { prefix = 'spar' } = opened;
      [keyed, plain, none] = [`${prefix}.keyed`, `${prefix}.plain`, `${prefix}.none`];
      group = (name) => (prefix === 'spar' ? name : `${prefix}.${name}`);
    });
    afterEach(() => dispose());

    const texts = async (topic = plain, partition = 0): Promise<string[]> =>
      (await log.read(topic, partition, 0, many)).map(textOf);
    const write = (count: number, topic: string = plain, partition = 0) =>
      log.append(
        Array.from({ length: count }, (_, index) => record(`${index}`, { topic, partition })),
      );

    describe('records', () => {
      test('come back as they were appended, in order', async () => {
        const offsets = await log.append([
          record('one', { key: 'k', headers: { iteration: 'i', note: 'ä "quoted"' } }),
          record('two'),
        ]);
        const read = await log.read(plain, 0, offsets[0]!, many);
        expect(read.map((found) => ({ ...found, value: textOf(found) }))).toEqual([
          {
            topic: plain,
            partition: 0,
            key: 'k',
            headers: { iteration: 'i', note: 'ä "quoted"' },
            value: 'one',
            offset: offsets[0],
            timestamp: 1000,
          },
          {
            topic: plain,
            partition: 0,
            key: null,
            headers: {},
            value: 'two',
            offset: offsets[1],
            timestamp: 1000,
          },
        ]);
      });

      test('are in the order in which append was called, also if nobody waits for the answer', async () => {
        await Promise.all(
          Array.from({ length: 50 }, (_, index) => log.append([record(`${index}`)])),
        );
        expect(await texts()).toEqual(Array.from({ length: 50 }, (_, index) => `${index}`));
      });

      test('keep to their topic and partition', async () => {
        await log.append([
          record('a', { partition: 0 }),
          record('b', { partition: 1 }),
          record('c', { topic: keyed, partition: 1 }),
        ]);
        await soon(async () => {
          expect([await texts(plain, 0), await texts(plain, 1)]).toEqual([['a'], ['b']]);
          expect([await texts(keyed, 0), await texts(keyed, 1)]).toEqual([[], ['c']]);
        });
      });

      test('are appended all or none', async () => {
        const bad = log.append([record('fine'), record('lost', { partition: 7 })]);
        await expect(bad).rejects.toThrow(/partition 7/);
        await expect(log.append([record('x', { topic: none })])).rejects.toThrow(none);
        expect(await texts()).toEqual([]);
      });

      test('an empty value and an empty append are fine', async () => {
        expect(await log.append([])).toEqual([]);
        await log.append([record('')]);
        expect(await texts()).toEqual(['']);
      });

      test('do not change when the writer reuses its buffer', async () => {
        const value = Buffer.from('before');
        await log.append([record('', { value })]);
        value.fill('x');
        expect(await texts()).toEqual(['before']);
      });
    });

    describe('reading', () => {
      test.each([
        ['stops at the limit of records', { records: 2, bytes: 100 }, 2],
        ['stops after the record that reaches the limit of bytes', { records: 9, bytes: 3 }, 2],
        ['still returns a single larger record', { records: 9, bytes: 1 }, 1],
      ])('%s', async (_name, limit, count) => {
        await log.append(['aa', 'bb', 'cc', 'dd'].map((text) => record(text)));
        expect(await log.read(plain, 0, 0, limit)).toHaveLength(count);
      });

      test('is empty at the end of the partition', async () => {
        await write(3);
        const [end] = await log.ends(plain);
        expect(await log.read(plain, 0, end!.latest, many)).toEqual([]);
      });

      test('ends are per partition', async () => {
        await write(3, plain, 1);
        const [first, second] = await log.ends(plain);
        expect(first!.latest - first!.earliest).toBe(0);
        expect(second!.latest - second!.earliest).toBe(3);
      });

      test('scan goes over all partitions and ends at what was the end when it began', async () => {
        await write(5, plain, 0);
        await write(5, plain, 1);
        const seen: string[] = [];
        for await (const found of scan(log, plain, { pageRecords: 2 })) {
          seen.push(`${found.partition}/${textOf(found)}`);
          if (seen.length < 20) await log.append([record('late')]);
        }
        expect(seen).toEqual([
          ...['0/0', '0/1', '0/2', '0/3', '0/4'],
          ...['1/0', '1/1', '1/2', '1/3', '1/4'],
        ]);
      });
    });

    describe('time', () => {
      beforeEach(async () => {
        for (const now of [1000, 2000, 2000, 3000]) {
          clock.now = now;
          await log.append([record(`${now}`)]);
        }
      });

      test.each([
        [0, 0],
        [1000, 0],
        [1001, 1],
        [2000, 1],
        [2001, 3],
        [3000, 3],
        [3001, 4],
      ])('what was appended at %i or later begins at record %i', async (timestamp, index) => {
        const [{ earliest } = { earliest: 0 }] = await log.ends(plain);
        expect((await log.offsetAt(plain, 0, timestamp)) - earliest).toBe(index);
      });

      test('scan takes a range, its end excluded', async () => {
        const seen: string[] = [];
        for await (const found of scan(log, plain, { from: 2000, to: 3000 }))
          seen.push(textOf(found));
        expect(seen).toEqual(['2000', '2000']);
      });

      test('never goes back within a partition, even if the clock does', async () => {
        clock.now = 500;
        await log.append([record('back')]);
        expect((await log.read(plain, 0, 4, many)).map(({ timestamp }) => timestamp)).toEqual([
          3000,
        ]);
      });
    });

    describe('keys', () => {
      test('latest is the last record of a key, in whichever partition', async () => {
        await log.append([
          record('old', { topic: keyed, key: 'a', partition: 1 }),
          record('other', { topic: keyed, key: 'b' }),
        ]);
        clock.now = 2000;
        await log.append([record('new', { topic: keyed, key: 'a' })]);
        expect(textOf((await log.latest(keyed, 'a'))!)).toBe('new');
        expect(textOf((await log.latest(keyed, 'b'))!)).toBe('other');
        expect(await log.latest(keyed, 'c')).toBeNull();
      });

      test('ofKey is all of them, oldest first, up to a limit', async () => {
        await log.append(['1', '2', '3'].map((text) => record(text, { topic: keyed, key: 'a' })));
        expect((await log.ofKey(keyed, 'a')).map(textOf)).toEqual(['1', '2', '3']);
        expect((await log.ofKey(keyed, 'a', { limit: 2 })).map(textOf)).toEqual(['1', '2']);
        expect(await log.ofKey(keyed, 'c')).toEqual([]);
      });

      test('either can be asked of one partition alone', async () => {
        await log.append([record('here', { topic: keyed, key: 'a', partition: 1 })]);
        clock.now = 2000;
        await log.append([record('there', { topic: keyed, key: 'a' })]);
        expect(textOf((await log.latest(keyed, 'a', 1))!)).toBe('here');
        expect((await log.ofKey(keyed, 'a', { partition: 0 })).map(textOf)).toEqual(['there']);
        expect((await log.ofKey(keyed, 'a')).map(textOf)).toEqual(['here', 'there']);
      });

      test('what was just appended is found, however often one asks', async () => {
        for (let index = 0; index < 20; index++) {
          const appended = log.append([record(`${index}`, { topic: keyed, key: 'k' })]);
          await appended;
          expect(textOf((await log.latest(keyed, 'k'))!)).toBe(`${index}`);
        }
      });

      test('a topic without keys says so', async () => {
        await expect(log.latest(plain, 'a')).rejects.toThrow(/keys/);
      });
    });

    describe('a subscriber', () => {
      const all = (subscription: Subscription) => {
        subscription.resume(0);
        subscription.resume(1);
      };

      test('is assigned every partition, and is told nothing before it resumes', async () => {
        await write(3);
        const { subscriber, told, records } = listen();
        const subscription = await log.subscribe(group('g'), plain, subscriber);
        await sleep(20);
        expect(told.toSorted()).toEqual(['assigned 0 at 0', 'assigned 1 at 0']);
        expect(records).toEqual([]);
        all(subscription);
        await waitFor(() => expect(records).toHaveLength(3));
        await subscription.close();
      });

      test('gets what is there and what comes, once and in order, in pages', async () => {
        await write(1200);
        const { subscriber, records, next } = listen();
        const subscription = await log.subscribe(group('g'), plain, subscriber);
        all(subscription);
        await waitFor(() => expect(records.length).toBeGreaterThanOrEqual(1200));
        await write(2);
        await write(1, plain, 1);
        await waitFor(() => expect(records).toHaveLength(1203));
        const offsets = records
          .filter(({ partition }) => partition === 0)
          .map(({ offset }) => offset);
        expect(offsets).toEqual(offsets.toSorted((one, other) => one - other));
        expect(new Set(offsets).size).toBe(1202);
        expect(next[0]).toBe((await log.ends(plain))[0]!.latest);
        await subscription.close();
      });

      test('gets nothing while a partition is paused, and goes on where it was', async () => {
        const { subscriber, records } = listen();
        const subscription = await log.subscribe(group('g'), plain, subscriber);
        all(subscription);
        await write(2);
        await waitFor(() => expect(records).toHaveLength(2));
        subscription.pause(0);
        await write(2);
        await write(1, plain, 1);
        await waitFor(() => expect(records).toHaveLength(3));
        await sleep(20);
        expect(records.map(({ partition }) => partition)).toEqual([0, 0, 1]);
        subscription.resume(0);
        await waitFor(() => expect(records).toHaveLength(5));
        await subscription.close();
      });

      test('starts where its group committed, with the metadata of that commit', async () => {
        await write(5);
        const first = await log.subscribe(group('g'), plain, listen().subscriber);
        await first.commit(0, { outputs: [], position: 3, metadata: 'bits' });
        await first.close();
        const { subscriber, told, records } = listen();
        const second = await log.subscribe(group('g'), plain, subscriber);
        all(second);
        await waitFor(() => expect(records.map(textOf)).toEqual(['3', '4']));
        expect(told).toContain('assigned 0 at 3 bits');
        await second.close();
      });

      test('two groups on one topic know nothing of each other', async () => {
        await write(3);
        const [one, other] = [listen(), listen()];
        const first = await log.subscribe(group('one'), plain, one.subscriber);
        const second = await log.subscribe(group('other'), plain, other.subscriber);
        all(first);
        all(second);
        await first.commit(0, { outputs: [], position: 2, metadata: 'm' });
        await waitFor(() => expect([one.records.length, other.records.length]).toEqual([3, 3]));
        await soon(async () =>
          expect((await log.committed(group('one'), plain))[0]).toMatchObject({
            position: 2,
            metadata: 'm',
          }),
        );
        expect((await log.committed(group('nobody'), plain))[0]).toMatchObject({
          known: false,
          position: 0,
          metadata: '',
        });
        expect((await log.committed(group('other'), plain))[0]).toMatchObject({
          position: 0,
          metadata: '',
        });
        await first.close();
        await second.close();
      });

      test('is revoked every partition before close returns, and may still commit until then', async () => {
        await write(2);
        let subscription: Subscription | null = null;
        const { subscriber, told } = listen(async () => {
          await subscription!.commit(0, { outputs: [record('last')], position: 2, metadata: '' });
        });
        subscription = await log.subscribe(group('g'), plain, subscriber);
        all(subscription);
        await subscription.close();
        expect(told.slice(2).toSorted()).toEqual(['revoked 0', 'revoked 1']);
        await soon(async () =>
          expect((await log.committed(group('g'), plain))[0]!.position).toBe(2),
        );
        const late = subscription.commit(0, { outputs: [], position: 3, metadata: '' });
        await expect(late).rejects.toThrow();
      });

      test('is told nothing more once it is closed', async () => {
        const { subscriber, records } = listen();
        const subscription = await log.subscribe(group('g'), plain, subscriber);
        all(subscription);
        await subscription.close();
        await write(3);
        await sleep(20);
        expect(records).toEqual([]);
      });

      test('that throws has failed, and gets nothing more', async () => {
        const { subscriber, failure } = listen();
        let calls = 0;
        const subscription = await log.subscribe(group('g'), plain, {
          ...subscriber,
          records: () => {
            calls += 1;
            throw new Error('no room');
          },
        });
        subscription.resume(0);
        await write(1);
        await waitFor(() => expect(failure()?.message).toBe('no room'));
        await write(1);
        await sleep(20);
        expect(calls).toBe(1);
        await subscription.close();
      });
    });

    describe('a transaction', () => {
      test('publishes outputs and moves the position, into the input topic too', async () => {
        await write(1);
        const { subscriber, records } = listen();
        const subscription = await log.subscribe(group('g'), plain, subscriber);
        subscription.resume(0);
        await subscription.commit(0, {
          outputs: [record('again'), record('out', { topic: keyed, key: 'k' })],
          position: 1,
          metadata: 'm',
        });
        await soon(async () =>
          expect((await log.committed(group('g'), plain))[0]).toEqual({
            partition: 0,
            known: true,
            position: 1,
            metadata: 'm',
          }),
        );
        expect(textOf((await log.latest(keyed, 'k'))!)).toBe('out');
        await waitFor(() => expect(records.map(textOf)).toEqual(['0', 'again']));
        await subscription.close();
      });

      test('does neither if one output cannot be written', async () => {
        const subscription = await log.subscribe(group('g'), plain, listen().subscriber);
        const bad = subscription.commit(0, {
          outputs: [record('fine'), record('lost', { topic: none })],
          position: 5,
          metadata: 'm',
        });
        await expect(bad).rejects.toThrow(none);
        expect(await texts()).toEqual([]);
        expect((await log.committed(group('g'), plain))[0]).toMatchObject({
          position: 0,
          metadata: '',
        });
        await subscription.close();
      });

      test('takes 4,096 bytes of metadata and no more', async () => {
        const subscription = await log.subscribe(group('g'), plain, listen().subscriber);
        const commit = (bytes: number) =>
          subscription.commit(0, { outputs: [], position: 0, metadata: 'x'.repeat(bytes) });
        await commit(4096);
        await expect(commit(4097)).rejects.toThrow(/4,?097/);
        await subscription.close();
      });
    });

    test('a watcher is called after an append to its topic, until it goes', async () => {
      const [here, elsewhere, failed] = [vi.fn(), vi.fn(), vi.fn()];
      const leave = log.watch(plain, { appended: here, failed });
      const leaveElsewhere = log.watch(keyed, { appended: elsewhere, failed });
      await write(3);
      await waitFor(() => expect(here).toHaveBeenCalled());
      leave();
      const calls = here.mock.calls.length;
      await write(3);
      await sleep(20);
      expect(here.mock.calls.length).toBe(calls);
      // Once for nothing, at the beginning.
      expect(elsewhere.mock.calls.length).toBeLessThanOrEqual(1);
      leaveElsewhere();
      expect(failed).not.toHaveBeenCalled();
    });

    test('a watcher hears of what was appended right after it began', async () => {
      const appended = vi.fn();
      const leave = log.watch(plain, { appended, failed: vi.fn() });
      const writing = write(1);
      await waitFor(() => expect(appended).toHaveBeenCalled());
      await writing;
      leave();
    });
  });
}
