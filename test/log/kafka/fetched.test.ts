import { fc, test as property } from '@fast-check/vitest';
import { constants, gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { FetchedPartition } from '../../../infra/log/kafka/fetch.ts';
import { readFetched } from '../../../infra/log/kafka/fetched.ts';
import { batchBytes, recordBytes, type Batch } from './batches.ts';

const batch = (
  first: number,
  offsets: readonly number[],
  { producer = '-1', last = Math.max(first, ...offsets) } = {},
): Batch => ({
  ...{ first, last, producer },
  inTransaction: producer !== '-1',
  records: offsets.map((offset) => ({ offset, value: Buffer.from('v') })),
});

/** The record that ends a transaction: version and type, 16 bits each. */
const marker = (offset: number, producer: string, type: 'abort' | 'commit'): Batch => ({
  ...{ first: offset, last: offset, producer, inTransaction: true, isControl: true },
  records: [{ offset, key: Buffer.from([0, 0, 0, type === 'abort' ? 0 : 1]) }],
});

/** Names of producers as the numbers that brokers give them. */
const idOf = (producer: string): string =>
  /^-?\d+$/.test(producer)
    ? producer
    : String(producer.charCodeAt(0) * 10 + Number(producer.slice(1)));

const fetchedOf = (
  batches: readonly Batch[],
  aborted: readonly (readonly [producer: string, first: number])[] = [],
): FetchedPartition => ({
  partition: 2,
  highWatermark: '100',
  lastStableOffset: '90',
  abortedTransactions: aborted.map(([producer, firstOffset]) => ({
    producerId: idOf(producer),
    firstOffset,
  })),
  records: Buffer.concat(
    batches.map((one) => batchBytes({ ...one, producer: idOf(one.producer ?? '-1') })),
  ),
});

const gzipOfZeros = (bytes: number): Buffer => gzipSync(Buffer.alloc(bytes), { level: 1 });
const zstdOfZeros = (bytes: number): Buffer =>
  zstdCompressSync(Buffer.alloc(bytes), { params: { [constants.ZSTD_c_compressionLevel]: 1 } });

const read = async (
  batches: readonly Batch[],
  { from = 0, aborted = [] as Parameters<typeof fetchedOf>[1] } = {},
) => {
  const { records, next } = await readFetched('t', fetchedOf(batches, aborted), from);
  return { offsets: records.map(({ offset }) => offset), next };
};

describe('what a fetch brought', () => {
  test('is records as they were written, and how far the partition goes', async () => {
    const headers = [
      ['one', '1'],
      ['twice', 'a'],
      ['twice', 'b'],
      ['no', null],
    ] as const;
    const written = { offset: 5, key: Buffer.from('ä'), value: Buffer.from('bytes'), headers };
    const fetched = fetchedOf([{ ...batch(5, []), records: [written] }]);
    expect(await readFetched('t', fetched, 5)).toEqual({
      records: [
        {
          ...{ topic: 't', partition: 2, offset: 5, timestamp: 7, key: 'ä' },
          headers: { one: '1', twice: 'b', no: '' },
          value: new Uint8Array(Buffer.from('bytes')),
        },
      ],
      ...{ next: 6, bytes: 7, stable: 90, end: 100 },
    });
  });

  test('a value that is null is empty, and a value is a copy: the buffer may go', async () => {
    const records = [
      { offset: 0, value: null },
      { offset: 1, value: Buffer.from('value') },
    ];
    const fetched = fetchedOf([{ ...batch(0, [0, 1]), records }]);
    const [none, some] = (await readFetched('t', fetched, 0)).records;
    fetched.records.fill(0);
    expect(none?.value).toEqual(new Uint8Array());
    expect(Buffer.from(some?.value ?? []).toString()).toBe('value');
  });

  test('ends where its bytes end: the last batch may be cut off', async () => {
    const { records } = fetchedOf([batch(0, [0, 1]), batch(2, [2])]);
    for (let cut = 0; cut < records.length; cut += 7) {
      const fetched = { ...fetchedOf([]), records: records.subarray(0, cut) };
      const whole = batchBytes(batch(0, [0, 1])).length <= cut;
      expect((await readFetched('t', fetched, 0)).next).toBe(whole ? 2 : 0);
    }
  });

  test.each<
    [string, readonly Batch[], Parameters<typeof read>[1], Awaited<ReturnType<typeof read>>]
  >([
    ['nothing is the end', [], { from: 4 }, { offsets: [], next: 4 }],
    [
      'records before the offset that was asked for share a batch with it',
      [batch(0, [0, 1, 2, 3])],
      { from: 2 },
      { offsets: [2, 3], next: 4 },
    ],
    [
      'offsets that compaction took away are gaps, also at the end of a batch',
      [batch(0, [1, 3], { last: 9 }), batch(10, [12], { last: 15 })],
      {},
      { offsets: [1, 3, 12], next: 16 },
    ],
    [
      'a marker is a gap, also behind the last record',
      [batch(0, [0, 1], { producer: 'p' }), marker(2, 'p', 'commit')],
      {},
      { offsets: [0, 1], next: 3 },
    ],
    [
      'a transaction that was undone is none',
      [batch(0, [0, 1], { producer: 'p' }), marker(2, 'p', 'abort'), batch(3, [3])],
      { aborted: [['p', 0]] },
      { offsets: [3], next: 4 },
    ],
    [
      'the next one of the same producer stands',
      [
        batch(0, [0], { producer: 'p' }),
        marker(1, 'p', 'abort'),
        batch(2, [2], { producer: 'p' }),
        marker(3, 'p', 'commit'),
      ],
      { aborted: [['p', 0]] },
      { offsets: [2], next: 4 },
    ],
    [
      'the one before of the same producer stands',
      [
        batch(0, [0], { producer: 'p' }),
        marker(1, 'p', 'commit'),
        batch(2, [2], { producer: 'p' }),
        marker(3, 'p', 'abort'),
      ],
      { aborted: [['p', 2]] },
      { offsets: [0], next: 4 },
    ],
    [
      'those of other producers in between stand',
      [
        batch(0, [0], { producer: 'p' }),
        batch(1, [1], { producer: 'q' }),
        batch(2, [2]),
        batch(3, [3], { producer: 'p' }),
        marker(4, 'q', 'commit'),
        marker(5, 'p', 'abort'),
        batch(6, [6], { producer: 'q' }),
        marker(7, 'q', 'abort'),
      ],
      {
        aborted: [
          ['q', 6],
          ['p', 0],
        ],
      },
      { offsets: [1, 2], next: 8 },
    ],
    [
      'a fetch that begins within one that was undone knows it',
      [batch(5, [5, 6], { producer: 'p' }), marker(7, 'p', 'abort'), batch(8, [8])],
      { from: 5, aborted: [['p', 1]] },
      { offsets: [8], next: 9 },
    ],
    [
      'a fetch that ends within one that was undone knows it, too',
      [batch(0, [0]), batch(1, [1, 2], { producer: 'p' })],
      { aborted: [['p', 1]] },
      { offsets: [0], next: 3 },
    ],
    [
      'what a producer of transactions writes outside of one stands',
      [
        { ...batch(0, [0], { producer: 'p' }), inTransaction: false },
        batch(1, [1], { producer: 'p' }),
      ],
      { aborted: [['p', 0]] },
      { offsets: [0], next: 2 },
    ],
  ])('%s', async (_name, batches, options, expected) => {
    expect(await read(batches, options)).toEqual(expected);
  });
});

/** As much as a batch may unfold to, and a little more. */
const tooMuch = 256 * 1024 * 1024 + 1024;
const many = 140_000;

describe('what nobody can read', () => {
  const good = (offset: number): Batch => batch(offset, [offset]);
  const broken = (change: Partial<Batch>): Batch => ({ ...batch(10, [10, 11, 12]), ...change });
  const record = (offset: number) => recordBytes({ offset, value: Buffer.from('v') }, 10);

  test.each<[string, Partial<Batch>, readonly number[], string]>([
    [
      'zstd without an end',
      { codec: 4, pack: () => zstdOfZeros(tooMuch) },
      [],
      'more than 268435456 bytes',
    ],
    [
      'gzip without an end',
      { codec: 1, pack: () => gzipOfZeros(tooMuch) },
      [],
      'more than 268435456 bytes',
    ],
    ['broken zstd', { codec: 4, pack: (bytes) => bytes }, [], 'Unknown frame descriptor'],
    ['broken gzip', { codec: 1, pack: (bytes) => bytes }, [], 'incorrect header check'],
    [
      'gzip that is cut off',
      { codec: 1, pack: (bytes) => gzipSync(bytes).subarray(0, -12) },
      [],
      'unexpected end',
    ],
    ['broken snappy', { codec: 2, pack: (bytes) => bytes }, [], 'compressed bytes'],
    ['broken LZ4', { codec: 3, pack: (bytes) => bytes }, [], 'lz4: not a frame'],
    ['a codec of the future', { codec: 7 }, [], 'codec 7'],
    ['records that are cut off', { pack: (bytes) => bytes.subarray(0, -3) }, [10, 11], 'cut off'],
    ['fewer records than it says', { pack: () => record(10) }, [10], 'cut off'],
    [
      'an offset that is not its own',
      { pack: () => Buffer.concat([record(10), record(13)]) },
      [10],
      'offset is 13',
    ],
    [
      'an offset that comes twice',
      { pack: () => Buffer.concat([record(11), record(11)]) },
      [11],
      'offset is 11',
    ],
    ['a length without an end', { pack: () => Buffer.alloc(30, 255) }, [], 'does not end'],
    ['a length that is negative', { pack: () => Buffer.alloc(30, 5) }, [], 'cut off'],
  ])(
    '%s: one record says so, at the last offset, and all others come',
    async (_name, change, before, reason) => {
      const fetched = fetchedOf([good(9), broken(change), good(13)]);
      const { records, next } = await readFetched('t', fetched, 9);
      expect(records.map(({ offset }) => offset)).toEqual([9, ...before, 12, 13]);
      expect(next).toBe(14);
      const { unreadable, ...rest } = records.find(({ offset }) => offset === 12)!;
      expect(rest).toEqual({
        ...{ topic: 't', partition: 2, offset: 12, timestamp: 9, key: null, headers: {} },
        value: new Uint8Array(),
      });
      const from = (before.at(-1) ?? 9) + 1;
      const where = from === 12 ? 'what is at offset 12' : `what is at offsets ${from} to 12`;
      expect(unreadable).toContain(`${where} of partition 2 of t cannot be read: `);
      expect(unreadable).toContain(reason);
      // It is the same wherever reading begins.
      expect((await readFetched('t', fetched, 12)).records[0]).toEqual({ ...rest, unreadable });
    },
  );

  test('records of a format before Kafka 0.11 stand alone', async () => {
    const { records, next } = await readFetched(
      't',
      fetchedOf([{ ...good(3), format: 1 }, good(4)]),
      3,
    );
    expect(records.map(({ unreadable }) => unreadable)).toEqual([
      'what is at offset 3 of partition 2 of t cannot be read: its format is 1, and this version reads format 2 alone',
      undefined,
    ]);
    expect(next).toBe(5);
  });

  test('of more headers than any record has, the others of the batch come', async () => {
    const headers = Array.from({ length: 10_001 }, (_, index) => [`${index}`, null] as const);
    const records = [
      { offset: 10, headers },
      { offset: 11 },
      { offset: 12, headers: headers.slice(1) },
    ];
    const fetched = await readFetched('t', fetchedOf([broken({ records })]), 10);
    expect(fetched.records.map(({ unreadable }) => unreadable)).toEqual([
      expect.stringContaining(
        'what is at offset 10 of partition 2 of t cannot be read: it has 10001 headers',
      ),
      undefined,
      undefined,
    ]);
    expect(Object.keys(fetched.records[2]?.headers ?? {})).toHaveLength(10_000);
  });

  test('belongs to nobody if its transaction was undone', async () => {
    const undone = broken({ producer: 'p', inTransaction: true, codec: 7 });
    expect(
      await read([undone, marker(13, 'p', 'abort'), good(14)], { from: 10, aborted: [['p', 10]] }),
    ).toEqual({ offsets: [14], next: 15 });
  });
});

describe('more than memory should hold', () => {
  test('comes in parts, be it one batch', async () => {
    const all = Array.from({ length: many }, (_, index) => ({ offset: index }));
    const fetched = fetchedOf([
      { first: 0, last: many - 1, records: all, codec: 4, pack: zstdCompressSync },
    ]);
    const sizes: number[] = [];
    for (let at = 0; at < many;) {
      const { records, next } = await readFetched('t', fetched, at);
      expect(records[0]?.offset).toBe(at);
      expect(next).toBe(at + records.length);
      sizes.push(records.length);
      at = next;
    }
    expect(sizes).toEqual([50_000, 50_000, 40_000]);
  });

  test('is counted in bytes, too; one record at least comes', async () => {
    const value = Buffer.alloc(1000);
    const records = [0, 1, 2, 3].map((offset) => ({ offset, value }));
    const fetched = fetchedOf([{ first: 0, last: 3, records }]);
    const read = async (from: number, bytes: number) => {
      const found = await readFetched('t', fetched, from, { records: 10, bytes });
      return found.records.map(({ offset }) => offset);
    };
    expect(await read(0, 1)).toEqual([0]);
    expect(await read(1, 1500)).toEqual([1, 2]);
    expect(await read(1, 4000)).toEqual([1, 2, 3]);
  });
});

/** A broker's partition, written by several producers whose transactions overlap. */
interface Step {
  readonly producer: number;
  readonly what: 'write' | 'commit' | 'abort';
  readonly records: number;
  /** Of the records of this batch, those that compaction took away. */
  readonly gone: readonly number[];
}

const steps = fc.array(
  fc.record<Step>({
    producer: fc.nat({ max: 3 }),
    what: fc.constantFrom('write', 'write', 'write', 'commit', 'abort'),
    records: fc.integer({ min: 1, max: 4 }),
    gone: fc.array(fc.nat({ max: 3 }), { maxLength: 2 }),
  }),
  { maxLength: 40 },
);

/** Producer 0 writes outside of transactions. */
function logOf(all: readonly Step[]) {
  const batches: Batch[] = [];
  const aborted: { readonly producer: string; readonly first: number; readonly last: number }[] =
    [];
  const open = new Map<string, number[]>();
  const firsts = new Map<string, number>();
  const committed: number[] = [];
  let offset = 0;
  const end = (producer: string, type: 'commit' | 'abort') => {
    const written = open.get(producer);
    if (!written) return;
    batches.push(marker(offset, producer, type));
    if (type === 'commit') committed.push(...written);
    else aborted.push({ producer, first: firsts.get(producer) ?? 0, last: offset });
    open.delete(producer);
    offset++;
  };
  for (const { producer: number, what, records, gone } of all) {
    const producer = number === 0 ? '-1' : `p${number}`;
    if (what !== 'write') {
      end(producer, what);
      continue;
    }
    const offsets = Array.from({ length: records }, (_, index) => offset + index);
    const left = offsets.filter((_, index) => !gone.includes(index));
    batches.push(batch(offset, left, { producer, last: offset + records - 1 }));
    if (producer === '-1') committed.push(...left);
    else {
      if (!open.has(producer)) firsts.set(producer, offset);
      open.set(producer, [...(open.get(producer) ?? []), ...left]);
    }
    offset += records;
  }
  for (const producer of open.keys()) end(producer, 'abort');
  return {
    batches,
    aborted,
    committed: committed.toSorted((one, other) => one - other),
    end: offset,
  };
}

property.prop([steps, fc.nat({ max: 60 }), fc.integer({ min: 1, max: 5 })])(
  'whatever was written, and wherever one begins: all that was committed comes once, and nothing else',
  async (all, begin, batchesAtOnce) => {
    const { batches, aborted, committed, end } = logOf(all);
    const from = Math.min(begin, end);
    const seen: number[] = [];
    for (let at = from; at < end;) {
      // What a broker sends: whole batches from the one that holds the offset on, and what was undone among them.
      const sent = batches.filter(({ last }) => last >= at).slice(0, batchesAtOnce);
      const upTo = (sent.at(-1)?.last ?? at) + 1;
      const undone = aborted.filter(({ first, last }) => last >= at && first < upTo);
      const { offsets, next } = await read(sent, {
        from: at,
        aborted: undone.map(({ producer, first }) => [producer, first] as const),
      });
      seen.push(...offsets);
      expect(next).toBe(upTo);
      at = next;
    }
    expect(seen).toEqual(committed.filter((offset) => offset >= from));
  },
);
