import { expect, test, vi } from 'vitest';
import { silentLogger } from '../../../infra/logger.ts';
import type { Poller } from '../../../infra/log/kafka/poller.ts';
import { createStamps } from '../../../infra/log/kafka/send.ts';
import { subscribe, type Handover } from '../../../infra/log/kafka/subscription.ts';
import { createOutages } from '../../../infra/log/kafka/outages.ts';
import { PartitionLost, type Subscriber } from '../../../infra/log/log.ts';
import { systemTime as time } from '../../../infra/time.ts';
import { fakeCluster, kafkaError } from './fakes.ts';

/** A subscriber and what it is told; `revoked` ends when the test says so, if it wants to. */
async function subscriberOf(
  change: {
    readonly handover?: Handover;
    readonly revoked?: () => Promise<void>;
    /** What the group gives it at first; null leaves it waiting. */
    readonly partitions?: readonly number[] | null;
    readonly timeouts?: Parameters<typeof fakeCluster>[0];
    readonly signal?: AbortSignal;
  } = {},
) {
  const cluster = fakeCluster(change.timeouts);
  const told: string[] = [];
  const following = new Set<number>();
  const poller: Poller = {
    follow: (_topic, partition) => {
      following.add(partition);
      return {
        pause: () => undefined,
        resume: () => undefined,
        end: () => void following.delete(partition),
      };
    },
    close: () => Promise.resolve(),
  };
  const failed = vi.fn();
  const subscriber: Subscriber = {
    assigned: (partition, { position }) => told.push(`assigned ${partition} at ${position}`),
    records: () => undefined,
    revoked: async (partition) => {
      told.push(`${partition} is wanted`);
      await change.revoked?.();
      told.push(`revoked ${partition}`);
    },
    failed,
  };
  const subscribing = subscribe({
    client: cluster.client,
    poller,
    group: 'group',
    topic: 'topic',
    subscriber,
    time,
    stamps: createStamps(time),
    logger: silentLogger,
    outages: createOutages([], time),
    checked: () => undefined,
    committed: (partition) => cluster.committed(partition),
    handover: change.handover ?? (() => Promise.resolve(false)),
    expel: () => Promise.resolve(),
    closed: () => told.push('closed'),
    signal: change.signal ?? new AbortController().signal,
  });
  subscribing.catch(() => undefined);
  await expect.poll(() => cluster.consumers.length).toBe(1);
  const consumer = () => cluster.consumers.at(-1)!;
  const { partitions = [0, 1] } = change;
  if (partitions) consumer().join(partitions);
  return { cluster, told, following, failed, subscribing, consumer };
}

test('a partition is followed from where its group stands, and is given back in good order', async () => {
  const { cluster, told, following, subscribing } = await subscriberOf({ partitions: [1] });
  const subscription = await subscribing;
  expect(told).toEqual(['assigned 1 at 0']);
  expect([...following]).toEqual([1]);
  await subscription.commit(1, { outputs: [], position: 4, metadata: '' });
  await subscription.close();
  expect(told.slice(1)).toEqual(['1 is wanted', 'revoked 1', 'closed']);
  expect([cluster.open(), following.size]).toEqual([0, 0]);
});

test('a rebalance that leaves a partition where it is does not touch it', async () => {
  const { told, subscribing, consumer } = await subscriberOf();
  const subscription = await subscribing;
  consumer().join([1, 2]);
  await expect.poll(() => told).toContain('assigned 2 at 0');
  expect(told.filter((line) => line.includes('1'))).toEqual(['assigned 1 at 0']);
  expect(told).toContain('revoked 0');
  await subscription.close();
});

test('one that was given up in between begins anew, from what was committed meanwhile', async () => {
  const { cluster, told, subscribing, consumer } = await subscriberOf({ partitions: [0] });
  const subscription = await subscribing;
  cluster.takenBy('group-topic-0', { partition: 0, known: true, position: 9, metadata: '' });
  consumer().join([0], { memberId: 'me again' });
  await expect.poll(() => told).toContain('assigned 0 at 9');
  await subscription.close();
});

test('whoever was here before is asked to hand over, also when nobody else is in the group any more', async () => {
  const handover = vi.fn<Handover>(() => Promise.resolve(true));
  const { subscribing } = await subscriberOf({ handover, partitions: [0] });
  await subscribing;
  expect(handover.mock.calls.map(([place]) => place)).toEqual([
    { group: 'group', topic: 'topic', partition: 0 },
  ]);
  await (await subscribing).close();
});

test('who asks for a partition gets it when all that was finished is committed, however often it is asked for', async () => {
  const finished = Promise.withResolvers<undefined>();
  const { told, subscribing } = await subscriberOf({ revoked: () => finished.promise });
  const subscription = await subscribing;
  const asked = [subscription.release(0), subscription.release(0)];
  asked.forEach((one) => void one.then((given) => told.push(`given: ${given}`)));
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(told).not.toContain('given: true');
  finished.resolve(undefined);
  await Promise.all(asked);
  expect(told.slice(-3)).toEqual(['revoked 0', 'given: true', 'given: true']);
  expect(await subscription.release(0)).toBe(false);
  await subscription.close();
});

test('one that was asked for by mistake is taken again, once the group has confirmed it', async () => {
  const { told, subscribing, consumer } = await subscriberOf();
  const subscription = await subscribing;
  expect(await subscription.release(0)).toBe(true);
  consumer().heartbeat();
  consumer().heartbeat();
  await expect.poll(() => told.filter((line) => line === 'assigned 0 at 0')).toHaveLength(2);
  await subscription.close();
});

test('after a silence that is longer than a session all is given up, and what is still ours begins anew', async () => {
  const { told, following, subscribing, consumer } = await subscriberOf({
    timeouts: { sessionMs: 50, heartbeatMs: 10 },
  });
  const subscription = await subscribing;
  await expect.poll(() => following.size).toBe(0);
  expect(told).toContain('revoked 0');
  expect(told).toContain('revoked 1');
  consumer().heartbeat();
  consumer().heartbeat();
  await expect.poll(() => told.filter((line) => line.startsWith('assigned'))).toHaveLength(4);
  await subscription.close();
});

test("a partition that is just being taken is given up, too: it may be somebody else's by now", async () => {
  const first = Promise.withResolvers<boolean>();
  const handover = vi.fn<Handover>(() => Promise.resolve(true));
  handover.mockImplementationOnce(() => first.promise);
  const { cluster, told, subscribing, consumer } = await subscriberOf({
    partitions: [0],
    timeouts: { sessionMs: 200, heartbeatMs: 10 },
    handover,
  });
  // It is asked for, and then comes a long silence, such as that of a process that is stopped.
  await new Promise((resolve) => setTimeout(resolve, 300));
  first.resolve(true);
  const subscription = await subscribing;
  expect(cluster.events).toEqual([]);
  consumer().heartbeat();
  consumer().heartbeat();
  await expect.poll(() => told).toEqual(['assigned 0 at 0']);
  expect(handover).toHaveBeenCalledTimes(2);
  await subscription.close();
});

test('who is leaving takes nothing more, whatever the group still says', async () => {
  const finished = Promise.withResolvers<undefined>();
  const { cluster, told, subscribing, consumer } = await subscriberOf({
    partitions: [0],
    revoked: () => finished.promise,
  });
  const subscription = await subscribing;
  const closing = subscription.close();
  consumer().join([0, 1, 2]);
  finished.resolve(undefined);
  await closing;
  expect(told.filter((line) => line.startsWith('assigned'))).toEqual(['assigned 0 at 0']);
  expect(cluster.open()).toBe(0);
});

test.each([
  ['before the group has given it anything', null],
  ['while it takes what the group gave it', [0, 1]],
])('who joins a log that is being closed gives up, %s', async (_name, partitions) => {
  const closing = new AbortController();
  const { cluster, following, subscribing, consumer } = await subscriberOf({
    partitions,
    signal: closing.signal,
    handover: (_place, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error));
      }),
  });
  closing.abort(new Error('the log is closed'));
  await expect(subscribing).rejects.toThrow('the log is closed');
  expect([consumer().disconnected, cluster.open(), following.size]).toEqual([true, 0, 0]);
});

test('a partition that another owner has moved is lost, and begins anew if it is still ours', async () => {
  const { cluster, told, subscribing, consumer } = await subscriberOf({ partitions: [0] });
  const subscription = await subscribing;
  cluster.takenBy('group-topic-0', { partition: 0, known: true, position: 9, metadata: '' });
  const committing = subscription.commit(0, { outputs: [], position: 1, metadata: '' });
  committing.catch(() => undefined);
  await expect
    .poll(() => {
      consumer().heartbeat();
      return told;
    })
    .toContain('assigned 0 at 9');
  await expect(committing).rejects.toBeInstanceOf(PartitionLost);
  await subscription.close();
});

test('who may not join fails, and leaves nothing behind that ends the process', async () => {
  const { subscribing, failed, consumer } = await subscriberOf({ partitions: null });
  consumer().crash(kafkaError('GROUP_AUTHORIZATION_FAILED'));
  await expect(subscribing).rejects.toThrow(/credentials/);
  expect(failed).toHaveBeenCalledTimes(1);
  // An unhandled rejection would be reported by now.
  await new Promise((resolve) => setTimeout(resolve, 5));
});
