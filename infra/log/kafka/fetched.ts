import type { LogRecord } from '../log.ts';
import type { FetchedMessage, FetchedPartition } from './client.ts';

/** What one fetch brought of one partition. */
export interface Fetched {
  /** Committed records from the offset on that was asked for, in order. */
  readonly records: readonly LogRecord[];
  /** The first offset that was not looked at: markers and aborted records before it are gaps. */
  readonly next: number;
  /** Behind the last record whose transaction is decided. */
  readonly stable: number;
  /** Behind the last record. */
  readonly end: number;
}

/** Records of a partition as readers of committed ones see them; `from` is the offset that was asked for. */
export function readFetched(topic: string, partition: FetchedPartition, from: number): Fetched {
  const records: LogRecord[] = [];
  const isAborted = abortedFilter(partition);
  for (const message of partition.messages) {
    const aborted = isAborted(message);
    if (message.isControlRecord || aborted || Number(message.offset) < from) continue;
    records.push(recordOf(topic, partition.partition, message));
  }
  return {
    records,
    next: Math.max(from, endOf(partition.messages.at(-1))),
    stable: Number(partition.lastStableOffset),
    end: Number(partition.highWatermark),
  };
}

/** A batch may end in records that compaction took away. */
const endOf = (last: FetchedMessage | undefined): number =>
  last ? Number(last.batchContext.firstOffset) + last.batchContext.lastOffsetDelta + 1 : 0;

/** The key of a marker is its version and its type, 16 bits each; type 0 ends a transaction that is undone. */
const abortType = 0;

/**
 * Whether a message belongs to a transaction that was undone. The broker says with which offset each of these
 * begins; it ends with its producer's next marker. Messages must come in order.
 */
function abortedFilter({
  abortedTransactions,
}: FetchedPartition): (message: FetchedMessage) => boolean {
  const waiting = [...(abortedTransactions ?? [])].sort(
    (one, other) => Number(one.firstOffset) - Number(other.firstOffset),
  );
  const open = new Set<string>();
  return ({ offset, key, isControlRecord, batchContext: { producerId, inTransaction } }) => {
    for (
      let [next] = waiting;
      next && Number(next.firstOffset) <= Number(offset);
      [next] = waiting
    ) {
      open.add(next.producerId);
      waiting.shift();
    }
    if (isControlRecord) {
      if (key?.readInt16BE(2) === abortType) open.delete(producerId);
      return true;
    }
    return inTransaction && open.has(producerId);
  };
}

function recordOf(topic: string, partition: number, message: FetchedMessage): LogRecord {
  const { key, value } = message;
  return {
    topic,
    partition,
    offset: Number(message.offset),
    timestamp: Number(message.timestamp),
    key: key === null ? null : key.toString(),
    headers: Object.fromEntries(
      Object.entries(message.headers).map(([name, held]) => [name, headerText(held)]),
    ),
    // A copy: a slice would keep the whole of the fetched buffer in memory for as long as the record waits.
    value: new Uint8Array(value ?? []),
  };
}

/** A header may come several times; the last one counts. */
function headerText(held: Buffer | readonly Buffer[] | undefined): string {
  const last = Array.isArray(held) ? (held as readonly Buffer[]).at(-1) : held;
  return last === undefined ? '' : Buffer.from(last as Buffer).toString();
}
