import { asError } from '../../errors.ts';
import type { Logger } from '../../logger.ts';
import { messageOf, oneLine } from '../../text.ts';
import type { Time } from '../../time.ts';
import type { LogRecord } from '../log.ts';
import type { Broker, KafkaClient } from './client.ts';
import { explained, failureOf } from './failures.ts';
import { readFetched } from './fetched.ts';
import type { Outages } from './outages.ts';
import { createAccess, forgetBroker } from './reader.ts';

/** Follows partitions and hands over what comes, one long fetch for each broker at a time. */
export interface Poller {
  /** Begins paused. */
  follow(topic: string, partition: number, from: number, follower: Follower): Following;
  close(): Promise<void>;
}

export interface Follower {
  /** Must only take the records in and return. */
  records(records: readonly LogRecord[], next: number): void;
  /** Nothing more will come. */
  failed(error: Error): void;
}

export interface Following {
  /** After it returns at most what was already under way is delivered. */
  pause(): void;
  resume(): void;
  /** Nothing is delivered any more. */
  end(): void;
}

interface Followed {
  readonly topic: string;
  readonly partition: number;
  readonly follower: Follower;
  position: number;
  running: boolean;
  ended: boolean;
}

/** Bytes of one fetch over all of its partitions. */
const fetchBytesMax = 10 * 1024 * 1024;
/** Bytes of records of one fetch after which the rest of it is dropped, and asked for again. */
const unpackedBytesMax = 64 * 1024 * 1024;
const waitingFor = 'following topics';
/** The longest wait between two tries while a broker is away. */
const delayMsMax = 5000;

/**
 * There is one loop, which is always in one of these modes:
 *
 * - **idle**: no partition is running; a `resume` wakes it;
 * - **fetching**: one request for each broker that leads a running partition is under way, and waits there for at
 *   most `fetchMs` if nothing is new; a partition that resumes meanwhile has its turn in the next round;
 * - **waiting**: a broker did not answer; after a while everything is asked for again, for as long as it takes.
 */
export function createPoller(
  client: KafkaClient,
  time: Time,
  logger: Logger,
  outages: Outages,
): Poller {
  const { settings } = client;
  const cluster = client.cluster();
  const closing = new AbortController();
  const access = createAccess(cluster, client, time, closing.signal);
  const followed = new Set<Followed>();
  let wake = Promise.withResolvers<undefined>();
  const running = (): readonly Followed[] => [...followed].filter((one) => one.running);
  const looping = loop();

  async function loop(): Promise<void> {
    let failures = 0;
    while (!closing.signal.aborted) {
      if (running().length === 0) {
        outages.ended(waitingFor);
        await wake.promise;
        wake = Promise.withResolvers();
        continue;
      }
      try {
        await round();
        failures = 0;
        outages.ended(waitingFor);
      } catch (error) {
        failures++;
        await recover(error, failures);
      }
    }
  }

  async function round(): Promise<void> {
    const wanted = running();
    const topics = [...new Set(wanted.map(({ topic }) => topic))];
    const byBroker = await access.run(waitingFor, topics, async () => {
      const leaders = new Map<Broker, Followed[]>();
      for (const one of wanted) {
        const broker = await access.leaderOf(one.topic, one.partition);
        leaders.set(broker, [...(leaders.get(broker) ?? []), one]);
      }
      return leaders;
    });
    const ended = await Promise.allSettled(
      [...byBroker].map(async ([broker, theirs]) => {
        for (const layer of layers(theirs)) await fetchFrom(broker, layer);
      }),
    );
    for (const end of ended) if (end.status === 'rejected') throw end.reason;
  }

  async function fetchFrom(broker: Broker, theirs: readonly Followed[]): Promise<void> {
    const asked = theirs.map((one) => ({ one, from: one.position }));
    const topics = Object.entries(Object.groupBy(asked, ({ one }) => one.topic));
    const { responses } = await broker.fetch({
      maxWaitTime: settings.timeouts.fetchMs,
      minBytes: 1,
      maxBytes: fetchBytesMax,
      isolationLevel: 1,
      topics: topics.map(([topic, partitions = []]) => ({
        topic,
        partitions: partitions.map(({ one, from }) => ({
          partition: one.partition,
          fetchOffset: String(from),
          maxBytes: settings.fetchBytes,
        })),
      })),
    });
    let bytes = 0;
    for (const { topicName, partitions } of responses) {
      for (const partition of partitions) {
        const found = asked.find(
          ({ one }) => one.topic === topicName && one.partition === partition.partition,
        );
        // Unpacked, it may be any size: the others have their turn in the next round, in another order.
        if (!found || bytes >= unpackedBytesMax) continue;
        try {
          const fetched = await readFetched(topicName, partition, found.from);
          bytes += fetched.bytes;
          deliver(found.one, fetched);
        } catch (error) {
          fail(found.one, error);
        }
      }
    }
  }

  function deliver(
    one: Followed,
    { records, next }: { readonly records: readonly LogRecord[]; readonly next: number },
  ): void {
    // Paused meanwhile: it comes again.
    if (!one.running || next <= one.position) return;
    one.position = next;
    try {
      one.follower.records(records, next);
    } catch (error) {
      fail(one, error);
    }
  }

  async function recover(error: unknown, failures: number): Promise<void> {
    if (closing.signal.aborted) return;
    const failure = failureOf(error);
    if (failure === 'out-of-range') {
      await afterRange(error).catch(() => undefined);
      return;
    }
    if (failure === 'denied' || failure === 'missing' || failure === null) {
      const sentence = explained(error, waitingFor, settings.brokers);
      for (const one of running()) fail(one, sentence);
      return;
    }
    outages.began(waitingFor, error);
    logger.debug({ failures, message: oneLine(messageOf(error), 300) }, 'poll.retried');
    forgetBroker(cluster, error);
    await time
      .sleep(Math.min(delayMsMax, 50 * 2 ** Math.min(failures, 10)), closing.signal)
      .catch(() => undefined);
    await cluster.refreshMetadata().catch(() => undefined);
  }

  /** What retention has deleted is a gap; an offset beyond the end means that the topic is another one. */
  async function afterRange(error: unknown): Promise<void> {
    for (const one of running()) {
      const [earliest, latest] = await Promise.all(
        [true, false].map(async (fromBeginning) => {
          const [found] = await cluster.fetchTopicsOffset([
            { topic: one.topic, partitions: [{ partition: one.partition }], fromBeginning },
          ]);
          return Number(found?.partitions[0]?.offset ?? 0);
        }),
      );
      if (one.position < (earliest ?? 0)) {
        logger.warn(
          { topic: one.topic, partition: one.partition, from: one.position, to: earliest },
          'records.gone',
        );
        deliver(one, { records: [], next: earliest ?? 0 });
      } else if (one.position > (latest ?? 0)) {
        fail(
          one,
          new Error(
            `${one.topic} ends at offset ${latest} in partition ${one.partition}, and its group was at ` +
              `${one.position}: it was made anew, or has lost records. Use another pipeline.`,
            { cause: error },
          ),
        );
      }
    }
  }

  function fail(one: Followed, error: unknown): void {
    one.running = false;
    one.ended = true;
    followed.delete(one);
    one.follower.failed(asError(error));
  }

  return {
    follow(topic, partition, from, follower) {
      const one: Followed = {
        topic,
        partition,
        follower,
        position: from,
        running: false,
        ended: false,
      };
      followed.add(one);
      return {
        pause: () => (one.running = false),
        resume: () => {
          if (one.ended) return;
          one.running = true;
          wake.resolve(undefined);
        },
        end: () => {
          one.running = false;
          one.ended = true;
          followed.delete(one);
        },
      };
    },
    async close() {
      for (const one of followed) one.ended = true;
      followed.clear();
      closing.abort(new Error('the log is closed'));
      wake.resolve(undefined);
      await cluster.disconnect();
      await looping;
    },
  };
}

/** A fetch names a partition once: where several groups follow the same one, each has a fetch of its own. */
function layers(followed: readonly Followed[]): readonly (readonly Followed[])[] {
  const found: Map<string, Followed>[] = [];
  for (const one of followed) {
    const place = `${one.topic}/${one.partition}`;
    const layer = found.find((candidate) => !candidate.has(place)) ?? new Map<string, Followed>();
    if (layer.size === 0) found.push(layer);
    layer.set(place, one);
  }
  return found.map((layer) => [...layer.values()]);
}
