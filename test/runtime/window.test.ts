import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { Window } from '../../infra/runtime/window.ts';

const deliver = (window: Window, count: number) => {
  const from = window.next;
  window.deliver(
    Array.from({ length: count }, (_, index) => from + index),
    from + count,
  );
};

describe('what is done', () => {
  test('the low end moves only over what is done without a gap', () => {
    const window = new Window(10, '');
    deliver(window, 5);
    window.finish(12);
    expect(window.low).toBe(10);
    window.finish(10);
    expect(window.low).toBe(11);
    window.finish(11);
    expect(window.low).toBe(13);
    expect(window.isDone(12)).toBe(true);
    expect(window.isDone(13)).toBe(false);
  });

  test('offsets that were never delivered count as done: markers of transactions, compacted records', () => {
    const window = new Window(0, '');
    window.deliver([1, 3], 6);
    expect(window.low).toBe(1);
    window.finish(1);
    expect(window.low).toBe(3);
    window.finish(3);
    expect(window.low).toBe(6);
  });

  test('a new window of the same commit knows what was done above the position', () => {
    const window = new Window(5, '');
    deliver(window, 20);
    for (const offset of [7, 8, 15, 24]) window.finish(offset);
    const next = new Window(window.low, window.metadata);
    expect(next.low).toBe(5);
    expect([7, 8, 15, 24].every((offset) => next.isDone(offset))).toBe(true);
    expect([5, 6, 9, 14, 16, 23].some((offset) => next.isDone(offset))).toBe(false);
  });

  test('redelivered offsets that were done stay done', () => {
    const window = new Window(0, new Window(0, '').metadata);
    deliver(window, 3);
    window.finish(2);
    const next = new Window(window.low, window.metadata);
    deliver(next, 3);
    next.finish(0);
    next.finish(1);
    expect(next.low).toBe(3);
  });
});

describe('the bound', () => {
  test('the metadata of a full window stays under the 4,096 bytes that a broker takes', () => {
    const window = new Window(0, '');
    deliver(window, Window.span);
    for (let offset = 1; offset < Window.span; offset++) window.finish(offset);
    expect(window.low).toBe(0);
    expect(window.metadata.length).toBeLessThan(4096);
    expect(new Window(0, window.metadata).isDone(Window.span - 1)).toBe(true);
  });

  test('gaps as wide as retention leaves them cost no time, whether something is unfinished below or not', () => {
    const [empty, headed] = [new Window(0, ''), new Window(0, '')];
    const startedMs = performance.now();
    empty.deliver([], 2 ** 40);
    headed.deliver([0, 2 ** 39], 2 ** 40);
    const { metadata, share, reach } = headed;
    headed.finish(2 ** 39);
    headed.finish(0);
    expect(performance.now() - startedMs).toBeLessThan(100);
    expect([empty.low, headed.low]).toEqual([2 ** 40, 2 ** 40]);
    expect([empty.metadata, headed.metadata]).toEqual(['', '']);
    expect(share).toBeGreaterThan(0.99);
    expect(reach).toBe(2 ** 40);
    expect(metadata.length).toBeLessThan(4096);
    const next = new Window(0, metadata);
    expect([0, 1, Window.span - 1].map((offset) => next.isDone(offset))).toEqual([
      false,
      true,
      true,
    ]);
  });

  test('an offset beyond the span cannot be remembered', () => {
    const window = new Window(100, '');
    expect(window.holds(100 + Window.span - 1)).toBe(true);
    expect(window.holds(100 + Window.span)).toBe(false);
  });
});

property.prop([
  fc.integer({ min: 0, max: 1000 }),
  fc.uniqueArray(fc.integer({ min: 0, max: 300 }), { maxLength: 300 }),
])('whatever the order of finishing, a commit tells exactly what is done', (position, finished) => {
  const window = new Window(position, '');
  deliver(window, 301);
  for (const offset of finished) window.finish(position + offset);
  const next = new Window(window.low, window.metadata);
  for (let offset = 0; offset <= 300; offset++) {
    expect(next.isDone(position + offset)).toBe(finished.includes(offset));
  }
});

/** Records and the offsets between them that hold none. */
const delivery = fc.array(
  fc.record({
    gap: fc.oneof(
      fc.nat({ max: 5 }),
      fc.nat({ max: 2 * Window.span }),
      fc.integer({ min: 0, max: 2 ** 36 }),
    ),
    records: fc.nat({ max: 5 }),
    isFinished: fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }),
  }),
  { maxLength: 20 },
);

property.prop([fc.nat({ max: 1000 }), delivery, fc.nat({ max: 2 ** 30 })])(
  'however wide the gaps, low is the first record that is not finished, and a commit forgets none of them',
  (position, parts, tail) => {
    const window = new Window(position, '');
    const [records, finished]: [number[], Set<number>] = [[], new Set()];
    for (const { gap, records: count, isFinished } of parts) {
      const from = window.next + gap;
      const offsets = Array.from({ length: count }, (_, index) => from + index);
      window.deliver(offsets, from + count);
      records.push(...offsets);
      // As a stage does: what a commit could not remember waits.
      for (const [index, offset] of offsets.entries()) {
        if (isFinished[index] !== true || !window.holds(offset)) continue;
        finished.add(offset);
        window.finish(offset);
      }
    }
    window.deliver([], window.next + tail);
    const open = records.filter((offset) => !finished.has(offset));
    expect(window.low).toBe(open[0] ?? window.next);
    expect(records.filter((offset) => !window.isDone(offset))).toEqual(open);
    expect(window.metadata.length).toBeLessThan(4096);
    const next = new Window(window.low, window.metadata);
    next.deliver(
      records.filter((offset) => offset >= window.low),
      window.next,
    );
    expect(records.filter((offset) => !next.isDone(offset))).toEqual(open);
    expect(next.low).toBe(window.low);
    for (const offset of open) next.finish(offset);
    expect([next.low, next.size, next.metadata, next.share]).toEqual([window.next, 0, '', 1]);
  },
);
