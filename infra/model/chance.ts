/** Limits that tell high from low: at least, and at most, so much of the high one. */
const [high, low] = [0.85, 0.7];
/** So many refusals at the low limit are enough to compare. */
const enough = 5;
/** Calls after which a comparison that has come to nothing begins anew. */
const callsMax = 200;
/** Refusals are by chance if there are at least so many at the low limit for each at the high one ... */
const asMany = 0.5;
/** ... but an endpoint that refuses a larger share cannot do more. */
const shareMax = 0.35;
/** By chance no longer: so many times what it was, or so little of it, over about so many calls. */
const [more, fewer, recent] = [3, 0.2, 100];

interface Counted {
  readonly limit: number;
  calls: number;
  refused: number;
}

/**
 * Tells refusals by chance from those for want of room: they do not become rarer when less is asked. A gateway in
 * front of a server, or one that shares it with others, refuses some of the calls whatever is in flight; a limit that
 * gave way to them would sink to one.
 */
export class Chance {
  #high: Counted = { limit: 0, calls: 0, refused: 0 };
  #low: Counted | null = null;
  /** Of the calls, lately; null as long as refusals are taken to be for want of room. */
  #share: number | null = null;
  /** When that was found. */
  #found = 0;

  /** Whether refusals are by chance. */
  get isAtWork(): boolean {
    return this.#share !== null;
  }

  answered(limit: number): void {
    if (this.#share === null) this.#count(limit, 0);
    else this.#follow(0);
  }

  /** The limit to go back to, if it shows with this refusal that it has sunk for nothing. */
  refused(limit: number): number | null {
    if (this.#share !== null) {
      this.#follow(1);
      return null;
    }
    this.#count(limit, 1);
    const [before, now] = [this.#high, this.#low];
    if (!now || now.refused < enough) return null;
    const share = now.refused / now.calls;
    this.#begin(limit);
    if (share > shareMax || share < (asMany * before.refused) / before.calls) return null;
    this.#share = share;
    this.#found = share;
    return before.limit;
  }

  #count(limit: number, refused: number): void {
    const { calls } = this.#low ?? this.#high;
    if (calls >= callsMax || limit * high > this.#high.limit) this.#begin(limit);
    if (limit <= low * this.#high.limit) this.#low ??= { limit, calls: 0, refused: 0 };
    const counted = limit >= high * this.#high.limit ? this.#high : this.#low;
    if (!counted) return;
    counted.calls++;
    counted.refused += refused;
  }

  #begin(limit: number): void {
    this.#high = { limit, calls: 0, refused: 0 };
    this.#low = null;
  }

  #follow(refused: number): void {
    const share = this.#share ?? 0;
    const now = share + (refused - share) / recent;
    this.#share = now > more * this.#found || now < fewer * this.#found ? null : now;
  }
}
