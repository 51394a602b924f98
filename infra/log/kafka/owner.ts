import type { Producer, Transaction as Sender } from 'kafkajs';
import type { Logger } from '../../logger.ts';
import { messageOf, oneLine } from '../../text.ts';
import type { Time } from '../../time.ts';
import {
  PartitionLost,
  TooLarge,
  type Committed,
  type NewRecord,
  type Transaction,
} from '../log.ts';
import type { KafkaClient } from './client.ts';
import { explained, failureOf } from './failures.ts';
import type { Outages } from './outages.ts';
import { sendBatches, type Stamps } from './send.ts';

/**
 * The right to publish for one partition of a group, from one assignment to the next. Taking it fences off whoever
 * had it before, since both have the same transactional id, and only then asks where the group stands.
 */
export interface Owner {
  /** Where the group stood when the right was taken. */
  readonly committed: Committed;
  /** @throws PartitionLost if another member has taken the right, with nothing published. */
  commit(transaction: Transaction): Promise<void>;
  close(): Promise<void>;
}

export interface OwnerOptions {
  readonly client: KafkaClient;
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
  readonly time: Time;
  readonly stamps: Stamps;
  readonly logger: Logger;
  readonly outages: Outages;
  /** Where the group stands; asked for only when nobody else can move it any more. */
  readonly committed: () => Promise<Committed>;
  /** Resolves when the group has confirmed that we are a member. */
  readonly confirmed: (signal: AbortSignal) => Promise<void>;
  /** Aborted when the partition is no longer ours. */
  readonly signal: AbortSignal;
}

const delayMsMax = 5000;
/** While the transaction before is being closed, one that only moves the position is refused; how often it is tried. */
const offsetsTriesMax = 200;

/** @throws the signal's reason if the partition is taken away meanwhile. */
export async function takeOwnership(options: OwnerOptions): Promise<Owner> {
  const { client, group, topic, partition, time, logger, outages, signal } = options;
  const place = `${group} on ${topic}/${partition}`;
  const waiting = `publishing for ${place}`;
  let producer: Producer | null = null;
  let stands: Committed;

  /** A producer that fences off all before it, and where the group stands now that nobody else can move it. */
  async function initialise(): Promise<Committed> {
    for (let tries = 1; ; tries++) {
      signal.throwIfAborted();
      const made = client.producer(`${group}-${topic}-${partition}`);
      try {
        await made.connect();
        // The last moment: from here on whoever has the right loses it.
        signal.throwIfAborted();
        // kafkajs asks for the producer's id with its first transaction; an empty one costs nothing else.
        const empty = await made.transaction();
        await empty.abort();
        const found = await options.committed();
        signal.throwIfAborted();
        producer = made;
        return found;
      } catch (error) {
        await made.disconnect().catch(() => undefined);
        signal.throwIfAborted();
        const failure = failureOf(error);
        if (failure === null || failure === 'denied' || failure === 'missing') {
          throw explained(error, `taking ${place}`, client.settings.brokers);
        }
        outages.began(waiting, error);
        logger.debug({ place, tries, message: oneLine(messageOf(error), 300) }, 'owner.retried');
        await time.sleep(Math.min(delayMsMax, 50 * 2 ** Math.min(tries, 8)), signal);
      }
    }
  }

  async function publish(
    { outputs, position, metadata }: Transaction,
    oneByOne: boolean,
  ): Promise<void> {
    if (!producer) throw new Error(`${place} has no producer`);
    const transaction = await producer.transaction();
    if (oneByOne) await sendOneByOne(transaction, outputs);
    else await sendBatches(transaction, outputs, client, options.stamps);
    // kafkajs hands the metadata on to the broker; its types do not know.
    const offsets = { partition, offset: String(position), metadata } as {
      partition: number;
      offset: string;
    };
    for (let tries = 1; ; tries++) {
      try {
        await transaction.sendOffsets({
          consumerGroupId: group,
          topics: [{ topic, partitions: [offsets] }],
        });
        break;
      } catch (error) {
        if (!isConcurrent(error) || tries >= offsetsTriesMax) throw error;
        await time.sleep(5);
      }
    }
    await transaction.commit();
  }

  /** Brokers measure batches, and do not say which record was too large. */
  async function sendOneByOne(transaction: Sender, outputs: readonly NewRecord[]): Promise<void> {
    const refused: NewRecord[] = [];
    let cause: unknown = null;
    for (const record of outputs) {
      try {
        await sendBatches(transaction, [record], client, options.stamps);
      } catch (error) {
        if (failureOf(error) !== 'too-large') throw error;
        refused.push(record);
        cause = error;
      }
    }
    if (refused.length === 0) return;
    const why = explained(cause, `publishing for ${place}`, client.settings.brokers);
    throw new TooLarge(messageOf(why), refused, { cause });
  }

  try {
    stands = await initialise();
  } finally {
    outages.ended(waiting);
  }
  const initial = stands;
  let last: Promise<unknown> = Promise.resolve();
  return {
    committed: initial,

    /** One after the other: a producer has one transaction at a time. */
    commit(transaction) {
      const committing = last.then(() => commit(transaction)).finally(() => outages.ended(waiting));
      last = committing.catch(() => undefined);
      return committing;
    },

    async close() {
      await last;
      const closing = producer;
      producer = null;
      await closing?.disconnect().catch((error: unknown) => {
        logger.debug({ place, message: oneLine(messageOf(error), 300) }, 'owner.closed');
      });
    },
  };

  /**
   * Nobody knows what became of a commit that failed: the producer is thrown away and another one made, which
   * settles it, and then the log tells. What stands there is what we wanted, or what stood there before; anything
   * else was written by another owner.
   *
   * What the brokers find too large was not published, but kafkajs no longer knows what it has sent of the rest. So the
   * producer goes then, too, and all is sent again record by record: then each batch is as small as it can be.
   */
  async function commit(transaction: Transaction): Promise<void> {
    const { position, metadata } = transaction;
    let oneByOne = false;
    for (let tries = 1; ; tries++) {
      try {
        await publish(transaction, oneByOne);
        stands = { partition, known: true, position, metadata };
        return;
      } catch (error) {
        const failure = failureOf(error);
        if (failure === null || ['denied', 'missing'].includes(failure)) {
          throw explained(error, `publishing for ${place}`, client.settings.brokers);
        }
        logger.info(
          { place, tries, failure, message: oneLine(messageOf(error), 300) },
          'commit.retried',
        );
        if (failure !== 'too-large') outages.began(waiting, error);
        const abandoned = producer;
        producer = null;
        await abandoned?.disconnect().catch(() => undefined);
        const found = await settle(error);
        const isRefused = failure === 'too-large';
        if (!isRefused && same(found, { position, metadata })) {
          stands = found;
          return;
        }
        if (!same(found, stands)) throw lost(place, error);
        if (error instanceof TooLarge) throw error;
        if (isRefused && !oneByOne) {
          oneByOne = true;
          continue;
        }
        await time.sleep(Math.min(delayMsMax, 20 * 2 ** Math.min(tries, 8)));
      }
    }
  }

  /** Only a member may fence: one that was stopped for long would take the partition from its rightful owner. */
  async function settle(cause: unknown): Promise<Committed> {
    try {
      await options.confirmed(signal);
      return await initialise();
    } catch (error) {
      if (signal.aborted) throw lost(place, cause);
      throw error;
    }
  }
}

const lost = (place: string, cause: unknown): PartitionLost =>
  new PartitionLost(`${place} was taken over by another member`, { cause });

type Stand = Pick<Committed, 'position' | 'metadata'>;

const same = (one: Stand, other: Stand): boolean =>
  one.position === other.position && one.metadata === other.metadata;

function isConcurrent(error: unknown): boolean {
  return (error as { readonly type?: unknown } | null)?.type === 'CONCURRENT_TRANSACTIONS';
}
