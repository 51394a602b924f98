import { messageOf } from '../../text.ts';
import { unpacked } from './compression.ts';

/**
 * Batches of records, as producers write them and brokers keep them. A broker looks at the frame of what it is sent
 * and not at all that is in it, and anybody may write: so every length is held against the bytes that are there, and
 * what cannot be read says why.
 */
export interface Batch {
  readonly firstOffset: number;
  readonly lastOffset: number;
  readonly producerId: string;
  readonly inTransaction: boolean;
  /** The end of a transaction, and no record of anybody. */
  readonly isControl: boolean;
  /** Milliseconds since 1970. */
  readonly timestamps: {
    readonly first: number;
    readonly max: number;
    readonly isOfAppend: boolean;
  };
  readonly codec: number;
  /** Of its records: compaction may leave none. */
  readonly count: number;
  readonly body: Buffer;
  /** Why nobody can look into it; null if one can try. */
  readonly fault: string | null;
}

export interface BatchRecord {
  readonly offset: number;
  readonly timestamp: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, string>>;
  /** Null if it could be read; otherwise it stands for all from an offset on, up to its own. */
  readonly fault: { readonly from: number; readonly reason: string } | null;
}

/** Bytes of offset and length, which come before what the length counts. */
const prefixBytes = 12;
const headBytes = 61;
const magicAt = 16;
/** Since Kafka 0.11, and the only one since 4.0. */
const format = 2;

/** All that are whole: a fetch is cut off where its bytes end. */
export function* batchesIn(bytes: Buffer): Generator<Batch> {
  for (let at = 0; bytes.length - at > magicAt;) {
    const size = prefixBytes + bytes.readInt32BE(at + 8);
    if (at + size > bytes.length) return;
    yield batchOf(bytes.subarray(at, at + size));
    at += Math.max(size, prefixBytes);
  }
}

function batchOf(bytes: Buffer): Batch {
  const firstOffset = Number(bytes.readBigInt64BE(0));
  const magic = bytes.length > magicAt ? bytes.readInt8(magicAt) : null;
  if (magic !== format || bytes.length < headBytes) {
    return {
      ...{
        firstOffset,
        lastOffset: firstOffset,
        producerId: '-1',
        codec: 0,
        count: 0,
        body: bytes,
      },
      ...{ inTransaction: false, isControl: false },
      timestamps: { first: 0, max: 0, isOfAppend: false },
      fault: `its format is ${magic ?? 'none'}, and this version reads format ${format} alone`,
    };
  }
  const attributes = bytes.readInt16BE(21);
  return {
    firstOffset,
    lastOffset: firstOffset + bytes.readInt32BE(23),
    producerId: bytes.readBigInt64BE(43).toString(),
    inTransaction: (attributes & 0x10) !== 0,
    isControl: (attributes & 0x20) !== 0,
    timestamps: {
      first: Number(bytes.readBigInt64BE(27)),
      max: Number(bytes.readBigInt64BE(35)),
      isOfAppend: (attributes & 0x08) !== 0,
    },
    codec: attributes & 0x07,
    count: bytes.readInt32BE(57),
    body: bytes.subarray(headBytes),
    fault: null,
  };
}

/**
 * The records from an offset on, in order. Where nothing more can be read one record stands for the rest, at the last
 * offset, so that it is the same one wherever reading begins.
 */
export async function recordsIn(batch: Batch, from: number): Promise<Iterable<BatchRecord>> {
  if (batch.fault !== null) return [faulty(batch, batch.firstOffset, batch.fault)];
  if (batch.count === 0) return [];
  try {
    return walk(batch, new Cursor(await unpacked(batch.codec, batch.body)), from);
  } catch (error) {
    // A process without memory is not the producer's fault.
    if (/mem(ory|_error)/i.test(String((error as { readonly code?: unknown }).code))) throw error;
    return [faulty(batch, batch.firstOffset, messageOf(error))];
  }
}

function* walk(batch: Batch, bytes: Cursor, from: number): Generator<BatchRecord> {
  const { firstOffset, lastOffset, timestamps, count } = batch;
  let next = firstOffset;
  try {
    for (let index = 0; index < count; index++) {
      const record = bytes.sized();
      record.skip(1);
      const delta = record.varint();
      const offset = firstOffset + record.varint();
      if (offset < next || offset > lastOffset) {
        throw new BatchFault(`a record in it says that its offset is ${offset}`);
      }
      if (offset >= from) yield recordOf(record, offset, timeOf(timestamps, delta));
      next = offset + 1;
    }
  } catch (error) {
    if (!(error instanceof BatchFault)) throw error;
    if (next <= lastOffset) yield faulty(batch, next, error.message);
  }
}

/** Names and values of a record's headers that are read; a program that writes more is not well. */
const headersMax = 10_000;

function recordOf(record: Cursor, offset: number, timestamp: number): BatchRecord {
  const [key, value, count] = [record.bytes(), record.bytes(), record.varint()];
  if (count > headersMax) {
    const reason = `it has ${count} headers, and the most is ${headersMax}`;
    return { ...nothing, offset, timestamp, fault: { from: offset, reason } };
  }
  // One may come several times; the last one counts.
  const headers = new Map<string, string>();
  for (let index = 0; index < count; index++) {
    const name = record.bytes()?.toString() ?? '';
    headers.set(name, record.bytes()?.toString() ?? '');
  }
  return { offset, timestamp, key, value, headers: Object.fromEntries(headers), fault: null };
}

const nothing = { key: null, value: null, headers: {} };

const faulty = (
  { lastOffset: offset, timestamps }: Batch,
  from: number,
  reason: string,
): BatchRecord => ({
  ...nothing,
  ...{ offset, timestamp: timeOf({ ...timestamps, isOfAppend: true }, 0), fault: { from, reason } },
});

/** What a `Date` holds. */
const timestampMax = 8.64e15;

function timeOf({ first, max, isOfAppend }: Batch['timestamps'], delta: number): number {
  const timestamp = isOfAppend ? max : first + delta;
  return Math.max(-timestampMax, Math.min(timestampMax, timestamp));
}

/** What is there is not what its lengths say. */
class BatchFault extends Error {
  override readonly name = 'BatchFault';
}

/** Bytes of a number of 64 bits, seven bits in each. */
const varintBytesMax = 10;

class Cursor {
  readonly #bytes: Buffer;
  readonly #end: number;
  #at: number;

  constructor(bytes: Buffer, at = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
  }

  skip(length: number): void {
    if (length < 0 || length > this.#end - this.#at)
      throw new BatchFault('a record in it is cut off');
    this.#at += length;
  }

  /** The lowest bits first; the lowest of all is the sign. Beyond 53 bits it is near enough. */
  varint(): number {
    let value = 0;
    for (let [factor, count] = [1, 0]; count < varintBytesMax; factor *= 128, count++) {
      this.skip(1);
      const byte = this.#bytes[this.#at - 1] ?? 0;
      value += (byte & 127) * factor;
      if (byte < 128) return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
    }
    throw new BatchFault('a number in it does not end');
  }

  /** Null if the length before them is -1. */
  bytes(): Buffer | null {
    const length = this.varint();
    if (length === -1) return null;
    this.skip(length);
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  /** What follows its own length, to be read by itself. */
  sized(): Cursor {
    const length = this.varint();
    this.skip(length);
    return new Cursor(this.#bytes, this.#at - length, this.#at);
  }
}
