import type { Chance } from '../../../processors/rules/chance.ts';
import { RunError } from '../../errors.ts';

/** Numbers of a signature; more make the estimate finer, and each costs a byte a prompt. */
const hashes = 96;
/** How many of 100 pairs of prompts at the threshold share a band at least: fewer are looked at with longer bands. */
const recall = 0.98;
/** Prompts with the same band that are looked at: of a template that thousands share, it would be all of them. */
const chainMax = 256;
/** Of those that look similar, the ones that are most so are told of: each is compared word by word. */
const similarMax = 16;
/** By so much an estimate of 96 numbers may be too small: three times its standard error, and a little. */
const margin = 0.13;

/**
 * Finds the prompts that are probably similar to one, among those that were added before: prompts of which a band of
 * their signatures is the same. What it answers depends on the order of adding and on chance alone.
 *
 * Memory for each prompt: 96 bytes, and at most 12 for each band, of which there are 9 to 32 by threshold.
 *
 * Source: Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", chapter 3.
 */
export class MinHashIndex {
  private readonly threshold: number;
  private readonly rows: number;
  private readonly bands: number;
  private readonly factors: Int32Array;
  /** One byte of each number. */
  private readonly signatures: Uint8Array;
  /** The last entry with a band, by the hash of the band; an entry is item · bands + band. */
  private readonly heads: Int32Array;
  /** The entry before it, by entry. */
  private readonly before: Int32Array;
  private items = 0;

  /** @param itemsMax how many are going to be added at most */
  constructor(itemsMax: number, threshold: number, chance: Chance) {
    this.threshold = threshold;
    this.rows = rowsFor(threshold);
    this.bands = Math.floor(hashes / this.rows);
    const entries = itemsMax * this.bands;
    if (entries > 2 ** 30) {
      throw new RunError(
        `near-duplicate search holds at most ${Math.floor(2 ** 30 / this.bands)} prompts, and there are ${itemsMax}: export fewer, or set export.gates.duplicates.near to null`,
      );
    }
    this.factors = Int32Array.from({ length: 2 * hashes }, (_, at) =>
      Math.floor(chance(`minhash/${at}`) * 2 ** 32),
    );
    this.signatures = new Uint8Array(itemsMax * hashes);
    this.heads = new Int32Array(2 ** Math.ceil(Math.log2(Math.max(2, entries)))).fill(-1);
    this.before = new Int32Array(entries);
  }

  /** Of each of its hash functions, the smallest value over all grams. */
  signature(grams: Iterable<string>): Uint32Array {
    const smallest = new Uint32Array(hashes).fill(0xffffffff);
    for (const gram of grams) {
      const seed = hashOf(gram);
      for (let at = 0; at < hashes; at += 1) {
        let value = Math.imul(seed ^ (this.factors[2 * at] ?? 0), 0x85ebca6b);
        value = Math.imul(value ^ (value >>> 13), (this.factors[2 * at + 1] ?? 0) | 1);
        value = (value ^ (value >>> 16)) >>> 0;
        if (value < (smallest[at] ?? 0)) smallest[at] = value;
      }
    }
    return smallest;
  }

  /** The numbers, in the order of adding, of those that may be similar enough, the most similar first. */
  similar(signature: Uint32Array): readonly number[] {
    const found = new Map<number, number>();
    for (let band = 0; band < this.bands; band += 1) {
      let entry = this.heads[this.slot(signature, band)] ?? -1;
      for (let walked = 0; entry >= 0 && walked < chainMax; walked += 1) {
        const item = Math.floor(entry / this.bands);
        if (!found.has(item)) found.set(item, this.estimate(item, signature));
        entry = this.before[entry] ?? -1;
      }
    }
    return [...found]
      .filter(([, estimate]) => estimate >= this.threshold - margin)
      .sort(([one, share], [other, otherShare]) => otherShare - share || one - other)
      .slice(0, similarMax)
      .map(([item]) => item);
  }

  add(signature: Uint32Array): void {
    const item = this.items++;
    for (let at = 0; at < hashes; at += 1) {
      this.signatures[item * hashes + at] = (signature[at] ?? 0) & 0xff;
    }
    for (let band = 0; band < this.bands; band += 1) {
      const slot = this.slot(signature, band);
      const entry = item * this.bands + band;
      // An entry points back to an earlier one, or to none.
      this.before[entry] = this.heads[slot] ?? -1;
      this.heads[slot] = entry;
    }
  }

  private slot(signature: Uint32Array, band: number): number {
    let hash = Math.imul(band + 1, 0x9e3779b1);
    for (let at = band * this.rows; at < (band + 1) * this.rows; at += 1) {
      hash = Math.imul(hash ^ (signature[at] ?? 0), 0x85ebca6b);
      hash ^= hash >>> 15;
    }
    return hash & (this.heads.length - 1);
  }

  /** Of two bytes that have nothing to do with each other, one of 256 is equal. */
  private estimate(item: number, signature: Uint32Array): number {
    let equal = 0;
    for (let at = 0; at < hashes; at += 1) {
      if (this.signatures[item * hashes + at] === ((signature[at] ?? 0) & 0xff)) equal += 1;
    }
    return (equal / hashes - 1 / 256) / (1 - 1 / 256);
  }
}

/** The longest bands that still find nearly all at the threshold: they bring up the fewest others. */
function rowsFor(threshold: number): number {
  for (let rows = 10; rows > 3; rows -= 1) {
    const bands = Math.floor(hashes / rows);
    if (1 - (1 - threshold ** rows) ** bands >= recall) return rows;
  }
  return 3;
}

/** FNV-1a over UTF-16, stirred. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
  return hash ^ (hash >>> 15);
}
