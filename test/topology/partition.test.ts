import { fc, test as property } from '@fast-check/vitest';
import { expect, test } from 'vitest';
import { partitionOf } from '../../topology/partition.ts';

/** What Kafka's own tests say of its murmur2 (`UtilsTest.testMurmur2`), as partitions of 1,000. */
test.each([
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
])('%s is where Kafka puts it', (key, hash) => {
  expect(partitionOf(key, 1000)).toBe((hash & 0x7fffffff) % 1000);
});

property.prop([fc.string(), fc.integer({ min: 1, max: 4096 })])(
  'every key has a partition',
  (key, partitions) => {
    const partition = partitionOf(key, partitions);
    expect(partition).toBeGreaterThanOrEqual(0);
    expect(partition).toBeLessThan(partitions);
  },
);
