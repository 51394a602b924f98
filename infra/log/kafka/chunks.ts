import type { NewRecord } from '../log.ts';

/**
 * Records in their order, in parts that a broker takes: what a request holds for one partition becomes one batch,
 * which must stay below the topic's limit; and a request has a limit of its own. A record that is larger than a part
 * may be is a part alone.
 */
export function* chunks(
  records: readonly NewRecord[],
  { batchBytes, requestBytes }: { readonly batchBytes: number; readonly requestBytes: number },
): Generator<readonly NewRecord[]> {
  let part: NewRecord[] = [];
  let total = 0;
  let perPartition = new Map<string, number>();
  for (const record of records) {
    const place = `${record.topic}/${record.partition}`;
    const bytes = sizeOf(record);
    const batch = (perPartition.get(place) ?? 0) + bytes;
    if (part.length > 0 && (batch > batchBytes || total + bytes > requestBytes)) {
      yield part;
      part = [];
      total = 0;
      perPartition = new Map();
    }
    part.push(record);
    total += bytes;
    perPartition.set(place, (perPartition.get(place) ?? 0) + bytes);
  }
  if (part.length > 0) yield part;
}

/** With room for what the format puts around it. */
const sizeOf = ({ key, headers, value }: NewRecord): number =>
  Object.entries(headers).reduce(
    (sum, [name, text]) => sum + Buffer.byteLength(name) + Buffer.byteLength(text) + 8,
    value.length + Buffer.byteLength(key ?? '') + 64,
  );
