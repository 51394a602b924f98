import { oneLine } from '../../text.ts';
import type { LogRecord } from '../log.ts';
import { batchesIn, recordsIn, type Batch, type BatchRecord } from './batches.ts';
import type { FetchedPartition } from './fetch.ts';

/** What one fetch brought of one partition. */
export interface Fetched {
  /** Committed records from the offset on that was asked for, in order. */
  readonly records: readonly LogRecord[];
  /** The first offset that was not looked at: markers and aborted records before it are gaps. */
  readonly next: number;
  /** Of the records. */
  readonly bytes: number;
  /** Behind the last record whose transaction is decided. */
  readonly stable: number;
  /** Behind the last record. */
  readonly end: number;
}

/** Where reading stops; the next fetch begins there, be it in the middle of a batch. */
export interface FetchedLimit {
  readonly records: number;
  readonly bytes: number;
}

/** A small batch may unfold to millions of records, and to all the memory there is: they come in parts. */
const usualLimit: FetchedLimit = { records: 50_000, bytes: 32 * 1024 * 1024 };

/**
 * Records of a partition as readers of committed ones see them; `from` is the offset that was asked for. What a
 * producer wrote and nobody can read is one record: at the last of its offsets, so that all others are gaps before it.
 */
export async function readFetched(
  topic: string,
  partition: FetchedPartition,
  from: number,
  limit: FetchedLimit = usualLimit,
): Promise<Fetched> {
  const records: LogRecord[] = [];
  const isAborted = abortedFilter(partition);
  let [next, bytes] = [from, 0];
  const fetched = (): Fetched => ({
    ...{ records, next, bytes },
    stable: Number(partition.lastStableOffset),
    end: Number(partition.highWatermark),
  });
  for (const batch of batchesIn(partition.records)) {
    if (batch.lastOffset < from) continue;
    const isGap = await isAborted(batch);
    for (const record of isGap ? [] : await recordsIn(batch, from)) {
      records.push(recordOf(topic, partition.partition, record));
      next = record.offset + 1;
      bytes += sizeOf(record);
      if (records.length >= limit.records || bytes >= limit.bytes) return fetched();
    }
    next = Math.max(next, batch.lastOffset + 1);
  }
  return fetched();
}

/** The key of a marker is its version and its type, 16 bits each; type 0 ends a transaction that is undone. */
const abortType = 0;

/**
 * Whether a batch is a marker, or belongs to a transaction that was undone. The broker says with which offset each of
 * these begins; it ends with its producer's next marker. Batches must come in order.
 */
function abortedFilter({
  abortedTransactions,
}: FetchedPartition): (batch: Batch) => Promise<boolean> {
  const waiting = [...abortedTransactions].sort(
    (one, other) => one.firstOffset - other.firstOffset,
  );
  const open = new Set<string>();
  return async (batch) => {
    for (let [next] = waiting; next && next.firstOffset <= batch.lastOffset; [next] = waiting) {
      open.add(next.producerId);
      waiting.shift();
    }
    if (!batch.isControl) return batch.inTransaction && open.has(batch.producerId);
    for (const { key } of await recordsIn(batch, 0)) {
      if (key?.readInt16BE(2) === abortType) open.delete(batch.producerId);
    }
    return true;
  };
}

function recordOf(topic: string, partition: number, record: BatchRecord): LogRecord {
  const { offset, timestamp, key, value, headers, fault } = record;
  return {
    ...{ topic, partition, offset, timestamp, headers },
    key: key === null ? null : key.toString(),
    // A copy: a slice would keep the whole of the fetched buffer in memory for as long as the record waits.
    value: new Uint8Array(value ?? []),
    ...(fault && { unreadable: unreadable(topic, partition, offset, fault) }),
  };
}

const sizeOf = ({ key, value }: BatchRecord): number => (key?.length ?? 0) + (value?.length ?? 0);

function unreadable(
  topic: string,
  partition: number,
  offset: number,
  { from, reason }: NonNullable<BatchRecord['fault']>,
): string {
  const which =
    from === offset ? `what is at offset ${from}` : `what is at offsets ${from} to ${offset}`;
  return `${which} of partition ${partition} of ${topic} cannot be read: ${oneLine(reason, 300)}`;
}
