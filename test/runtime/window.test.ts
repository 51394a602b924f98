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
