/**
 * Which offsets of one partition are done, while records finish in any order.
 *
 * Everything below `low` is done; above it, single offsets are. That is exactly what a commit stores: `low` as
 * the position, the rest as a bitset in the metadata, so that after a crash nothing finished is done again.
 * A window belongs to one epoch of one partition: whoever gets the partition next makes a new one.
 */
export class Window {
  /** Offsets that a window may cover: its bitset in base64 stays under Kafka's 4,096 bytes of metadata. */
  static readonly span = 16_384;

  /** Offsets that this one covers. */
  readonly span: number;
  #low: number;
  #next: number;
  readonly #done = new Set<number>();

  constructor(position: number, metadata: string, span = Window.span) {
    this.span = span;
    this.#low = position;
    this.#next = position;
    for (const offset of offsetsOf(metadata, position)) this.#done.add(offset);
    this.#advance();
  }

  /** Everything below is done. */
  get low(): number {
    return this.#low;
  }

  /** The first offset that has not been delivered. */
  get next(): number {
    return this.#next;
  }

  /** Delivered offsets from `low` on, done or not. */
  get size(): number {
    return this.#next - this.#low;
  }

  /** Share that is done of the delivered offsets that the window holds: those beyond wait for it to move. */
  get share(): number {
    return this.size === 0 ? 1 : this.#done.size / Math.min(this.size, this.span);
  }

  isDone(offset: number): boolean {
    return offset < this.#low || this.#done.has(offset);
  }

  /** Behind the last offset that is done. */
  get reach(): number {
    let reach = this.#low;
    for (const done of this.#done) reach = Math.max(reach, done + 1);
    return reach;
  }

  /** How many offsets from this one on are done, those below `low` left out. */
  doneFrom(offset: number): number {
    let count = 0;
    for (const done of this.#done) if (done >= offset) count++;
    return count;
  }

  /** True if the offset can be remembered as done while `low` stays. */
  holds(offset: number): boolean {
    return offset < this.#low + this.span;
  }

  /** Notes that everything below `next` has been delivered, except the offsets of `records`: those are gaps. */
  deliver(offsets: readonly number[], next: number): void {
    const delivered = new Set(offsets);
    for (let offset = this.#next; offset < next; offset++) {
      if (!delivered.has(offset)) this.#mark(offset);
    }
    this.#next = Math.max(this.#next, next);
    this.#advance();
  }

  finish(offset: number): void {
    this.#mark(offset);
    this.#advance();
  }

  /** The bitset of what is done above `low`, in base64; bit 0 stands for `low + 1`. */
  get metadata(): string {
    if (this.#done.size === 0) return '';
    let last = this.#low;
    for (const offset of this.#done) last = Math.max(last, offset);
    const bits = new Uint8Array(Math.ceil((last - this.#low) / 8));
    for (const offset of this.#done) {
      const bit = offset - this.#low - 1;
      bits[bit >> 3] = (bits[bit >> 3] ?? 0) | (1 << (bit & 7));
    }
    return Buffer.from(bits).toString('base64');
  }

  #mark(offset: number): void {
    if (offset >= this.#low) this.#done.add(offset);
  }

  #advance(): void {
    while (this.#done.delete(this.#low)) this.#low++;
    this.#next = Math.max(this.#next, this.#low);
  }
}

function* offsetsOf(metadata: string, position: number): Generator<number> {
  for (const [index, byte] of Buffer.from(metadata, 'base64').entries()) {
    for (let bit = 0; bit < 8; bit++) {
      if ((byte & (1 << bit)) !== 0) yield position + 1 + index * 8 + bit;
    }
  }
}
