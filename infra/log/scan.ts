import type { Log, LogRecord } from './log.ts';

/**
 * Every record of a topic, partition after partition, in order within each. It ends at what was the end when it
 * began, so a topic that is being written does not keep it going.
 *
 * `from` and `to` are milliseconds since 1970: records appended at `from` or later, and before `to`.
 */
export async function* scan(
  log: Log,
  topic: string,
  { from = null, to = null, pageRecords = 1000, pageBytes = 16 * 1024 * 1024 }: ScanOptions = {},
): AsyncGenerator<LogRecord> {
  for (const { partition, earliest, latest } of await log.ends(topic)) {
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
  /** Records that are held at once. */
  readonly pageRecords?: number;
  /** Bytes that are held at once. */
  readonly pageBytes?: number;
}
