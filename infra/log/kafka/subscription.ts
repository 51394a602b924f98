import { asError } from '../../errors.ts';
import type { Logger } from '../../logger.ts';
import { unlessAborted } from '../../signals.ts';
import { messageOf, oneLine } from '../../text.ts';
import type { Time } from '../../time.ts';
import {
  PartitionLost,
  type Committed,
  type NewRecord,
  type Subscriber,
  type Subscription,
} from '../log.ts';
import type { KafkaClient } from './client.ts';
import { joinGroup } from './membership.ts';
import type { Outages } from './outages.ts';
import { takeOwnership, type Owner } from './owner.ts';
import type { Following, Poller } from './poller.ts';
import type { Stamps } from './send.ts';

/** A partition of a group. */
export interface Place {
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
}

/**
 * Asks whoever can be asked for a partition that is ours now; resolves with true if they had it and have given it up,
 * so that nobody needs to be given time for that.
 */
export type Handover = (place: Place, signal: AbortSignal) => Promise<boolean>;

/** A subscription whose partitions can be asked for. */
export interface KafkaSubscription extends Subscription {
  /** Gives a partition up for another member, finished work first; false if it is not held here. */
  release(partition: number): Promise<boolean>;
}

export interface SubscriptionOptions {
  readonly client: KafkaClient;
  readonly poller: Poller;
  readonly group: string;
  readonly topic: string;
  readonly subscriber: Subscriber;
  readonly time: Time;
  readonly stamps: Stamps;
  readonly logger: Logger;
  readonly outages: Outages;
  /** @throws Error if a record names a topic or partition that is not there */
  readonly checked: (records: readonly NewRecord[]) => void;
  readonly committed: (partition: number) => Promise<Committed>;
  readonly handover: Handover;
  /** Takes a member of the group out of it that will not come back. */
  readonly expel: (memberId: string) => Promise<void>;
  readonly closed: () => void;
  /** Aborted when the log is closed: whoever is still joining then gives up. */
  readonly signal: AbortSignal;
}

/** Commit metadata that a broker takes, bytes. */
const metadataBytesMax = 4096;

/** One partition from its assignment until it is taken away: what comes late falls on an epoch that nobody asks. */
interface Epoch {
  readonly partition: number;
  /** Aborted when the group has given the partition to somebody else. */
  readonly over: AbortController;
  owner: Owner | null;
  following: Following | null;
  running: boolean;
  /** Resolves when it has been given up; null until that begins. */
  losing: Promise<void> | null;
}

/**
 * A member of a group, with an epoch for each of its partitions. An assignment is carried out one partition at a
 * time each: **gaining** takes the right to publish, asks where the group stands and begins to follow; **losing**
 * lets the subscriber commit what it has finished, and gives the right up. A rebalance that leaves a partition where
 * it is does not touch its epoch.
 */
export async function subscribe(options: SubscriptionOptions): Promise<KafkaSubscription> {
  const { client, poller, group, topic, subscriber, time, logger } = options;
  const epochs = new Map<number, Epoch>();
  const closing = new AbortController();
  const underWay = new Set<Promise<void>>();
  /** What the group gave us last, and of that what nobody has asked us for since. */
  let assigned = new Set<number>();
  let desired = new Set<number>();
  /** The first assignment has been carried out. */
  const first = Promise.withResolvers<undefined>();
  // Where joining fails, nobody comes to wait for it.
  first.promise.catch(() => undefined);
  let closed: Promise<void> | null = null;

  const fail = (error: unknown): void => {
    const failure = asError(error);
    first.reject(failure);
    if (!closing.signal.aborted) subscriber.failed(failure);
  };

  /** What goes on beside everything else, and is waited for when all ends. */
  function background(work: Promise<void>): void {
    const watched = work.catch(fail).finally(() => underWay.delete(watched));
    underWay.add(watched);
  }

  const membership = await joinGroup({
    client,
    group,
    topic,
    time,
    logger,
    outages: options.outages,
    held: () => [...epochs.keys()],
    failed: fail,
    assigned(partitions, { anew, alone }) {
      // The group does not know yet that we are leaving.
      if (closing.signal.aborted) return;
      assigned = new Set(partitions);
      desired = new Set(partitions);
      const gone = [...epochs.values()].filter(({ partition }) => anew || !desired.has(partition));
      const gained = partitions.filter((partition) => !epochs.has(partition));
      const work = Promise.all([
        ...gone.map((epoch) => lose(epoch)),
        ...gained.map((partition) => gain(partition, alone)),
      ]);
      background(work.then(() => first.resolve(undefined)));
    },
    lapsed,
    expel: options.expel,
    signal: options.signal,
  });

  /** Whoever has them by now is not disturbed; whatever is still ours begins anew, once the group has said so. */
  function lapsed(): void {
    for (const epoch of epochs.values()) {
      desired.delete(epoch.partition);
      background(lose(epoch).then(() => reconsider(epoch.partition)));
    }
  }

  async function gain(partition: number, alone: boolean): Promise<void> {
    const epoch: Epoch = {
      partition,
      over: new AbortController(),
      owner: null,
      following: null,
      running: false,
      losing: null,
    };
    epochs.set(partition, epoch);
    const signal = epoch.over.signal;
    try {
      // Whoever had it until now is about to commit what it has finished; taking over at once would undo that. One that
      // has left the group is no member any more, and may still have calls under way: it is asked, too.
      const handed = await options.handover({ group, topic, partition }, signal);
      if (!alone && !handed) await time.sleep(client.settings.timeouts.handoverMs, signal);
      epoch.owner = await takeOwnership({
        client,
        group,
        topic,
        partition,
        time,
        stamps: options.stamps,
        logger,
        outages: options.outages,
        committed: () => options.committed(partition),
        confirmed: (over) => membership.confirmed(over),
        signal,
      });
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    if (signal.aborted) {
      await epoch.owner.close();
      return;
    }
    const { committed } = epoch.owner;
    epoch.following = poller.follow(topic, partition, committed.position, {
      records: (records, next) => subscriber.records(partition, records, next),
      failed: fail,
    });
    subscriber.assigned(partition, committed);
    if (epoch.running) epoch.following.resume();
  }

  /** Once for each epoch, whoever wants it; it is over for all of them when it is over. */
  function lose(epoch: Epoch): Promise<void> {
    return (epoch.losing ??= giveUp(epoch));
  }

  async function giveUp(epoch: Epoch): Promise<void> {
    const { partition, over } = epoch;
    // From now on a commit has one try: whoever fences us off while we finish is right to do so.
    over.abort(new Error(`${group} gave ${topic}/${partition} to another member`));
    epoch.following?.end();
    // What was not assigned yet is being taken, and gives itself up.
    if (epoch.following) await subscriber.revoked(partition);
    epochs.delete(partition);
    await epoch.owner?.close();
    // The group may have thought better of it meanwhile.
    if (desired.has(partition) && !epochs.has(partition)) await gain(partition, false);
  }

  async function release(partition: number): Promise<boolean> {
    const epoch = epochs.get(partition);
    if (!epoch?.following || closing.signal.aborted) return false;
    desired.delete(partition);
    await lose(epoch);
    background(reconsider(partition));
    return true;
  }

  /** Whoever asked for it may have been wrong, as after a long stop: what the group says counts. */
  async function reconsider(partition: number): Promise<void> {
    await membership.confirmed(closing.signal).catch(() => undefined);
    if (closing.signal.aborted || !assigned.has(partition) || epochs.has(partition)) return;
    desired.add(partition);
    await gain(partition, false);
  }

  async function leave(): Promise<void> {
    closing.abort(new Error(`${group} is left`));
    assigned = new Set();
    desired = new Set();
    const ended = await Promise.allSettled([...epochs.values()].map((epoch) => lose(epoch)));
    await membership.leave();
    await Promise.all(underWay);
    options.closed();
    for (const end of ended) if (end.status === 'rejected') throw end.reason;
  }

  try {
    await unlessAborted(first.promise, options.signal);
  } catch (error) {
    await leave();
    throw error;
  }
  return {
    pause: (partition) => {
      const epoch = epochs.get(partition);
      if (!epoch) return;
      epoch.running = false;
      epoch.following?.pause();
    },
    resume: (partition) => {
      const epoch = epochs.get(partition);
      if (!epoch || closing.signal.aborted) return;
      epoch.running = true;
      epoch.following?.resume();
    },
    async commit(partition, transaction) {
      options.checked(transaction.outputs);
      const bytes = Buffer.byteLength(transaction.metadata);
      if (bytes > metadataBytesMax) {
        throw new Error(`commit metadata of ${bytes} bytes; the most is 4,096`);
      }
      const epoch = epochs.get(partition);
      if (!epoch?.owner) {
        throw new PartitionLost(`${group} does not have ${topic}/${partition} any more`);
      }
      try {
        await epoch.owner.commit(transaction);
      } catch (error) {
        // Somebody else was the owner in between, although the partition is ours: another epoch begins.
        if (error instanceof PartitionLost && epochs.get(partition) === epoch) {
          logger.info(
            { group, topic, partition, message: oneLine(messageOf(error)) },
            'partition.lost',
          );
          background(lose(epoch));
        }
        throw error;
      }
    },
    release,
    close: () => (closed ??= leave()),
  };
}
