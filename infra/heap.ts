/** A binary heap in an array: the first of many that wait, at the cost of a logarithm. */
export class Heap<Item> {
  readonly #items: Item[] = [];
  readonly #before: (one: Item, other: Item) => boolean;

  /** @param before whether one goes before the other; a strict order */
  constructor(before: (one: Item, other: Item) => boolean) {
    this.#before = before;
  }

  get size(): number {
    return this.#items.length;
  }

  /** Undefined if nothing is in it. */
  get first(): Item | undefined {
    return this.#items[0];
  }

  push(item: Item): void {
    this.#items.push(item);
    this.#rise(this.#items.length - 1, item);
  }

  /** Takes the first one out. */
  shift(): Item | undefined {
    const [first] = this.#items;
    if (this.#items.length > 0) this.#removeAt(0);
    return first;
  }

  /** @returns whether it was in it; looks through all of them */
  delete(item: Item): boolean {
    const index = this.#items.indexOf(item);
    if (index < 0) return false;
    this.#removeAt(index);
    return true;
  }

  #removeAt(index: number): void {
    const last = this.#items.pop();
    if (last === undefined || index >= this.#items.length) return;
    this.#rise(this.#sink(index, last), last);
  }

  #rise(from: number, item: Item): void {
    let index = from;
    while (index > 0) {
      const above = (index - 1) >> 1;
      const parent = this.#items[above];
      if (parent === undefined || !this.#before(item, parent)) break;
      this.#items[index] = parent;
      index = above;
    }
    this.#items[index] = item;
  }

  #sink(from: number, item: Item): number {
    let index = from;
    for (;;) {
      let below = 2 * index + 1;
      const [left, right] = [this.#items[below], this.#items[below + 1]];
      if (left === undefined) break;
      const least = right !== undefined && this.#before(right, left) ? (below++, right) : left;
      if (!this.#before(least, item)) break;
      this.#items[index] = least;
      index = below;
    }
    this.#items[index] = item;
    return index;
  }
}
