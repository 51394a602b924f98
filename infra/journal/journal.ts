import type { Choice } from '../../processors/processor.ts';
import type { Spend } from '../../schemas/records.ts';

/**
 * The answers that have been paid for, by draw, and what they cost: after a crash nothing journaled is asked
 * again. Adapters: SQLite and memory; both pass `test/contract/journal.ts`.
 */
export interface Journal {
  /** The entry of each draw, in the order of `ids` (128 bits each, in hex); null where there is none yet. */
  find(ids: readonly string[]): readonly (JournalEntry | null)[];

  /**
   * Keeps one answer, all of its draws or none, together with its counters; resolves when both are durable.
   * A draw that is already there keeps its first entry.
   */
  put(
    iteration: string,
    entries: readonly (JournalEntry & { readonly id: string })[],
    counters: Readonly<Record<string, number>>,
  ): Promise<void>;

  /** Adds to the iteration's counters; durable with the next `put`, `setNote` or `close`. */
  count(iteration: string, counters: Readonly<Record<string, number>>): void;

  /** What was counted for the iteration since it opened, by this and earlier processes. */
  counters(iteration: string): Readonly<Record<string, number>>;

  /** A small JSON text that outlives the process, such as what a probe found; null if never set. */
  note(key: string): string | null;

  /** Resolves when durable. */
  setNote(key: string, json: string): Promise<void>;

  /** Makes everything durable that was put or counted before. */
  close(): Promise<void>;
}

/** Letters of their ids that the draws of a request have in common: they lie side by side, and are looked up so. */
export const familyLength = 24;

/** One draw as it was answered. */
export interface JournalEntry {
  readonly choice: Choice;
  readonly spend: Spend;
}
