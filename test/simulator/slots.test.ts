import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { Slots } from '../../infra/simulator/slots.ts';

const never = new AbortController().signal;
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('slots', () => {
  property.prop([
    fc.integer({ min: 1, max: 8 }),
    fc.array(fc.record({ places: fc.integer({ min: 1, max: 12 }), leaves: fc.boolean() }), {
      maxLength: 30,
    }),
  ])('are never more than there are, and all come back', async (total, requests) => {
    const slots = new Slots(total, 1000);
    const order: number[] = [];
    await Promise.all(
      requests.map(async ({ places, leaves }, index) => {
        const gone = new AbortController();
        const release = slots.acquire(places, gone.signal);
        if (leaves) gone.abort(new Error('gone'));
        try {
          const back = await release;
          order.push(index);
          expect(slots.busy).toBeLessThanOrEqual(total);
          await settled();
          back?.();
          back?.();
        } catch (error) {
          expect(error).toEqual(new Error('gone'));
        }
      }),
    );
    expect(order.toSorted((one, other) => one - other)).toEqual(order);
    expect([slots.busy, slots.waiting]).toEqual([0, 0]);
    expect(slots.mostBusy).toBeLessThanOrEqual(total);
  });

  test('a wide request is not starved by narrow ones', async () => {
    const slots = new Slots(3, 10);
    const first = await slots.acquire(2, never);
    const wide = slots.acquire(3, never);
    const narrow = slots.acquire(1, never);
    await settled();
    expect([slots.busy, slots.waiting]).toEqual([2, 2]);
    first?.();
    (await wide)?.();
    (await narrow)?.();
    expect(slots.mostBusy).toBe(3);
  });

  test('who gives up lets those behind through', async () => {
    const slots = new Slots(3, 10);
    await slots.acquire(2, never);
    const gone = new AbortController();
    const wide = slots.acquire(3, gone.signal);
    const narrow = slots.acquire(1, never);
    gone.abort(new Error('gone'));
    await expect(wide).rejects.toThrow('gone');
    expect(await narrow).not.toBeNull();
  });

  test('the queue has an end', async () => {
    const slots = new Slots(1, 1);
    const first = await slots.acquire(1, never);
    const second = slots.acquire(1, never);
    expect(await slots.acquire(1, never)).toBeNull();
    first?.();
    expect(await second).not.toBeNull();
  });
});
