import { RunError } from '../../errors.ts';
import { unlessAborted } from '../../signals.ts';
import type { Time } from '../../time.ts';
import type { LogRecord, PartitionEnds, ReadLimit } from '../log.ts';
import type { Broker, Cluster, KafkaClient } from './client.ts';
import { explained, failureOf, listed } from './failures.ts';
import { readFetched, type Fetched } from './fetched.ts';

/** Asks brokers, and reads partitions at any offset, as a member of no group. */
export interface Reader {
  /** What is there from the offset on, without waiting for more. */
  fetch(topic: string, partition: number, from: number, maxBytes: number): Promise<Fetched>;
  /** At most `limit` records from the offset on; empty at the end. */
  read(
    topic: string,
    partition: number,
    from: number,
    limit: ReadLimit,
  ): Promise<readonly LogRecord[]>;
  /** The end is behind all that was written, decided or not. */
  ends(topic: string): Promise<readonly PartitionEnds[]>;
  offsetAt(topic: string, partition: number, timestamp: number): Promise<number>;
  /** How many each of the topics has. @throws RunError if one is not there */
  partitionsOf(topics: readonly string[]): Promise<ReadonlyMap<string, number>>;
  /** A name that the cluster has for ever. */
  clusterId(): Promise<string>;
  /** Takes a member out of its group that will not come back, so that nobody waits for it. */
  expel(group: string, memberId: string): Promise<void>;
  close(): Promise<void>;
}

/** All records from `from` on, up to `next`. */
interface Ahead {
  readonly from: number;
  readonly next: number;
  readonly records: readonly LogRecord[];
}

/** Partitions whose records that were fetched and not asked for are kept for the next call. */
const aheadMax = 16;

export function createReader(client: KafkaClient, time: Time): Reader {
  const { settings } = client;
  const cluster = client.cluster();
  const closing = new AbortController();
  const access = createAccess(cluster, client, time, closing.signal);
  /** Records beyond what a caller wanted, by topic and partition: fetches end where batches do. */
  const ahead = new Map<string, Ahead>();
  /** The last fetch at each broker, done or not. */
  const turns = new WeakMap<Broker, Promise<unknown>>();

  async function fetch(
    topic: string,
    partition: number,
    from: number,
    maxBytes: number,
  ): Promise<Fetched> {
    return access.run(`reading ${topic}`, [topic], async () => {
      const broker = await access.leaderOf(topic, partition);
      return inTurn(broker, () => fetchFrom(broker, topic, partition, from, maxBytes));
    });
  }

  /** A broker answers one fetch of a connection after the other anyway; and kafkajs opens one for each that begins. */
  function inTurn<Result>(broker: Broker, work: () => Promise<Result>): Promise<Result> {
    const mine = (turns.get(broker) ?? Promise.resolve()).then(work);
    turns.set(
      broker,
      mine.catch(() => undefined),
    );
    return mine;
  }

  async function fetchFrom(
    broker: Broker,
    topic: string,
    partition: number,
    from: number,
    maxBytes: number,
  ): Promise<Fetched> {
    const { responses } = await broker.fetch({
      maxWaitTime: 0,
      minBytes: 0,
      maxBytes,
      isolationLevel: 1,
      topics: [{ topic, partitions: [{ partition, fetchOffset: String(from), maxBytes }] }],
    });
    const found = responses[0]?.partitions[0];
    if (!found) throw new RunError(`${topic} has no partition ${partition}`);
    return readFetched(topic, found, from);
  }

  const offsetsAt = (topic: string, at: { fromBeginning: boolean } | { fromTimestamp: number }) =>
    access.run(`asking for the ends of ${topic}`, [topic], async () => {
      const partitions = access.partitionsOf(topic).map((partition) => ({ partition }));
      const [found] = await cluster.fetchTopicsOffset([{ topic, partitions, ...at }]);
      return new Map(
        (found?.partitions ?? []).map(({ partition, offset }) => [partition, Number(offset)]),
      );
    });

  return {
    fetch,

    async read(topic, partition, from, { records: wanted, bytes }) {
      const place = `${topic}/${partition}`;
      for (let at = from; ;) {
        const kept = ahead.get(place);
        ahead.delete(place);
        const { records, next } =
          kept && kept.from <= at && at < kept.next
            ? { records: kept.records.filter(({ offset }) => offset >= at), next: kept.next }
            : await fetch(topic, partition, at, Math.min(settings.fetchBytes, Math.max(bytes, 1)));
        if (records.length === 0) {
          if (next <= at) return [];
          at = next;
          continue;
        }
        const taken = take(records, wanted, bytes);
        const rest = records.slice(taken.length);
        if (rest.length > 0) {
          if (ahead.size >= aheadMax) ahead.delete([...ahead.keys()][0] ?? place);
          ahead.set(place, { from: (taken.at(-1)?.offset ?? at) + 1, next, records: rest });
        }
        return taken;
      }
    },

    async ends(topic) {
      const [earliest, latest] = await Promise.all([
        offsetsAt(topic, { fromBeginning: true }),
        offsetsAt(topic, { fromBeginning: false }),
      ]);
      return [...latest]
        .sort(([one], [other]) => one - other)
        .map(([partition, end]) => ({
          partition,
          earliest: earliest.get(partition) ?? 0,
          latest: end,
        }));
    },

    async offsetAt(topic, partition, timestamp) {
      const found = (await offsetsAt(topic, { fromTimestamp: timestamp })).get(partition) ?? -1;
      if (found >= 0) return found;
      return (await offsetsAt(topic, { fromBeginning: false })).get(partition) ?? 0;
    },

    async partitionsOf(topics) {
      const askFor = (names: readonly string[]) =>
        access.run(`looking for ${listed(names)}`, [], async () => {
          const broker = await cluster.brokerPool.findConnectedBroker();
          return (await broker.metadata(names)).topicMetadata;
        });
      // One question for all; a broker does not say which of them is missing.
      const found = await askFor(topics).catch(async (error: unknown) => {
        if (failureOf(error) !== 'missing') throw error;
        return (await Promise.all(topics.map((topic) => askFor([topic])))).flat();
      });
      return new Map(
        found.map(({ topic, partitionMetadata }) => [topic, partitionMetadata.length]),
      );
    },

    clusterId: () =>
      access.run('asking who the brokers are', [], async () => {
        await cluster.refreshMetadataIfNecessary();
        return cluster.brokerPool.metadata?.clusterId ?? '';
      }),

    expel: (group, memberId) =>
      access.run(`leaving the group ${group}`, [], async () => {
        const coordinator = await cluster.findGroupCoordinator({ groupId: group });
        await coordinator.leaveGroup({ groupId: group, memberId }).catch((error: unknown) => {
          // It has gone already.
          if ((error as { readonly type?: unknown }).type !== 'UNKNOWN_MEMBER_ID') throw error;
        });
      }),

    async close() {
      closing.abort(new Error('the log is closed'));
      ahead.clear();
      await cluster.disconnect();
    },
  };
}

function take(records: readonly LogRecord[], most: number, bytes: number): readonly LogRecord[] {
  let taken = 0;
  let size = 0;
  while (taken < records.length && taken < most && size < bytes) {
    size += records[taken]?.value.length ?? 0;
    taken++;
  }
  return records.slice(0, taken);
}

/** A cluster that is connected when need be, and asked again where its leaders have moved. */
export interface Access {
  /** @throws RunError or Unavailable in a sentence that begins with what was tried */
  run<Result>(
    tried: string,
    topics: readonly string[],
    work: () => Promise<Result>,
  ): Promise<Result>;
  /** Within `run`. */
  partitionsOf(topic: string): readonly number[];
  /** Within `run`. */
  leaderOf(topic: string, partition: number): Promise<Broker>;
}

/** Tries of a request whose leader has moved, or whose broker went away: with the waits about ten seconds. */
const triesMax = 8;

export function createAccess(
  cluster: Cluster,
  client: Pick<KafkaClient, 'settings'>,
  time: Time,
  /** Aborted when the log is closed: nothing is tried any more. */
  closing: AbortSignal,
): Access {
  const partitionsOf = (topic: string): readonly number[] =>
    cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => partitionId);
  async function attempt<Result>(
    topics: readonly string[],
    work: () => Promise<Result>,
  ): Promise<Result> {
    await cluster.connect();
    if (topics.length > 0) await cluster.addMultipleTargetTopics(topics);
    await cluster.refreshMetadataIfNecessary();
    return work();
  }
  return {
    async run(tried, topics, work) {
      for (let tries = 1; ; tries++) {
        closing.throwIfAborted();
        try {
          return await unlessAborted(attempt(topics, work), closing);
        } catch (error) {
          const failure = failureOf(error);
          if (failure === null) throw error;
          const passing = failure === 'unavailable' || failure === 'stale';
          if (!passing || tries >= triesMax) {
            throw explained(error, tried, client.settings.brokers);
          }
          forgetBroker(cluster, error);
          await time.sleep(Math.min(2000, 50 * 2 ** tries), closing);
          await cluster.refreshMetadata().catch(() => undefined);
        }
      }
    },
    partitionsOf,
    leaderOf(topic, partition) {
      const found = cluster
        .findTopicPartitionMetadata(topic)
        .find(({ partitionId }) => partitionId === partition);
      if (!found) throw new RunError(`${topic} has no partition ${partition}`);
      return cluster.findBroker({ nodeId: found.leader });
    },
  };
}

/** A connection that was closed is not opened again by itself. */
export function forgetBroker(cluster: Cluster, error: unknown): void {
  const { host, port } = error as { readonly host?: unknown; readonly port?: unknown };
  if (typeof host === 'string' && typeof port === 'number') cluster.removeBroker({ host, port });
}
