import { randomUUID } from 'node:crypto';
import type { Producer } from 'kafkajs';
import type { Logger } from '../../logger.ts';
import { messageOf, oneLine } from '../../text.ts';
import type { Time } from '../../time.ts';
import type { NewRecord } from '../log.ts';
import type { KafkaClient } from './client.ts';
import { explained } from './failures.ts';
import { sendBatches, type Stamps } from './send.ts';

/** Appends of those who belong to no group. */
export interface Appender {
  /** All or none, in the order of the calls; resolves with the offsets. */
  append(records: readonly NewRecord[]): Promise<readonly number[]>;
  close(): Promise<void>;
}

interface Waiting {
  readonly records: readonly NewRecord[];
  readonly resolve: (offsets: readonly number[]) => void;
  readonly reject: (error: unknown) => void;
}

/** How long an append waits for others to share its request. */
const lingerMs = 5;
/** Records of one round. */
const recordsMax = 5000;
/** Bytes of one round, unless a single append has more. */
const bytesMax = 8 * 1024 * 1024;

/**
 * Two producers, each made when it is first needed: a plain one, whose requests go in order and once, and one for
 * appends over several partitions, which are all there or not at all only within a transaction.
 */
export function createAppender(
  client: KafkaClient,
  pipeline: string,
  time: Time,
  stamps: Stamps,
  logger: Logger,
): Appender {
  const waiting: Waiting[] = [];
  let flushing: Promise<void> | null = null;
  let plain: Promise<Producer> | null = null;
  let transactional: Promise<Producer> | null = null;
  const connect = async (id: string | null): Promise<Producer> => {
    const producer = client.producer(id);
    await producer.connect();
    return producer;
  };

  async function flush(): Promise<void> {
    await time.sleep(lingerMs);
    while (waiting.length > 0) {
      const round = nextRound();
      try {
        await send(round);
      } catch (error) {
        const sentence = explained(error, 'appending records', client.settings.brokers);
        for (const { reject } of round) reject(sentence);
      }
    }
    flushing = null;
  }

  /** Appends to one partition each share a request; one over several is a round of its own. */
  function nextRound(): readonly Waiting[] {
    const [first] = waiting;
    if (!first) return [];
    let taken = 1;
    if (isSimple(first)) {
      let records = first.records.length;
      let bytes = sizeOf(first);
      while (taken < waiting.length) {
        const next = waiting[taken];
        if (!next || !isSimple(next)) break;
        records += next.records.length;
        bytes += sizeOf(next);
        if (records > recordsMax || bytes > bytesMax) break;
        taken++;
      }
    }
    return waiting.splice(0, taken);
  }

  async function send(round: readonly Waiting[]): Promise<void> {
    const records = round.flatMap((one) => one.records);
    const [first] = round;
    const offsets =
      first && !isSimple(first) ? await sendTogether(records) : await sendPlain(records);
    let from = 0;
    for (const { records: theirs, resolve } of round) {
      resolve(offsets.slice(from, from + theirs.length));
      from += theirs.length;
    }
  }

  async function sendPlain(records: readonly NewRecord[]): Promise<readonly number[]> {
    plain ??= connect(null);
    try {
      return await sendBatches(await plain, records, client, stamps);
    } catch (error) {
      // Whether what failed is there is not known, and a sequence with a hole in it goes on nowhere.
      await discard(plain);
      plain = null;
      throw error;
    }
  }

  async function sendTogether(records: readonly NewRecord[]): Promise<readonly number[]> {
    transactional ??= connect(`${pipeline}.append.${randomUUID()}`);
    try {
      const transaction = await (await transactional).transaction();
      const offsets = await sendBatches(transaction, records, client, stamps);
      await transaction.commit();
      return offsets;
    } catch (error) {
      // The broker undoes what stays open.
      await discard(transactional);
      transactional = null;
      throw error;
    }
  }

  async function discard(producer: Promise<Producer> | null): Promise<void> {
    try {
      await (await producer)?.disconnect();
    } catch (error) {
      logger.debug({ message: oneLine(messageOf(error), 300) }, 'producer.discarded');
    }
  }

  return {
    append(records) {
      if (records.length === 0) return Promise.resolve([]);
      const { promise, resolve, reject } = Promise.withResolvers<readonly number[]>();
      // The caller may use its buffers again.
      const kept = records.map((record) => ({ ...record, value: new Uint8Array(record.value) }));
      waiting.push({ records: kept, resolve, reject });
      flushing ??= flush();
      return promise;
    },
    async close() {
      await flushing;
      await discard(plain);
      await discard(transactional);
    },
  };
}

const isSimple = ({ records }: Waiting): boolean => {
  const [first] = records;
  return records.every(
    ({ topic, partition }) => topic === first?.topic && partition === first.partition,
  );
};

const sizeOf = ({ records }: Waiting): number =>
  records.reduce((sum, { value }) => sum + value.length, 0);
