import { randomUUID } from 'node:crypto';
import { Kafka, logLevel } from 'kafkajs';
import { expect, inject, onTestFinished, vi } from 'vitest';
import { kafkaDefaults, type KafkaSettings } from '../../infra/log/kafka/settings.ts';
import { openKafkaLog, type KafkaLog } from '../../infra/log/kafka/kafka.ts';
import { silentLogger } from '../../infra/logger.ts';
import { systemTime, type Time } from '../../infra/time.ts';
import type { LogTopic } from '../../infra/log/embedded.ts';

/** Reaches the shared broker; nobody waits for a handover. */
export const settingsOf = (change: Partial<KafkaSettings> = {}): KafkaSettings => ({
  ...kafkaDefaults,
  brokers: [inject('brokers')],
  timeouts: { ...kafkaDefaults.timeouts, fetchMs: 50, handoverMs: 0 },
  ...change,
});

/** Names that no other test has. */
export const freshPrefix = (): string => `t${randomUUID().slice(0, 8)}`;

export async function createTopics(
  topics: readonly (Pick<LogTopic, 'name'> &
    Partial<LogTopic> & { readonly configs?: Readonly<Record<string, string>> })[],
  partitions: number,
  brokers: string = inject('brokers'),
): Promise<void> {
  const admin = new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    await admin.createTopics({
      topics: topics.map(({ name, configs = {} }) => ({
        topic: name,
        numPartitions: partitions,
        configEntries: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
      })),
      // It waits for leaders only, and not for a broker that has not yet heard of the topic.
      waitForLeaders: false,
    });
    await vi.waitFor(
      async () => {
        const made = await admin.fetchTopicMetadata({ topics: topics.map(({ name }) => name) });
        for (const topic of made.topics) {
          expect(topic.partitions.map(({ leader }) => leader >= 0)).toEqual(
            Array.from({ length: partitions }, () => true),
          );
        }
      },
      { timeout: 20_000, interval: 50 },
    );
  } finally {
    await admin.disconnect();
  }
}

/** A log on topics of its own, closed when the test is over. */
export async function kafkaLogOf(
  topics: readonly LogTopic[],
  change: {
    readonly settings?: Partial<KafkaSettings>;
    readonly time?: Time;
    readonly pipeline?: string;
  } = {},
): Promise<KafkaLog> {
  const log = await openKafkaLog({
    settings: settingsOf(change.settings),
    topics,
    pipeline: change.pipeline ?? 'test',
    tables: null,
    time: change.time ?? systemTime,
    logger: silentLogger,
  });
  onTestFinished(() => log.close());
  return log;
}
