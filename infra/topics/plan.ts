import type { TopicInfo } from '../../topology/topology.ts';
import type { FoundTopic, FoundTopics, WantedTopic } from './admin.ts';
import { unlimited, wantedTopics, type TopicsAsked } from './wanted.ts';

/**
 * What is not as it should be, on one of three levels: `change` is what `spar topics apply` does about it; a
 * `problem` it can do nothing about, and nothing runs with it; a `remark` is no fault, such as records that are kept
 * for longer than they need be.
 */
export type Difference =
  | { readonly level: 'change'; readonly kind: 'missing'; readonly wanted: WantedTopic }
  | {
      readonly level: 'change' | 'remark';
      readonly kind: 'config';
      readonly topic: string;
      readonly config: string;
      readonly is: string;
      readonly wanted: string;
    }
  | {
      readonly level: 'problem';
      readonly kind: 'partitions';
      readonly topic: string;
      readonly is: number;
      readonly wanted: number;
      /** True if settings ask for the number; the pipeline's other topics have it otherwise. */
      readonly asked: boolean;
    }
  | {
      readonly level: 'problem' | 'remark';
      readonly kind: 'replication';
      readonly topic: string;
      readonly is: number;
      readonly wanted: number;
    }
  | {
      readonly level: 'problem';
      readonly kind: 'brokers';
      readonly is: number;
      readonly wanted: number;
    }
  | SchemaDifference;

export interface SchemaDifference {
  /** One that does not fit what is there is a problem. */
  readonly level: 'change' | 'problem';
  readonly kind: 'schema';
  readonly subject: string;
  /** `schemas/<schema>.avsc`. */
  readonly schema: string;
  /** True if the subject holds another version. */
  readonly another: boolean;
  /** Why it does not fit. */
  readonly reasons: readonly string[];
}

/** In the order of the topics; empty if all is as it should be. */
export function topicDifferences(
  topics: readonly TopicInfo[],
  asked: TopicsAsked,
  found: FoundTopics,
): readonly Difference[] {
  const wanted = wantedTopics(topics, asked, found);
  const missing = wanted.filter(({ name }) => !found.topics.has(name));
  return [
    ...tooFewBrokers(missing, found),
    ...wanted.flatMap((topic) => {
      const there = found.topics.get(topic.name);
      return there
        ? differencesOf(topic, there, asked)
        : ([{ level: 'change', kind: 'missing', wanted: topic }] as const);
    }),
  ];
}

/** A broker holds one copy of a partition at the most. */
function tooFewBrokers(
  [missing]: readonly WantedTopic[],
  { brokers }: FoundTopics,
): readonly Difference[] {
  if (!missing || missing.replication <= brokers) return [];
  return [{ level: 'problem', kind: 'brokers', is: brokers, wanted: missing.replication }];
}

function differencesOf(
  wanted: WantedTopic,
  found: FoundTopic,
  asked: TopicsAsked,
): readonly Difference[] {
  const topic = wanted.name;
  return [
    ...(found.partitions === wanted.partitions
      ? []
      : [
          {
            level: 'problem',
            kind: 'partitions',
            ...{ topic, is: found.partitions, wanted: wanted.partitions },
            asked: asked.partitions !== null,
          } as const,
        ]),
    ...otherCopies(wanted, found, asked),
    ...Object.entries(wanted.configs).flatMap(([config, value]) => {
      const is = found.configs?.[config];
      if (is === undefined || is === value) return [];
      const level = wouldShrink(config, is, value, found) ? 'remark' : 'change';
      return [{ level, kind: 'config', topic, config, is, wanted: value } as const];
    }),
  ];
}

function otherCopies(
  { name: topic, replication: wanted }: WantedTopic,
  { replication: is }: FoundTopic,
  asked: TopicsAsked,
): readonly Difference[] {
  // Whoever names a number means it. Otherwise a cluster that has grown since is no reason to stand still, and one
  // that has a broker down none to say anything.
  const isAsked = asked.replication !== null;
  if (is === wanted || (is > wanted && !isAsked)) return [];
  const level = isAsked && is < wanted ? 'problem' : 'remark';
  return [{ level, kind: 'replication', topic, is, wanted }];
}

/** Whether the change would take something away that somebody may count on. */
function wouldShrink(config: string, is: string, wanted: string, found: FoundTopic): boolean {
  switch (config) {
    case 'max.message.bytes':
      return Number(is) > Number(wanted);
    case 'retention.ms':
    case 'retention.bytes':
      return limitOf(is) > limitOf(wanted);
    case 'min.insync.replicas':
      // Stricter is fine for as long as records can be acknowledged at all.
      return Number(is) > Number(wanted) && Number(is) <= found.replication;
    default:
      return false;
  }
}

const limitOf = (value: string): number =>
  value === unlimited ? Number.POSITIVE_INFINITY : Number(value);
