import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import type { FetchedMessage, FetchedPartition } from '../../../infra/log/kafka/client.ts';
import { readFetched } from '../../../infra/log/kafka/fetched.ts';

/** A batch as it is on the broker: of one producer, over a span of offsets, some of which compaction took away. */
interface Batch {
  readonly first: number;
  readonly last: number;
  readonly producer: string;
  readonly inTransaction: boolean;
  readonly messages: readonly Partial<FetchedMessage>[];
}

const batch = (
  first: number,
  offsets: readonly number[],
  { producer = '-1', last = Math.max(first, ...offsets) } = {},
): Batch => ({
  first,
  last,
  producer,
  inTransaction: producer !== '-1',
  messages: offsets.map((offset) => ({ offset: String(offset) })),
});

/** The record that ends a transaction: version and type, 16 bits each. */
const marker = (offset: number, producer: string, type: 'abort' | 'commit'): Batch => ({
  first: offset,
  last: offset,
  producer,
  inTransaction: true,
  messages: [
    {
      offset: String(offset),
      isControlRecord: true,
      key: Buffer.from([0, 0, 0, type === 'abort' ? 0 : 1]),
    },
  ],
});

const fetchedOf = (
  batches: readonly Batch[],
  aborted: readonly (readonly [producer: string, first: number])[] = [],
): FetchedPartition => ({
  partition: 2,
  highWatermark: '100',
  lastStableOffset: '90',
  abortedTransactions: aborted.map(([producerId, first]) => ({
    producerId,
    firstOffset: String(first),
  })),
  messages: batches.flatMap(({ first, last, producer, inTransaction, messages }) =>
    messages.map((message) => ({
      offset: '0',
      timestamp: '7',
      key: null,
      value: Buffer.from('v'),
      headers: {},
      isControlRecord: false,
      ...message,
      batchContext: {
        firstOffset: String(first),
        lastOffsetDelta: last - first,
        producerId: producer,
        inTransaction,
      },
    })),
  ),
});

const read = (
  batches: readonly Batch[],
  { from = 0, aborted = [] as Parameters<typeof fetchedOf>[1] } = {},
) => {
  const { records, next } = readFetched('t', fetchedOf(batches, aborted), from);
  return { offsets: records.map(({ offset }) => offset), next };
};

describe('what a fetch brought', () => {
  test('is records as they were written, and how far the partition goes', () => {
    const fetched = fetchedOf([
      {
        ...batch(5, []),
        messages: [
          {
            offset: '5',
            key: Buffer.from('ä'),
            value: Buffer.from('bytes'),
            headers: {
              one: Buffer.from('1'),
              twice: [Buffer.from('a'), Buffer.from('b')],
              no: undefined,
            },
          },
        ],
      },
    ]);
    expect(readFetched('t', fetched, 5)).toEqual({
      records: [
        {
          topic: 't',
          partition: 2,
          offset: 5,
          timestamp: 7,
          key: 'ä',
          headers: { one: '1', twice: 'b', no: '' },
          value: new Uint8Array(Buffer.from('bytes')),
        },
      ],
      next: 6,
      stable: 90,
      end: 100,
    });
  });

  test('a value that is null is empty, and a value is a copy: the buffer may go', () => {
    const buffer = Buffer.from('value');
    const [none, some] = readFetched(
      't',
      fetchedOf([
        {
          ...batch(0, []),
          messages: [
            { offset: '0', value: null },
            { offset: '1', value: buffer },
          ],
        },
      ]),
      0,
    ).records;
    buffer.fill(0);
    expect(none?.value).toEqual(new Uint8Array());
    expect(Buffer.from(some?.value ?? []).toString()).toBe('value');
  });

  test.each<[string, readonly Batch[], Parameters<typeof read>[1], ReturnType<typeof read>]>([
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
  ])('%s', (_name, batches, options, expected) => {
    expect(read(batches, options)).toEqual(expected);
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
    // A batch that is empty comes as nothing at all: that is the reader's business.
    const kept = left.length > 0 ? left : offsets;
    batches.push(batch(offset, kept, { producer, last: offset + records - 1 }));
    if (producer === '-1') committed.push(...kept);
    else {
      if (!open.has(producer)) firsts.set(producer, offset);
      open.set(producer, [...(open.get(producer) ?? []), ...kept]);
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
  (all, begin, batchesAtOnce) => {
    const { batches, aborted, committed, end } = logOf(all);
    const from = Math.min(begin, end);
    const seen: number[] = [];
    for (let at = from; at < end;) {
      // What a broker sends: whole batches from the one that holds the offset on, and what was undone among them.
      const sent = batches.filter(({ last }) => last >= at).slice(0, batchesAtOnce);
      const upTo = (sent.at(-1)?.last ?? at) + 1;
      const undone = aborted.filter(({ first, last }) => last >= at && first < upTo);
      const { offsets, next } = read(sent, {
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
