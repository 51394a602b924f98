import { createCounters } from './counters.ts';
import type { Journal, JournalEntry } from './journal.ts';

/** A journal in memory, for tests and simulations. */
export function createMemoryJournal(): Journal {
  const entriesById = new Map<string, JournalEntry>();
  const notes = new Map<string, string>();
  const counters = createCounters();
  return {
    find: (ids) => ids.map((id) => entriesById.get(id) ?? null),
    async put(iteration, entries, added) {
      counters.add(iteration, added);
      // Resolves in a later turn, like a journal that waits for a disk.
      await Promise.resolve();
      for (const { id, choice, spend } of entries) {
        if (!entriesById.has(id)) entriesById.set(id, { choice, spend });
      }
    },
    count: (iteration, added) => {
      counters.add(iteration, added);
    },
    counters: (iteration) => counters.of(iteration),
    note: (key) => notes.get(key) ?? null,
    async setNote(key, json) {
      await Promise.resolve();
      notes.set(key, json);
    },
    close: () => Promise.resolve(),
  };
}
