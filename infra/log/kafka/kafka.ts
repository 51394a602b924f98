import { mkdirSync } from 'node:fs';
import type { Logger } from '../../logger.ts';
import type { Time } from '../../time.ts';
import type { LogTopic } from '../embedded.ts';
import type { Committed, GroupMember, Log, LogRecord, NewRecord, Subscriber } from '../log.ts';
import { createAppender } from './appender.ts';
import { openClient } from './client.ts';
import { explained, failureOf } from './failures.ts';
import { assignedIn } from './membership.ts';
import { createOutages } from './outages.ts';
import { createPoller } from './poller.ts';
import { quietTimers } from './quiet.ts';
import { createReader } from './reader.ts';
import { createStamps } from './send.ts';
import type { KafkaSettings } from './settings.ts';
import { subscribe, type Handover, type KafkaSubscription, type Place } from './subscription.ts';
import { openKeyTable, type KeyTable } from './tables.ts';
import { watchSize } from './watch.ts';

export interface KafkaLogOptions {
  readonly settings: KafkaSettings;
  /** The topics of the pipeline, by their names on the log; they must be there. */
  readonly topics: readonly LogTopic[];
  /** First part of the names of groups and of transactional ids that are nobody's for long. */
  readonly pipeline: string;
  /** Where the tables of keys are kept; null for as long as the process lives. */
  readonly tables: string | null;
  /** Asks the other processes of this machine for a partition that is ours now; nobody is asked without it. */
  readonly handover?: Handover;
  readonly time: Time;
  readonly logger: Logger;
}

/** The log on a Kafka cluster. */
export interface KafkaLog extends Log {
  /** A name that the cluster has for ever. */
  readonly clusterId: string;
  /** Gives a partition up for another member of its group, finished work first; false if it is not held here. */
  release(place: Place): Promise<boolean>;
}

/** Records of one key that are returned where the caller sets no limit. */
const ofKeyMax = 100;
/** With the waits about five seconds, beyond those of the client itself. */
const coordinatorTriesMax = 20;
const coordinatorDelayMs = 250;

/**
 * @throws RunError if a topic is missing, or the topics have different numbers of partitions; Unavailable if no
 *   broker answers.
 */
export async function openKafkaLog(options: KafkaLogOptions): Promise<KafkaLog> {
  quietTimers();
  const { settings, time, logger, pipeline, tables: tablesFolder } = options;
  const client = openClient(settings, logger);
  const reader = createReader(client, time);
  const keyed = new Map(options.topics.map((topic) => [topic.name, topic.keyed]));
  let partitions: number;
  let clusterId: string;
  try {
    clusterId = await reader.clusterId();
    partitions = partitionsIn(await reader.partitionsOf(options.topics.map(({ name }) => name)));
  } catch (error) {
    await reader.close();
    client.close();
    throw error;
  }
  if (tablesFolder !== null) mkdirSync(tablesFolder, { recursive: true });
  const all = Array.from({ length: partitions }, (_, partition) => partition);
  const outages = createOutages(settings.brokers, time);
  const poller = createPoller(client, time, logger, outages);
  const stamps = createStamps(time);
  const appender = createAppender(client, pipeline, time, stamps, logger);
  const admin = client.admin();
  let connecting: Promise<void> | null = null;
  const open = new Map<string, KafkaSubscription>();
  /** Those who are still joining a group. */
  const joining = new Set<Promise<KafkaSubscription>>();
  const tables = new Map<string, KeyTable>();
  const closing = new AbortController();

  function checked(records: readonly Pick<NewRecord, 'topic' | 'partition'>[]): void {
    for (const { topic, partition } of records) {
      if (!keyed.has(topic)) throw new Error(`this log has no topic ${topic}`);
      if (!(partition >= 0 && partition < partitions)) {
        throw new Error(`this log has no partition ${partition} of the topic ${topic}`);
      }
    }
  }

  function tableOf(topic: string, partition: number): KeyTable {
    if (!keyed.get(topic)) throw new Error(`${topic} was not opened with keys`);
    const name = `${topic}/${partition}`;
    const table =
      tables.get(name) ??
      openKeyTable({
        reader,
        topic,
        partition,
        folder: tablesFolder,
        clusterId,
        time,
        fetchBytes: settings.fetchBytes,
        decidedMs: 2 * settings.timeouts.transactionMs + settings.timeouts.requestMs,
      });
    tables.set(name, table);
    return table;
  }

  const recordAt = async (topic: string, partition: number, offset: number) => {
    const [record] = await reader.read(topic, partition, offset, { records: 1, bytes: 1 });
    return record?.offset === offset ? record : null;
  };

  async function latest(topic: string, key: string, partition?: number): Promise<LogRecord | null> {
    const found = await Promise.all(
      (partition === undefined ? all : [partition]).map(async (one) => {
        const offset = await tableOf(topic, one).last(key);
        return offset === null ? null : recordAt(topic, one, offset);
      }),
    );
    return found
      .filter((record) => record !== null)
      .reduce<LogRecord | null>(
        (best, record) => (best && best.timestamp > record.timestamp ? best : record),
        null,
      );
  }

  async function ofKey(
    topic: string,
    key: string,
    { limit = ofKeyMax, partition }: { readonly limit?: number; readonly partition?: number } = {},
  ): Promise<readonly LogRecord[]> {
    const found = await Promise.all(
      (partition === undefined ? all : [partition]).map(async (one) => {
        const offsets = await tableOf(topic, one).find(key, limit);
        return Promise.all(offsets.map((offset) => recordAt(topic, one, offset)));
      }),
    );
    return found
      .flat()
      .filter((record) => record !== null)
      .sort((one, other) => one.timestamp - other.timestamp)
      .slice(0, limit);
  }

  /** Once; and again where it failed, since the brokers may be back by then. */
  async function connect(): Promise<void> {
    try {
      await admin.connect();
    } catch (error) {
      connecting = null;
      throw error;
    }
  }

  /** The coordinators of a cluster's first groups are elsewhere for a moment, and later ones move. */
  async function askCoordinator<Answer>(
    tried: string,
    ask: () => Promise<Answer>,
  ): Promise<Answer> {
    for (let tries = 1; ; tries++) {
      try {
        await (connecting ??= connect());
        return await ask();
      } catch (error) {
        const failure = failureOf(error);
        const passing = failure === 'unavailable' || failure === 'stale';
        if (!passing || tries >= coordinatorTriesMax || closing.signal.aborted) {
          throw explained(error, tried, settings.brokers);
        }
        await time.sleep(coordinatorDelayMs, closing.signal);
      }
    }
  }

  const committed = (group: string, topic: string): Promise<readonly Committed[]> =>
    askCoordinator(`asking where ${group} stands`, async () => {
      const [found] = await admin.fetchOffsets({ groupId: group, topics: [topic] });
      const of = new Map(found?.partitions.map((one) => [one.partition, one]));
      return all.map((partition) => {
        const { offset = '-1', metadata = null } = of.get(partition) ?? {};
        return offset === '-1'
          ? { partition, known: false, position: 0, metadata: '' }
          : { partition, known: true, position: Number(offset), metadata: metadata ?? '' };
      });
    });

  const members = (group: string): Promise<readonly GroupMember[]> =>
    askCoordinator(`asking who works for ${group}`, async () => {
      const { groups } = await admin.describeGroups([group]);
      return (groups[0]?.members ?? []).map(({ memberId, clientHost, memberAssignment }) => ({
        id: memberId,
        host: clientHost.replace(/^\//, ''),
        partitions: assignedIn(memberAssignment),
      }));
    });

  const sizeOf = async (topic: string): Promise<number> =>
    (await reader.ends(topic)).reduce((sum, { latest: end }) => sum + end, 0);

  const log: KafkaLog = {
    partitions,
    clusterId,
    members,

    async append(records) {
      checked(records);
      return appender.append(records);
    },

    async subscribe(group, topic, subscriber: Subscriber) {
      checked([{ topic, partition: 0 }]);
      const name = `${group} on ${topic}`;
      if (open.has(name)) throw new Error(`${name} is already subscribed in this process`);
      closing.signal.throwIfAborted();
      const subscribing = subscribe({
        client,
        poller,
        group,
        topic,
        subscriber,
        time,
        stamps,
        logger,
        outages,
        checked,
        committed: async (partition) => {
          const found = (await committed(group, topic)).find((one) => one.partition === partition);
          return found ?? { partition, known: false, position: 0, metadata: '' };
        },
        handover: options.handover ?? (() => Promise.resolve(false)),
        expel: (memberId) => reader.expel(group, memberId),
        closed: () => open.delete(name),
        signal: closing.signal,
      });
      joining.add(subscribing);
      try {
        const subscription = await subscribing;
        open.set(name, subscription);
        return subscription;
      } finally {
        joining.delete(subscribing);
      }
    },

    release: async ({ group, topic, partition }) =>
      (await open.get(`${group} on ${topic}`)?.release(partition)) ?? false,

    read: (topic, partition, from, limit) => reader.read(topic, partition, from, limit),
    ends: (topic) => reader.ends(topic),
    committed,
    offsetAt: (topic, partition, timestamp) => reader.offsetAt(topic, partition, timestamp),
    latest,
    ofKey,

    watch(topic, watcher) {
      const leaving = new AbortController();
      const signal = AbortSignal.any([leaving.signal, closing.signal]);
      void watchSize(() => sizeOf(topic), watcher, time, signal);
      return () => leaving.abort(new Error('nobody watches'));
    },

    away: () => outages.away(),

    async close() {
      closing.abort(new Error('the log is closed'));
      await Promise.allSettled(joining);
      const ended = await Promise.allSettled([...open.values()].map((one) => one.close()));
      await appender.close();
      await poller.close();
      await reader.close();
      await connecting?.then(() => admin.disconnect()).catch(() => undefined);
      client.close();
      for (const table of tables.values()) table.close();
      for (const end of ended) if (end.status === 'rejected') throw end.reason;
    },
  };
  return log;
}

/** Everything about one instruction is in one partition, so all topics have as many. */
function partitionsIn(counts: ReadonlyMap<string, number>): number {
  const [first, ...others] = counts;
  if (!first) return 0;
  const other = others.find(([, partitions]) => partitions !== first[1]);
  if (!other) return first[1];
  throw new Error(
    `${first[0]} has ${first[1]} partitions and ${other[0]} ${other[1]}; ` +
      'all topics of a pipeline have the same number (spar topics check)',
  );
}

export type { Handover, Place };
