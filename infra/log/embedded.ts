import { asError } from '../errors.ts';
import type { Time } from '../time.ts';
import type {
  Committed,
  Log,
  LogRecord,
  NewRecord,
  PartitionEnds,
  ReadLimit,
  Subscriber,
  Subscription,
  Transaction,
  Watcher,
} from './log.ts';

/** Topics of an embedded log: their names as on the log, and whether records are looked up by key. */
export interface LogTopic {
  readonly name: string;
  readonly keyed: boolean;
}

/** What an embedded log keeps its records in. Reading is immediate; what it returns was committed before. */
export interface Store {
  readonly partitions: number;
  read(
    topic: string,
    partition: number,
    from: number,
    limit: ReadLimit,
  ): { readonly records: readonly LogRecord[]; readonly next: number };
  ends(topic: string, partition: number): Omit<PartitionEnds, 'partition'>;
  committed(group: string, topic: string, partition: number): Omit<Committed, 'partition'>;
  offsetAt(topic: string, partition: number, timestamp: number): number;
  /** Oldest first, `limit` at most; in every partition if none is named. */
  ofKey(topic: string, key: string, partition: number | null, limit: number): readonly LogRecord[];
  latest(topic: string, key: string, partition: number | null): LogRecord | null;
  /** Both or neither; resolves with the offsets when durable. */
  write(records: readonly NewRecord[], progress: Progress | null): Promise<readonly number[]>;
  close(): void;
}

/** Where a group has got to in one partition. */
export interface Progress extends Omit<Transaction, 'outputs'> {
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
}

/** How much a subscriber is handed at once. */
export interface PageLimits {
  /** Default 500. */
  readonly pageRecords?: number;
  /** Default 4 MiB. */
  readonly pageBytes?: number;
}

/** Records of one key that are returned where the caller sets no limit. */
const ofKeyMax = 100;
/** Commit metadata is held to what Kafka accepts, so that a flow which runs here runs there. */
const metadataBytesMax = 4096;

/**
 * A log for one process on top of a store: it does what the two embedded adapters have in common.
 *
 * A partition of a subscription is either paused, or at its end (waiting for `written`), or delivering: one page,
 * then a turn of the event loop for everyone else, then the next page.
 */
export function createEmbeddedLog(
  store: Store,
  time: Time,
  { pageRecords = 500, pageBytes = 4 * 1024 * 1024 }: PageLimits = {},
): { readonly log: Log; readonly written: (topics: Iterable<string>) => void } {
  const watchers = new Map<string, Set<() => void>>();
  const open = new Set<Subscription>();
  /** Names of the groups and topics that are open or about to be. */
  const joining = new Set<string>();
  const all = Array.from({ length: store.partitions }, (_, partition) => partition);
  const limit = { records: pageRecords, bytes: pageBytes };

  function written(topics: Iterable<string>): void {
    for (const topic of topics) {
      for (const onAppend of watchers.get(topic) ?? []) onAppend();
    }
  }

  function watch(topic: string, watcher: Pick<Watcher, 'appended'>): () => void {
    const set = watchers.get(topic) ?? new Set();
    watchers.set(topic, set);
    // The same one may watch twice, and each time has its own way out.
    let called = false;
    const soon = () => {
      if (called) return;
      called = true;
      queueMicrotask(() => {
        called = false;
        if (set.has(soon)) watcher.appended();
      });
    };
    set.add(soon);
    return () => set.delete(soon);
  }

  async function subscribe(
    group: string,
    topic: string,
    subscriber: Subscriber,
  ): Promise<Subscription> {
    const name = `${group} on ${topic}`;
    if (joining.has(name)) throw new Error(`${name} is already subscribed in this process`);
    joining.add(name);
    try {
      // A group that has joined is on record, so that nothing it has not seen is deleted.
      await Promise.all(
        all.map((partition) => {
          const { position, metadata } = store.committed(group, topic, partition);
          return store.write([], { group, topic, partition, position, metadata });
        }),
      );
    } catch (error) {
      joining.delete(name);
      throw error;
    }
    const positions = all.map((partition) => store.committed(group, topic, partition).position);
    const running = all.map(() => false);
    const busy = all.map(() => false);
    let state: 'open' | 'closing' | 'closed' = 'open';
    let closing: Promise<void> | null = null;

    /** Delivers one page; true if there is more. */
    function deliver(partition: number): boolean {
      const from = positions[partition] ?? 0;
      const { records, next } = store.read(topic, partition, from, limit);
      if (next <= from) return false;
      positions[partition] = next;
      subscriber.records(partition, records, next);
      return true;
    }

    async function pump(partition: number): Promise<void> {
      if (busy[partition]) return;
      busy[partition] = true;
      try {
        while (running[partition] && state === 'open' && deliver(partition)) await time.sleep(0);
      } catch (error) {
        running.fill(false);
        subscriber.failed(asError(error));
      } finally {
        busy[partition] = false;
      }
    }

    const unwatch = watch(topic, {
      appended: () => {
        for (const partition of all) void pump(partition);
      },
    });

    async function leave(): Promise<void> {
      state = 'closing';
      running.fill(false);
      unwatch();
      const ended = await Promise.allSettled(all.map((partition) => subscriber.revoked(partition)));
      state = 'closed';
      open.delete(subscription);
      joining.delete(name);
      for (const end of ended) if (end.status === 'rejected') throw end.reason;
    }

    const subscription: Subscription = {
      pause: (partition) => (running[partition] = false),
      resume: (partition) => {
        if (state !== 'open') return;
        running[partition] = true;
        // Not within the caller's turn: it may still be setting itself up.
        queueMicrotask(() => void pump(partition));
      },
      commit: async (partition, { outputs, position, metadata }) => {
        if (state === 'closed') throw new Error(`${name} was left; its work is someone else's now`);
        if (Buffer.byteLength(metadata) > metadataBytesMax) {
          throw new Error(
            `commit metadata of ${Buffer.byteLength(metadata)} bytes; the most is 4,096`,
          );
        }
        await store.write(outputs, { group, topic, partition, position, metadata });
      },
      close: () => (closing ??= leave()),
    };
    open.add(subscription);
    for (const partition of all) {
      subscriber.assigned(partition, { partition, ...store.committed(group, topic, partition) });
    }
    return subscription;
  }

  // Async throughout, so that a store's error is a rejection, as it is from a log far away.
  const later = async <Result>(work: () => Result): Promise<Result> => {
    await Promise.resolve();
    return work();
  };

  const log: Log = {
    partitions: store.partitions,
    append: (records) => store.write(records, null),
    subscribe,
    read: (topic, partition, from, readLimit) =>
      later(() => store.read(topic, partition, from, readLimit).records),
    ends: (topic) =>
      later(() => all.map((partition) => ({ partition, ...store.ends(topic, partition) }))),
    committed: (group, topic) =>
      later(() =>
        all.map((partition) => ({ partition, ...store.committed(group, topic, partition) })),
      ),
    members: () => Promise.resolve([]),
    offsetAt: (topic, partition, timestamp) =>
      later(() => store.offsetAt(topic, partition, timestamp)),
    latest: (topic, key, partition) => later(() => store.latest(topic, key, partition ?? null)),
    ofKey: (topic, key, options = {}) =>
      later(() => store.ofKey(topic, key, options.partition ?? null, options.limit ?? ofKeyMax)),
    watch,
    away: () => null,
    async close() {
      const ended = await Promise.allSettled([...open].map((subscription) => subscription.close()));
      watchers.clear();
      store.close();
      for (const end of ended) if (end.status === 'rejected') throw end.reason;
    },
  };
  return { log, written };
}
