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
  /** Single offsets that are done, none of them in a gap. */
  readonly #done = new Set<number>();
  /** Offsets that hold no record, in order and never side by side: retention or a copy may leave millions at once. */
  #gaps: Gap[] = [];

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
    if (this.size === 0) return 1;
    const held = Math.min(this.size, this.span);
    return this.#countBetween(this.#low, this.#low + held) / held;
  }

  isDone(offset: number): boolean {
    return offset < this.#low || this.#done.has(offset) || this.#isGap(offset);
  }

  /** Behind the last offset that is done. */
  get reach(): number {
    let reach = this.#gaps.at(-1)?.to ?? this.#low;
    for (const done of this.#done) reach = Math.max(reach, done + 1);
    return reach;
  }

  /** How many offsets from this one on are done, those below `low` left out. */
  doneFrom(offset: number): number {
    return this.#countBetween(offset, Infinity);
  }

  /** True if the offset can be remembered as done while `low` stays. */
  holds(offset: number): boolean {
    return offset < this.#low + this.span;
  }

  /**
   * Notes that everything below `next` has been delivered, except the offsets of `records`, which are in order: those
   * are gaps.
   */
  deliver(offsets: readonly number[], next: number): void {
    let at = this.#next;
    for (const offset of offsets) {
      this.#skip(at, offset);
      at = Math.max(at, offset + 1);
    }
    this.#skip(at, next);
    this.#next = Math.max(this.#next, next);
    this.#advance();
  }

  finish(offset: number): void {
    if (!this.isDone(offset)) this.#done.add(offset);
    this.#advance();
  }

  /**
   * The bitset of what is done above `low`, in base64; bit 0 stands for `low + 1`. Gaps beyond the span are left out:
   * whoever reads on from here meets them again.
   */
  get metadata(): string {
    const first = this.#low + 1;
    const end = Math.min(this.reach, this.#low + this.span);
    if (end <= first) return '';
    const bits = new Uint8Array(Math.ceil((end - first) / 8));
    const set = (offset: number) => {
      const bit = offset - first;
      if (offset < end) bits[bit >> 3] = (bits[bit >> 3] ?? 0) | (1 << (bit & 7));
    };
    for (const offset of this.#done) set(offset);
    for (const { from, to } of this.#gaps) {
      for (let offset = from; offset < Math.min(to, end); offset++) set(offset);
    }
    return Buffer.from(bits).toString('base64');
  }

  #skip(from: number, to: number): void {
    if (to <= from) return;
    this.#forget(from, to);
    const last = this.#gaps.at(-1);
    if (last?.to === from) last.to = to;
    else this.#gaps.push({ from, to });
  }

  #advance(): void {
    for (;;) {
      const [gap] = this.#gaps;
      if (gap && gap.from <= this.#low) {
        this.#low = gap.to;
        this.#gaps.shift();
      } else if (this.#done.delete(this.#low)) {
        this.#low++;
      } else {
        break;
      }
    }
    this.#next = Math.max(this.#next, this.#low);
  }

  /** What an earlier epoch had done there is a gap by now. */
  #forget(from: number, to: number): void {
    if (this.#done.size === 0) return;
    if (to - from < this.#done.size) {
      for (let offset = from; offset < to; offset++) this.#done.delete(offset);
    } else {
      for (const done of this.#done) if (done >= from && done < to) this.#done.delete(done);
    }
  }

  /** How many offsets are done from one on and before the other. */
  #countBetween(from: number, to: number): number {
    let count = 0;
    for (const done of this.#done) if (done >= from && done < to) count++;
    for (const gap of this.#gaps) {
      count += Math.max(0, Math.min(gap.to, to) - Math.max(gap.from, from));
    }
    return count;
  }

  #isGap(offset: number): boolean {
    let [low, high] = [0, this.#gaps.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#gaps[middle]?.to ?? 0) <= offset) low = middle + 1;
      else high = middle;
    }
    return (this.#gaps[low]?.from ?? Infinity) <= offset;
  }
}

interface Gap {
  readonly from: number;
  /** Behind its last offset. */
  to: number;
}

function* offsetsOf(metadata: string, position: number): Generator<number> {
  for (const [index, byte] of Buffer.from(metadata, 'base64').entries()) {
    for (let bit = 0; bit < 8; bit++) {
      if ((byte & (1 << bit)) !== 0) yield position + 1 + index * 8 + bit;
    }
  }
}
