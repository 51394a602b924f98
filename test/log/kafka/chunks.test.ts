import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { chunks } from '../../../infra/log/kafka/chunks.ts';
import type { NewRecord } from '../../../infra/log/log.ts';

const limits = { batchBytes: 1000, requestBytes: 3000 };

const record = (bytes: number, partition = 0, change: Partial<NewRecord> = {}): NewRecord => ({
  topic: 't',
  partition,
  key: null,
  headers: {},
  value: new Uint8Array(bytes),
  ...change,
});

const shapeOf = (records: readonly NewRecord[]) =>
  [...chunks(records, limits)].map((part) => part.map(({ value }) => value.length));

describe('records are sent in parts', () => {
  test.each<[string, readonly NewRecord[], readonly (readonly number[])[]]>([
    ['none at all', [], []],
    ['what fits goes together', [record(300), record(301), record(100)], [[300, 301, 100]]],
    ['a batch has its limit', [record(500), record(400), record(300)], [[500], [400, 300]]],
    [
      'each partition has a batch of its own',
      [record(700, 0), record(701, 1), record(702, 2)],
      [[700, 701, 702]],
    ],
    [
      'a request has its limit',
      [record(900, 0), record(901, 1), record(902, 2), record(903, 3)],
      [[900, 901, 902], [903]],
    ],
    [
      'one that is too large is not with others of its partition',
      [record(10), record(5000), record(11)],
      [[10], [5000], [11]],
    ],
  ])('%s', (_name, records, parts) => {
    expect(shapeOf(records)).toEqual(parts);
  });

  test('keys and headers count', () => {
    const long = 'k'.repeat(600);
    expect(shapeOf([record(1, 0, { key: long }), record(2, 0, { key: long })])).toEqual([[1], [2]]);
    const headers = { name: long };
    expect(shapeOf([record(1, 0, { headers }), record(2, 0, { headers })])).toEqual([[1], [2]]);
  });
});

const anyRecords = fc.array(
  fc.record({ bytes: fc.integer({ min: 0, max: 1500 }), partition: fc.nat({ max: 3 }) }),
  { maxLength: 60 },
);
const recordsOf = (all: readonly { bytes: number; partition: number }[]) =>
  all.map(({ bytes, partition }) => record(bytes, partition));

property.prop([anyRecords])('all of them come, in their order, and no part is empty', (all) => {
  const records = recordsOf(all);
  const parts = [...chunks(records, limits)];
  expect(parts.flat()).toEqual(records);
  expect(parts.every(({ length }) => length > 0)).toBe(true);
});

property.prop([anyRecords])('a batch of several keeps its limit, and so does a request', (all) => {
  for (const part of chunks(recordsOf(all), limits)) {
    const batches = Object.values(Object.groupBy(part, ({ partition }) => String(partition)));
    for (const batch of batches) {
      if (batch && batch.length > 1) expect(sizeOf(batch)).toBeLessThanOrEqual(limits.batchBytes);
    }
    if (part.length > 1) expect(sizeOf(part)).toBeLessThanOrEqual(limits.requestBytes);
  }
});

property.prop([anyRecords])('a part ends only where the next record does not fit', (all) => {
  const parts = [...chunks(recordsOf(all), limits)];
  for (const [index, part] of parts.slice(0, -1).entries()) {
    const next = parts[index + 1]?.[0];
    if (!next) continue;
    const batch = [...part.filter(({ partition }) => partition === next.partition), next];
    expect(sizeOf(batch) > limits.batchBytes || sizeOf([...part, next]) > limits.requestBytes).toBe(
      true,
    );
  }
});

/** 64 bytes each for what the format puts around it. */
const sizeOf = (records: readonly NewRecord[]): number =>
  records.reduce((sum, { value }) => sum + value.length + 64, 0);
