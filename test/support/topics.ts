import { openConfluentRegistry } from '../../infra/codec/confluent-registry.ts';
import { kafkaDefaults } from '../../infra/log/kafka/settings.ts';
import { openTopicAdmin } from '../../infra/log/kafka/topics.ts';
import { silentLogger } from '../../infra/logger.ts';
import { systemTime } from '../../infra/time.ts';
import { applyTopics } from '../../infra/topics/topics.ts';
import { topics } from '../../topology/topics.ts';

/** Makes the topics of a pipeline, and their schemas, on a broker and a registry of their own. */
export async function makeTopics(options: {
  readonly brokers: string;
  readonly registry: string;
  readonly pipeline: string;
  readonly partitions: number;
}): Promise<void> {
  const { pipeline, partitions } = options;
  const registry = await openConfluentRegistry({ url: options.registry });
  const settings = { ...kafkaDefaults, brokers: [options.brokers] };
  const admin = openTopicAdmin({ settings, time: systemTime, logger: silentLogger });
  try {
    await applyTopics({
      topics: Object.values(topics),
      asked: { pipeline, partitions, replication: 1, compression: settings.compression },
      admin,
      registry,
      time: systemTime,
      report: () => Promise.resolve(),
    });
  } finally {
    await admin.close();
    registry.close();
  }
}
