import { constants, zstdCompressSync } from 'node:zlib';
import { transaction, type Database } from '../sqlite.ts';
import { answersIn } from './batch.ts';

/** What is to be written together, as a message: it goes to a thread of its own (`thread.ts`). */
export interface Batch {
  /** As `PackedAnswers` has them. */
  readonly answers: Uint8Array<ArrayBuffer>;
  readonly notes: readonly (readonly [key: string, json: string])[];
  readonly counters: readonly (readonly [iteration: string, name: string, value: number])[];
}

/** Writes a batch, durably: all of it or nothing. */
export function openWrites(database: Database): (batch: Batch) => void {
  const addAnswer = database.prepare(
    'INSERT INTO answers (iteration, body) VALUES (?, ?) RETURNING id',
  );
  const addDraw = database.prepare('INSERT OR IGNORE INTO draws VALUES (?, ?, ?)');
  const addCounter = database.prepare(
    `INSERT INTO counters VALUES (?, ?, ?)
     ON CONFLICT DO UPDATE SET value = value + excluded.value`,
  );
  const setNote = database.prepare(
    'INSERT INTO notes VALUES (?, ?) ON CONFLICT DO UPDATE SET json = excluded.json',
  );
  return ({ answers, notes, counters }) =>
    transaction(database, () => {
      for (const counter of counters) addCounter.run(...counter);
      for (const note of notes) setNote.run(...note);
      for (const { iteration, ids, body } of answersIn(answers)) {
        const answer = addAnswer.get(iteration, compressed(body))?.[0] ?? null;
        for (const [position, id] of ids.entries()) addDraw.run(id, answer, position);
      }
    });
}

function compressed(bytes: Uint8Array): Buffer {
  // Told how much comes, it makes no larger tables and no larger buffer than that needs.
  return zstdCompressSync(bytes, {
    pledgedSrcSize: bytes.length,
    chunkSize: Math.max(constants.Z_MIN_CHUNK, bytes.length),
  });
}
