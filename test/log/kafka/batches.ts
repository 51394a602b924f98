/** A batch as it is at the broker: of one producer, over a span of offsets, some of which compaction took away. */
export interface Batch {
  readonly first: number;
  readonly last: number;
  readonly producer?: string;
  readonly inTransaction?: boolean;
  readonly isControl?: boolean;
  readonly records: readonly WrittenRecord[];
  /** The codec's number, and what it makes of the records. */
  readonly codec?: number;
  readonly pack?: (records: Buffer) => Buffer;
  /** Of the records, as the head says. */
  readonly count?: number;
  readonly format?: number;
}

export interface WrittenRecord {
  readonly offset: number;
  readonly key?: Buffer | null;
  readonly value?: Buffer | null;
  readonly headers?: readonly (readonly [name: string, value: string | null])[];
}

/** As the producers of Kafka 0.11 and later write it; the checksum, which nobody here looks at, is left out. */
export function batchBytes(batch: Batch): Buffer {
  const { first, last, records, producer = '-1', codec = 0, count = records.length } = batch;
  const body = Buffer.concat(records.map((record) => recordBytes(record, first)));
  const head = Buffer.alloc(61);
  const packed = batch.pack?.(body) ?? body;
  head.writeBigInt64BE(BigInt(first), 0);
  head.writeInt32BE(head.length + packed.length - 12, 8);
  head.writeInt8(batch.format ?? 2, 16);
  const attributes = codec | (batch.inTransaction ? 0x10 : 0) | (batch.isControl ? 0x20 : 0);
  head.writeInt16BE(attributes, 21);
  head.writeInt32BE(last - first, 23);
  head.writeBigInt64BE(7n, 27);
  head.writeBigInt64BE(9n, 35);
  head.writeBigInt64BE(BigInt(producer), 43);
  head.writeInt32BE(count, 57);
  return Buffer.concat([head, packed]);
}

/** A record with its length before it. */
export function recordBytes(
  { offset, key = null, value = null, headers = [] }: WrittenRecord,
  first = 0,
): Buffer {
  const rest = Buffer.concat([
    Buffer.from([0, 0]),
    varint(offset - first),
    sized(key),
    sized(value),
    varint(headers.length),
    ...headers.flatMap(([name, text]) => [
      sized(Buffer.from(name)),
      sized(text === null ? null : Buffer.from(text)),
    ]),
  ]);
  return Buffer.concat([varint(rest.length), rest]);
}

const sized = (bytes: Buffer | null): Buffer =>
  bytes === null ? varint(-1) : Buffer.concat([varint(bytes.length), bytes]);

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value < 0 ? -2 * value - 1 : 2 * value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Buffer.from([...bytes, rest]);
}
