import { expect, test, vi } from 'vitest';
import { RunError, Unavailable } from '../../../infra/errors.ts';
import { silentLogger } from '../../../infra/logger.ts';
import { joinGroup, type Assignment } from '../../../infra/log/kafka/membership.ts';
import { createOutages } from '../../../infra/log/kafka/outages.ts';
import { manualTime } from '../../support/time.ts';
import { fakeCluster, kafkaError } from './fakes.ts';

const never = new AbortController().signal;
const timeouts = { sessionMs: 10_000, heartbeatMs: 1000, rebalanceMs: 20_000 };

async function member(signal = never) {
  const cluster = fakeCluster(timeouts);
  const time = manualTime();
  const assigned: { partitions: readonly number[]; how: Assignment }[] = [];
  const lapsed = vi.fn();
  const failed = vi.fn();
  const expel = vi.fn(() => Promise.resolve());
  const joining = joinGroup({
    client: cluster.client,
    group: 'group',
    topic: 'topic',
    time,
    logger: silentLogger,
    outages: createOutages([], time),
    held: () => [],
    assigned: (partitions, how) => assigned.push({ partitions, how }),
    lapsed,
    failed,
    expel,
    signal,
  });
  joining.catch(() => undefined);
  await expect.poll(() => cluster.consumers.length).toBe(1);
  const consumer = () => cluster.consumers.at(-1)!;
  return { cluster, time, assigned, lapsed, failed, expel, joining, consumer };
}

const isSettled = async (promise: Promise<unknown>): Promise<boolean> =>
  Promise.race([
    promise.then(() => true),
    new Promise<false>((resolve) => setTimeout(resolve, 5, false)),
  ]);

test('a member has joined when the group has given it its part, be it nothing', async () => {
  const { joining, consumer, assigned } = await member();
  expect(await isSettled(joining)).toBe(false);
  consumer().join([]);
  await joining;
  expect(assigned).toEqual([{ partitions: [], how: { anew: false, alone: false } }]);
});

test('the group has confirmed it when it has answered twice: one answer may have been on its way', async () => {
  const { joining, consumer } = await member();
  consumer().join([0]);
  const membership = await joining;
  const confirmed = membership.confirmed(never);
  consumer().heartbeat();
  expect(await isSettled(confirmed)).toBe(false);
  consumer().heartbeat();
  expect(await isSettled(confirmed)).toBe(true);
});

test('whoever waits for that may stop waiting', async () => {
  const { joining, consumer } = await member();
  consumer().join([0]);
  const waiting = new AbortController();
  const confirmed = (await joining).confirmed(waiting.signal);
  waiting.abort(new Error('no more'));
  await expect(confirmed).rejects.toThrow('no more');
});

test('one that comes back under another name had been given up meanwhile', async () => {
  const { joining, consumer, assigned } = await member();
  consumer().join([0, 1]);
  await joining;
  consumer().join([0], { memberId: 'me' });
  consumer().join([0], { memberId: 'me again' });
  expect(assigned.map(({ how }) => how.anew)).toEqual([false, false, true]);
});

test('when kafkajs gives up, another one joins after a while, and its part is new', async () => {
  const { cluster, time, joining, consumer, assigned } = await member();
  consumer().join([0]);
  const membership = await joining;
  consumer().crash(kafkaError('REQUEST_TIMED_OUT'));
  await time.advance(250);
  expect(cluster.consumers.map(({ disconnected }) => disconnected)).toEqual([true, false]);
  consumer().join([0], { memberId: 'me again' });
  expect(assigned.at(-1)).toMatchObject({ partitions: [0], how: { anew: true } });
  await membership.leave();
  expect(consumer().disconnected).toBe(true);
});

test('the group is told that the old one is no more, before the new one joins', async () => {
  const { cluster, time, expel, joining, consumer } = await member();
  consumer().join([0], { memberId: 'old' });
  await joining;
  const told = Promise.withResolvers<undefined>();
  expel.mockImplementationOnce(() => told.promise);
  consumer().crash(kafkaError('REQUEST_TIMED_OUT'));
  await time.advance(250);
  expect(expel.mock.calls).toEqual([['old']]);
  expect(cluster.consumers).toHaveLength(1);
  told.resolve(undefined);
  await time.advance(0);
  expect(cluster.consumers).toHaveLength(2);
});

test('and if it cannot be told, the new one joins all the same, and it is told the next time', async () => {
  const { cluster, time, expel, joining, consumer } = await member();
  consumer().join([0]);
  await joining;
  expel.mockRejectedValueOnce(new Unavailable('the brokers do not answer'));
  for (const delayMs of [250, 500, 1000]) {
    consumer().crash(kafkaError('REQUEST_TIMED_OUT'));
    await time.advance(delayMs);
  }
  expect(cluster.consumers).toHaveLength(4);
  expect(expel.mock.calls).toEqual([['me'], ['me']]);
});

test('one that nobody wants to join any more leaves', async () => {
  const wanted = new AbortController();
  const { joining, consumer, failed } = await member(wanted.signal);
  wanted.abort(new Error('the log is closed'));
  await expect(joining).rejects.toThrow('the log is closed');
  expect(consumer().disconnected).toBe(true);
  expect(failed).not.toHaveBeenCalled();
});

test('one that may not join says so once, in a sentence', async () => {
  const { joining, consumer, failed } = await member();
  consumer().crash(kafkaError('GROUP_AUTHORIZATION_FAILED'));
  await expect(joining).rejects.toThrow(/joining the group group.*credentials/s);
  expect(failed).toHaveBeenCalledExactlyOnceWith(expect.any(RunError));
});

test('one that has left is heard of no more, and leaves no timer', async () => {
  const { time, joining, consumer, lapsed } = await member();
  consumer().join([0]);
  await (await joining).leave();
  await time.advance(60_000);
  expect(lapsed).not.toHaveBeenCalled();
  expect(time.asleep).toBe(0);
});

test('one that is answered in time does not lapse', async () => {
  const { time, joining, consumer, lapsed } = await member();
  consumer().join([0]);
  await joining;
  for (let seconds = 0; seconds < 30; seconds++) {
    await time.advance(1000);
    consumer().heartbeat();
  }
  expect(lapsed).not.toHaveBeenCalled();
});

test('one that was not answered for longer than a session may be none any more, and says so once', async () => {
  const { time, joining, consumer, lapsed } = await member();
  consumer().join([0]);
  await joining;
  await time.advance(10_000);
  expect(lapsed).not.toHaveBeenCalled();
  await time.advance(30_000);
  expect(lapsed).toHaveBeenCalledTimes(1);
  consumer().heartbeat();
  consumer().heartbeat();
  await time.advance(9_000);
  expect(lapsed).toHaveBeenCalledTimes(1);
  await time.advance(9_000);
  expect(lapsed).toHaveBeenCalledTimes(2);
});

test('an answer that waited while the process was stopped proves nothing', async () => {
  const { time, joining, consumer, lapsed } = await member();
  consumer().join([0]);
  await joining;
  consumer().heartbeat();
  // Half a minute passes at once, and the answer is read before any timer is looked at.
  const stopped = time.advance(30_000);
  consumer().heartbeat();
  await stopped;
  expect(lapsed).toHaveBeenCalled();
});

test('while the group waits for its members to join again, it gives none of them up', async () => {
  const { time, joining, consumer, lapsed } = await member();
  consumer().join([0]);
  await joining;
  consumer().rebalance();
  await time.advance(20_000);
  expect(lapsed).not.toHaveBeenCalled();
  consumer().join([0]);
  await time.advance(10_000);
  expect(lapsed).not.toHaveBeenCalled();
  await time.advance(1000);
  expect(lapsed).toHaveBeenCalledTimes(1);
});

test('but no longer than a rebalance may take: whoever was stopped meanwhile was given up', async () => {
  const { time, joining, consumer, lapsed } = await member();
  consumer().join([0]);
  await joining;
  consumer().rebalance();
  await time.advance(21_000);
  expect(lapsed).toHaveBeenCalledTimes(1);
});
