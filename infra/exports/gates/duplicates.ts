import { createHash } from 'node:crypto';
import type { Chance } from '../../../processors/rules/chance.ts';
import type { Message } from '../../../schemas/records.ts';
import type { Candidates, Fit } from '../candidates.ts';
import { openScratch } from '../scratch.ts';
import type { GateSettings } from '../settings.ts';
import type { Finding } from './gate.ts';
import { MinHashIndex } from './minhash.ts';
import { gramsOf, textOf, wordsOf } from './words.ts';

/**
 * Leaves one instruction of those that have the same prompt, or nearly the same, with all of its pairs. It is asked
 * about pairs in the order of their draw, so the one that stays is the first in that order, not the first to arrive;
 * a pair is compared with those that stay, never with one that was left out.
 */
export class Duplicates {
  private readonly candidates: Candidates;
  private readonly near: { readonly index: MinHashIndex; readonly threshold: number } | null;
  /** The pairs that stand for their prompts: on disk, since there may be as many as pairs. */
  private readonly kept = openScratch(
    `CREATE TABLE kept (number INTEGER PRIMARY KEY, prompt TEXT NOT NULL UNIQUE, row INTEGER NOT NULL,
      id TEXT NOT NULL, instruction TEXT NOT NULL)`,
  );
  private readonly find;
  private readonly keep;
  private readonly at;
  private count = 0;

  constructor(candidates: Candidates, { near }: GateSettings['duplicates'], chance: Chance) {
    this.candidates = candidates;
    this.near =
      near === null
        ? null
        : { index: new MinHashIndex(candidates.count(), near, chance), threshold: near };
    this.find = this.kept.prepare('SELECT id, instruction FROM kept WHERE prompt = ?');
    this.keep = this.kept.prepare('INSERT INTO kept VALUES (?, ?, ?, ?, ?)');
    this.at = this.kept.prepare('SELECT id, instruction, row FROM kept WHERE number = ?');
  }

  findingOf(pair: Fit): Finding | null {
    const print = this.near ? printOf(pair.prompt) : pair.prompt;
    const same = this.find.get(print);
    if (same) {
      return same[1] === pair.instruction ? null : { reason: 'duplicate', detail: String(same[0]) };
    }
    const similar = this.near && this.similarTo(pair, this.near);
    if (similar) return similar;
    this.keep.run(this.count++, print, pair.row, pair.id, pair.instruction);
    return null;
  }

  close(): void {
    this.kept.close();
  }

  private similarTo(
    { prompt, instruction }: Fit,
    { index, threshold }: NonNullable<Duplicates['near']>,
  ): Finding | null {
    const grams = triplesOf(prompt);
    const signature = index.signature(grams);
    for (const number of index.similar(signature)) {
      const [id, theirs, row] = this.at.get(number) ?? [];
      if (theirs === instruction) continue;
      const share = inCommon(grams, triplesOf(this.candidates.prompt(Number(row))));
      if (share >= threshold) {
        return { reason: 'near-duplicate', detail: `${String(id)} ${share.toFixed(3)}` };
      }
    }
    index.add(signature);
    return null;
  }
}

/**
 * What is kept of a prompt until it is compared: all of it where nearly equal ones are looked for, else its hash, and
 * nothing where none are.
 */
export function keptOf(
  { exact, near }: GateSettings['duplicates'],
  messages: readonly Message[],
): string {
  if (near !== null) return promptOf(messages);
  return exact ? printOf(promptOf(messages)) : '';
}

const printOf = (prompt: string): string => createHash('sha256').update(prompt).digest('base64');

/** The turns, whatever the gaps between words. */
const promptOf = (messages: readonly Message[]): string =>
  JSON.stringify(
    messages.map(({ role, content }) => ({
      role,
      content: content.trim().replaceAll(/\s+/g, ' '),
    })),
  );

const triplesOf = (prompt: string): ReadonlySet<string> =>
  // What `promptOf` wrote.
  gramsOf(wordsOf(textOf(JSON.parse(prompt) as readonly Message[])), 3);

/** Jaccard's index. */
function inCommon(one: ReadonlySet<string>, other: ReadonlySet<string>): number {
  let both = 0;
  for (const triple of one) if (other.has(triple)) both += 1;
  const either = one.size + other.size - both;
  return either === 0 ? 1 : both / either;
}
