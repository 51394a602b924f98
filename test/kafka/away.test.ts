import { expect, test, vi } from 'vitest';
import type { Subscription } from '../../infra/log/log.ts';
import { createTopics, freshPrefix, kafkaLogOf, settingsOf } from './logs.ts';
import { ownBroker } from './support.ts';

test('brokers that do not answer are told of until they do, and everything goes on by itself', async () => {
  const broker = await ownBroker();
  const topic = `${freshPrefix()}.away`;
  await createTopics([{ name: topic }], 1, broker.brokers);
  const { timeouts } = settingsOf();
  const log = await kafkaLogOf([{ name: topic, keyed: false }], {
    settings: {
      brokers: [broker.brokers],
      timeouts: {
        ...timeouts,
        connectMs: 1000,
        requestMs: 1500,
        sessionMs: 6000,
        heartbeatMs: 500,
      },
    },
  });
  const seen: number[] = [];
  const failed = vi.fn();
  let subscription: Subscription | null = null;
  subscription = await log.subscribe('group', topic, {
    // The group may have given the partition up meanwhile, and then gives it anew.
    assigned: (partition) => queueMicrotask(() => subscription?.resume(partition)),
    records: (_partition, records) => seen.push(...records.map(({ offset }) => offset)),
    revoked: () => Promise.resolve(),
    failed,
  });
  subscription.resume(0);
  const write = () =>
    log.append([{ topic, partition: 0, key: null, headers: {}, value: Buffer.from('v') }]);
  await write();
  await vi.waitFor(() => expect(seen).toEqual([0]), { timeout: 10_000 });
  expect(log.away()).toBeNull();

  broker.pause();
  await vi.waitFor(
    () =>
      expect(log.away()?.error).toMatch(
        new RegExp(
          `^the brokers ${broker.brokers} do not answer \\((following|staying) .*: .+\\)$`,
        ),
      ),
    { timeout: 40_000, interval: 100 },
  );
  broker.resume();
  await vi.waitFor(() => expect(log.away()).toBeNull(), { timeout: 60_000, interval: 100 });
  await write();
  await vi.waitFor(() => expect(seen).toContain(1), { timeout: 60_000 });
  expect(failed).not.toHaveBeenCalled();
});
