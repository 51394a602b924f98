import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openSqliteJournal, readCounters } from '../../infra/journal/sqlite.ts';
import { openDatabase } from '../../infra/sqlite.ts';
import { systemTime } from '../../infra/time.ts';
import { drawId, entry, journalContract } from '../contract/journal.ts';

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'spar-journal-'));
  file = join(folder, 'journal.db');
});
afterEach(() => rm(folder, { recursive: true }));

const open = (lingerMs = 5) => openSqliteJournal({ file, time: systemTime, lingerMs });

journalContract('the journal on SQLite', () => {
  const journal = open();
  return Promise.resolve({ journal, dispose: () => journal.close() });
});

test('everything is there after it was closed and opened again, counters to the unit', async () => {
  const first = open();
  await first.put('i', [{ id: drawId(1), ...entry('a') }], { calls: 1 });
  first.count('i', { calls: 1, retries: 1 });
  await first.setNote('probe', '{}');
  first.count('i', { calls: 1 });
  await first.close();
  const second = open();
  expect(second.find([drawId(1)])).toEqual([entry('a')]);
  expect(second.counters('i')).toEqual({ calls: 3, retries: 1 });
  expect(second.note('probe')).toBe('{}');
  // Beside the process that writes it, too.
  expect(readCounters(file, 'i')).toEqual({ calls: 3, retries: 1 });
  await second.close();
  expect(await readdir(folder)).toEqual(['journal.db']);
});

test('a batch that cannot be written is rejected as one, and its counters go with the next', async () => {
  const journal = open();
  await journal.put('i', [{ id: drawId(1), ...entry('a') }], { calls: 1 });
  const database = openDatabase({ file, version: 1, create: () => undefined });
  database.exec(
    `CREATE TRIGGER refuse BEFORE INSERT ON draws WHEN NEW.position = 1
     BEGIN SELECT RAISE(ABORT, 'refused'); END`,
  );
  const both = [
    journal.put('i', [{ id: drawId(2), ...entry('b') }], { calls: 1 }),
    journal.put(
      'i',
      [3, 4].map((number) => ({ id: drawId(number), ...entry('c') })),
      { calls: 1 },
    ),
  ];
  for (const { status } of await Promise.allSettled(both)) expect(status).toBe('rejected');
  expect(journal.find([2, 3, 4].map(drawId))).toEqual([null, null, null]);
  expect(readCounters(file, 'i')).toEqual({ calls: 1 });
  database.exec('DROP TRIGGER refuse');
  database.close();
  await journal.put('i', [{ id: drawId(5), ...entry('d') }], { calls: 1 });
  expect(readCounters(file, 'i')).toEqual({ calls: 4 });
  expect(journal.find([drawId(5)])).toEqual([entry('d')]);
  await journal.close();
});

test('what close finds waiting is written', async () => {
  const journal = open(60_000);
  const waiting = journal.put('i', [{ id: drawId(1), ...entry('a') }], {});
  await journal.close();
  await waiting;
  const again = open();
  expect(again.find([drawId(1)])).toEqual([entry('a')]);
  await again.close();
});

test('SIGKILL loses no acknowledged answer, and the counters match the answers exactly', async () => {
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL('./writer.ts', import.meta.url)), file],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const gone = once(child, 'exit');
  const acknowledged: number[] = [];
  for await (const line of createInterface(child.stdout)) {
    acknowledged.push(Number(line));
    if (acknowledged.length === 200) child.kill('SIGKILL');
  }
  await gone;
  const journal = open();
  const found = journal.find(Array.from({ length: 100_000 }, (_, number) => drawId(number)));
  for (const number of acknowledged) expect(found[number]).toEqual(entry(`answer ${number}`));
  expect(journal.counters('i')).toEqual({ calls: found.filter((known) => known !== null).length });
  await journal.close();
});
