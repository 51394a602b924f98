import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { StorageError, tryLock } from '../sqlite.ts';
import type { Time } from '../time.ts';
import { createCounters } from './counters.ts';
import type { Journal } from './journal.ts';
import { openSqliteJournal, viewSqliteJournal, type JournalView } from './sqlite.ts';

/** A journal of a home that several processes of one machine work in. */
export interface SharedJournal extends Journal {
  /** Which of the home's journals this process writes; nobody else has the same meanwhile. */
  readonly slot: number;
}

/** Files of processes that work at the same time; one that ends leaves its own to the next. */
const slotsMax = 256;
/** How often a process looks for journals that others have begun. */
const lookMs = 1000;
/** Any journal of a home; `journal.sqlite` is that of a run on one machine. */
const journalPattern = /^journal(-\d+)?\.sqlite$/;

/**
 * Each process writes a journal of its own, and reads those of its siblings: an answer that any process of this
 * machine has paid for is not asked for again by another.
 *
 * @throws StorageError if a file is damaged, or all of the slots are taken
 */
export function openSharedJournal(options: {
  readonly folder: string;
  readonly time: Time;
}): SharedJournal {
  const { folder, time } = options;
  const { slot, release } = takeSlot(folder);
  const name = `journal-${slot}.sqlite`;
  let own: Journal;
  try {
    own = openSqliteJournal({ file: join(folder, name), time });
  } catch (error) {
    release();
    throw error;
  }
  const siblings = new Map<string, JournalView>();
  let lookedAt = -Infinity;

  /** Journals come with their processes, and stay. */
  function look(): Iterable<JournalView> {
    const now = time.monotonic();
    if (now - lookedAt >= lookMs) {
      lookedAt = now;
      for (const file of readdirSync(folder)) {
        if (file === name || siblings.has(file) || !journalPattern.test(file)) continue;
        const view = viewIfReady(join(folder, file));
        if (view) siblings.set(file, view);
      }
    }
    return siblings.values();
  }

  return {
    ...own,
    slot,
    find(ids) {
      const found = [...own.find(ids)];
      for (const sibling of found.includes(null) ? look() : []) {
        const missing = [...found.keys()].filter((place) => found[place] === null);
        const theirs = sibling.find(missing.map((place) => ids[place] ?? ''));
        for (const [index, place] of missing.entries()) found[place] = theirs[index] ?? null;
        if (!found.includes(null)) break;
      }
      return found;
    },
    note(key) {
      const mine = own.note(key);
      if (mine !== null) return mine;
      for (const sibling of look()) {
        const theirs = sibling.note(key);
        if (theirs !== null) return theirs;
      }
      return null;
    },
    counters(iteration) {
      const sums = createCounters();
      sums.add(iteration, own.counters(iteration));
      for (const sibling of look()) sums.add(iteration, sibling.counters(iteration));
      return sums.of(iteration);
    },
    async close() {
      for (const sibling of siblings.values()) sibling.close();
      siblings.clear();
      try {
        await own.close();
      } finally {
        release();
      }
    },
  };
}

/** What all journals of a home have counted for an iteration, read beside those who write them. */
export function readAllCounters(
  folder: string,
  iteration: string,
): Readonly<Record<string, number>> {
  const sums = createCounters();
  for (const counters of ofAll(folder, (view) => view.counters(iteration))) {
    sums.add(iteration, counters);
  }
  return sums.of(iteration);
}

/** What the journals of a home have noted under a key, one each at most. */
export const readAllNotes = (folder: string, key: string): readonly string[] =>
  ofAll(folder, (view) => view.note(key)).filter((note) => note !== null);

function ofAll<Found>(folder: string, read: (view: JournalView) => Found): readonly Found[] {
  const found: Found[] = [];
  // A machine that only looks at a cluster has no journals.
  for (const file of existsSync(folder) ? readdirSync(folder) : []) {
    if (!journalPattern.test(file)) continue;
    const view = viewIfReady(join(folder, file));
    if (!view) continue;
    try {
      found.push(read(view));
    } finally {
      view.close();
    }
  }
  return found;
}

function takeSlot(folder: string): { readonly slot: number; readonly release: () => void } {
  for (let slot = 1; slot <= slotsMax; slot++) {
    const release = tryLock(join(folder, `worker-${slot}.lock`));
    if (release) return { slot, release };
  }
  throw new StorageError(
    'busy',
    `${folder} is worked in by ${slotsMax} processes; use another home`,
  );
}

/** Null while its process is still making it. */
function viewIfReady(file: string): JournalView | null {
  try {
    return viewSqliteJournal(file);
  } catch (error) {
    if (error instanceof StorageError && ['missing', 'busy'].includes(error.code)) return null;
    throw error;
  }
}
