import { openKafkaLog } from '../../infra/log/kafka/kafka.ts';
import { silentLogger } from '../../infra/logger.ts';
import { systemTime } from '../../infra/time.ts';
import { contractTopics, logContract } from '../contract/log.ts';
import { createTopics, freshPrefix, settingsOf } from './logs.ts';

logContract('Kafka', async (clock) => {
  const prefix = freshPrefix();
  const topics = contractTopics(prefix);
  await createTopics(topics, 2);
  const log = await openKafkaLog({
    settings: settingsOf(),
    topics,
    pipeline: prefix,
    tables: null,
    time: { ...systemTime, wall: () => clock.now },
    logger: silentLogger,
  });
  return { log, prefix, dispose: () => log.close() };
});
