import { randomUUID } from 'node:crypto';
import { Kafka, logLevel } from 'kafkajs';
import { inject, onTestFinished } from 'vitest';
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
  topics: readonly LogTopic[],
  partitions: number,
  brokers: string = inject('brokers'),
): Promise<void> {
  const admin = new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    await admin.createTopics({
      topics: topics.map(({ name }) => ({ topic: name, numPartitions: partitions })),
      waitForLeaders: true,
    });
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
