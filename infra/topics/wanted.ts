import { nameOnLog, type TopicInfo } from '../../topology/topology.ts';
import type { FoundTopics, WantedTopic } from './admin.ts';

/** What the settings say of the topics of a pipeline. */
export interface TopicsAsked {
  readonly pipeline: string;
  /** Null for as many as there are already, or the default where there are none. */
  readonly partitions: number | null;
  /** Null for three, or as many as there are brokers. */
  readonly replication: number | null;
  readonly compression: 'zstd' | 'gzip' | 'none';
}

const partitionsDefault = 6;
const replicationDefault = 3;
const mebibyte = 1024 * 1024;
/** The largest record of a topic that says nothing, as the codec has it. */
const valueBytesDefault = mebibyte;
/** A batch has a header, and its record a key and headers of its own. */
const roomBytes = 64 * 1024;
const dayMs = 24 * 60 * 60 * 1000;
/** Kafka's word for no limit. */
export const unlimited = '-1';

/** Every topic of the pipeline as it should be, from the one file that declares them all. */
export function wantedTopics(
  topics: readonly TopicInfo[],
  asked: TopicsAsked,
  found: FoundTopics,
): readonly WantedTopic[] {
  const partitions = asked.partitions ?? usualPartitions(topics, asked, found) ?? partitionsDefault;
  const replication = asked.replication ?? Math.min(replicationDefault, found.brokers);
  return topics.map((topic) => {
    const name = nameOnLog(asked.pipeline, topic);
    return {
      name,
      partitions,
      replication,
      // What is safe depends on the copies that there are, not on those that there should be.
      configs: configsOf(topic, asked, found.topics.get(name)?.replication ?? replication),
    };
  });
}

/** The number that most of the topics have; of two that are as frequent, the one that comes first. */
function usualPartitions(
  topics: readonly TopicInfo[],
  { pipeline }: TopicsAsked,
  found: FoundTopics,
): number | null {
  const counts = new Map<number, number>();
  for (const topic of topics) {
    const partitions = found.topics.get(nameOnLog(pipeline, topic))?.partitions;
    if (partitions !== undefined) counts.set(partitions, (counts.get(partitions) ?? 0) + 1);
  }
  const most = Math.max(...counts.values());
  return [...counts].find(([, count]) => count === most)?.[0] ?? null;
}

function configsOf(
  { kept, maxBytes = valueBytesDefault, foreign = false }: TopicInfo,
  { compression }: TopicsAsked,
  replication: number,
): WantedTopic['configs'] {
  return {
    ...(kept === 'latest'
      ? { 'cleanup.policy': 'compact' }
      : {
          'cleanup.policy': 'delete',
          'retention.ms': kept === 'forever' ? unlimited : String(kept.days * dayMs),
          'retention.bytes': unlimited,
        }),
    'max.message.bytes': String(maxBytes + roomBytes),
    // One copy may be away: with two copies or one that would leave nobody to acknowledge a record.
    'min.insync.replicas': replication >= 3 ? '2' : '1',
    // Others compress as they like; the broker makes one kind of it, which every reader of the topic can then expect.
    'compression.type': foreign ? brokersName(compression) : 'producer',
    'message.timestamp.type': 'CreateTime',
  };
}

const brokersName = (compression: TopicsAsked['compression']): string =>
  compression === 'none' ? 'uncompressed' : compression;
