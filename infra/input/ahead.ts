/**
 * Each item with what `work` makes of it, in the order of the items. Up to `most` are worked on at once; further ones
 * are read only as these are taken. An item that is ready never waits for one that is still to come.
 */
export async function* ahead<Item, Result>(
  items: AsyncIterable<Item>,
  work: (item: Item) => Promise<Result>,
  most: number,
): AsyncGenerator<Result> {
  const iterator = items[Symbol.asyncIterator]();
  const queue: Promise<Result>[] = [];
  let reading: Promise<IteratorResult<Item>> | null = null;
  let ended = false;
  try {
    for (;;) {
      while (!ended && queue.length < most) {
        reading ??= iterator.next();
        const [head] = queue;
        const next: IteratorResult<Item> | null = await (head
          ? Promise.race([reading, head.then(ready, ready)])
          : reading);
        if (next === null) break;
        reading = null;
        if (next.done === true) {
          ended = true;
        } else {
          const worked = work(next.value);
          // Whoever takes it hears of a failure; until then nobody does.
          worked.catch(() => undefined);
          queue.push(worked);
        }
      }
      const head = queue.shift();
      if (!head) return;
      yield await head;
    }
  } finally {
    const returned = iterator.return?.();
    // A source that is being read may not say anything for ever; it is told, and not waited for.
    if (reading === null) await returned;
  }
}

const ready = (): null => null;
