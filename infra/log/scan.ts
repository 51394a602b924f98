import type { Log, LogRecord, PartitionEnds } from './log.ts';

/**
 * Every record of a topic, partition after partition, in order within each. It ends at what was the end when it
 * began, so a topic that is being written does not keep it going.
 *
 * `from` and `to` are milliseconds since 1970: records appended at `from` or later, and before `to`.
 */
export async function* scan(
  log: Log,
  topic: string,
  {
    from = null,
    to = null,
    ends,
    pageRecords = 1000,
    pageBytes = 16 * 1024 * 1024,
  }: ScanOptions = {},
): AsyncGenerator<LogRecord> {
  for (const { partition, earliest, latest } of ends ?? (await log.ends(topic))) {
    const first = from === null ? earliest : await log.offsetAt(topic, partition, from);
    const last = to === null ? latest : Math.min(latest, await log.offsetAt(topic, partition, to));
    for (let next = first; next < last;) {
      const limit = { records: pageRecords, bytes: pageBytes };
      const page = await log.read(topic, partition, next, limit);
      const end = page.at(-1);
      if (!end) break;
      for (const record of page) {
        if (record.offset < last) yield record;
      }
      next = end.offset + 1;
    }
  }
}

export interface ScanOptions {
  readonly from?: number | null;
  readonly to?: number | null;
  /** What there is to read, as it was at some moment; as it is now unless given. */
  readonly ends?: readonly PartitionEnds[];
  /** Records that are held at once. */
  readonly pageRecords?: number;
  /** Bytes that are held at once. */
  readonly pageBytes?: number;
}

/** Records that are read at once on the way back. */
const backRecords = 32;
const backBytes = 16 * 1024 * 1024;

/** Every record of a topic, the newest first, over all partitions. */
export async function* newestFirst(log: Log, topic: string): AsyncGenerator<LogRecord> {
  const readers = (await log.ends(topic)).map((ends) => backwards(log, topic, ends));
  const heads = await Promise.all(readers.map((reader) => reader.next()));
  for (;;) {
    let newest: { readonly index: number; readonly record: LogRecord } | null = null;
    for (const [index, head] of heads.entries()) {
      if (head.done) continue;
      if (!newest || head.value.timestamp > newest.record.timestamp) {
        newest = { index, record: head.value };
      }
    }
    if (!newest) return;
    yield newest.record;
    const reader = readers[newest.index];
    if (reader) heads[newest.index] = await reader.next();
  }
}

/** Every record of a partition, the newest first. */
export async function* backwards(
  log: Log,
  topic: string,
  { partition, earliest, latest }: PartitionEnds,
): AsyncGenerator<LogRecord, undefined> {
  for (let end = latest; end > earliest;) {
    const start = Math.max(earliest, end - backRecords);
    const page: LogRecord[] = [];
    for (let next = start; next < end;) {
      const limit = { records: end - next, bytes: backBytes };
      const read = await log.read(topic, partition, next, limit);
      const last = read.at(-1);
      if (!last) break;
      page.push(...read.filter(({ offset }) => offset < end));
      next = last.offset + 1;
    }
    yield* page.reverse();
    end = start;
  }
  return undefined;
}
