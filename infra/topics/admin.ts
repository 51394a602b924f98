import type { PartitionEnds } from '../log/log.ts';

/**
 * The topics of a cluster, as those see them who make them. Nothing here deletes a topic or changes its partitions.
 * What goes wrong is an error in one sentence, with the right that is missing if it is that.
 */
export interface TopicAdmin {
  /** Which of them there are, and how they are. */
  find(names: readonly string[]): Promise<FoundTopics>;
  /** Makes them; those that somebody has made meanwhile stay as they are. They can be used when this resolves. */
  create(topics: readonly WantedTopic[]): Promise<void>;
  /** Sets these of a topic's configs, and leaves all its others as they are. */
  configure(name: string, configs: Readonly<Record<string, string>>): Promise<void>;
  ends(name: string): Promise<readonly PartitionEnds[]>;
  close(): Promise<void>;
}

/** A topic as it should be. */
export interface WantedTopic {
  /** On the log. */
  readonly name: string;
  readonly partitions: number;
  readonly replication: number;
  readonly configs: Readonly<Record<string, string>>;
}

export interface FoundTopics {
  /** That are up. */
  readonly brokers: number;
  /** By name; those that are missing are not in it. */
  readonly topics: ReadonlyMap<string, FoundTopic>;
}

export interface FoundTopic {
  readonly partitions: number;
  /** Copies of the partition that has the fewest. */
  readonly replication: number;
  /** Copies that are up to date, of the partition that has the fewest. */
  readonly inSync: number;
  /** What is in effect, whoever set it; null if we may not know. */
  readonly configs: Readonly<Record<string, string>> | null;
}
