import { fc, test as property } from '@fast-check/vitest';
import { expect, test } from 'vitest';
import { ahead } from '../../infra/input/ahead.ts';

async function* items<Item>(all: readonly Item[], onRead: (item: Item) => void = () => undefined) {
  for (const item of all) {
    await Promise.resolve();
    onRead(item);
    yield item;
  }
}

const later = (turns: number): Promise<void> =>
  turns === 0 ? Promise.resolve() : Promise.resolve().then(() => later(turns - 1));

property.prop([fc.array(fc.nat({ max: 20 })), fc.integer({ min: 1, max: 5 })])(
  'the order is that of the items, however long each takes',
  async (turns, most) => {
    const worked = ahead(
      items(turns.map((count, index) => ({ count, index }))),
      async ({ count, index }) => {
        await later(count);
        return index;
      },
      most,
    );
    expect(await Array.fromAsync(worked)).toEqual(turns.map((_, index) => index));
  },
);

test('no more than so many are worked on at once', async () => {
  let now = 0;
  let top = 0;
  const worked = ahead(
    items(Array.from({ length: 50 }, (_, index) => index)),
    async (item) => {
      top = Math.max(top, ++now);
      await later(60);
      now--;
      return item;
    },
    4,
  );
  expect(await Array.fromAsync(worked)).toHaveLength(50);
  expect(top).toBe(4);
});

test('an item that is ready does not wait for one that is still to come', async () => {
  async function* slow() {
    yield 'first';
    await new Promise(() => undefined);
    yield 'never';
  }
  const worked = ahead(slow(), (item) => Promise.resolve(item), 10);
  expect((await worked.next()).value).toBe('first');
  await worked.return(undefined);
});

test('whoever stops has not read on by more than that', async () => {
  const read: number[] = [];
  const source = items(
    Array.from({ length: 50 }, (_, index) => index),
    (item) => read.push(item),
  );
  for await (const item of ahead(source, (one) => Promise.resolve(one), 5)) {
    if (item === 9) break;
  }
  expect(read.length).toBeLessThanOrEqual(16);
});

test('a failure reaches whoever takes the item, and not before', async () => {
  const worked = ahead(
    items([1, 2, 3]),
    (item) => (item === 2 ? Promise.reject(new Error('two')) : Promise.resolve(item)),
    3,
  );
  expect((await worked.next()).value).toBe(1);
  await expect(worked.next()).rejects.toThrow('two');
});
