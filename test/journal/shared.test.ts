import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openSharedJournal, readAllCounters } from '../../infra/journal/shared.ts';
import { openSqliteJournal } from '../../infra/journal/sqlite.ts';
import { systemTime } from '../../infra/time.ts';
import { drawId, entry, journalContract } from '../contract/journal.ts';
import { instantTime } from '../support/time.ts';

async function folderOf(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'spar-shared-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

/** A journal whose process ends with the test. */
function openIn(folder: string, time = systemTime) {
  const journal = openSharedJournal({ folder, time });
  let open = true;
  const close = async () => {
    if (open) await journal.close();
    open = false;
  };
  onTestFinished(close);
  return { ...journal, close };
}

journalContract('a journal among siblings', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'spar-shared-'));
  const journal = openSharedJournal({ folder, time: systemTime });
  return {
    journal,
    dispose: async () => {
      await journal.close();
      await rm(folder, { recursive: true });
    },
  };
});

test('what one process has paid for, all others of the home find', async () => {
  const folder = await folderOf();
  const [one, other] = [openIn(folder), openIn(folder)];
  await one.put('i', [{ id: drawId(1), ...entry('of one') }], {});
  await other.put('i', [{ id: drawId(2), ...entry('of other') }], {});
  const ids = [3, 2, 1].map(drawId);
  expect(one.find(ids)).toEqual([null, entry('of other'), entry('of one')]);
  expect(other.find(ids)).toEqual(one.find(ids));
});

test('one that comes later finds what is there, and is found within a second', async () => {
  const folder = await folderOf();
  const time = instantTime();
  const first = openIn(folder, time);
  expect(first.find([drawId(2)])).toEqual([null]);
  await first.put('i', [{ id: drawId(1), ...entry('early') }], {});
  const second = openIn(folder);
  await second.put('i', [{ id: drawId(2), ...entry('late') }], {});
  expect(second.find([drawId(1)])).toEqual([entry('early')]);
  await time.sleep(1000);
  expect(first.find([drawId(2)])).toEqual([entry('late')]);
});

test('the journal of a run on one machine is a sibling, and is not written', async () => {
  const folder = await folderOf();
  const run = openSqliteJournal({ file: join(folder, 'journal.sqlite'), time: systemTime });
  await run.put('i', [{ id: drawId(1), ...entry('of the run') }], { 'calls.sample': 1 });
  await run.setNote('probe', '{"n":1}');
  await run.close();
  const worker = openIn(folder);
  await worker.put('i', [{ id: drawId(2), ...entry('of the worker') }], { 'calls.sample': 2 });
  expect(worker.find([1, 2].map(drawId))).toEqual([entry('of the run'), entry('of the worker')]);
  expect(worker.note('probe')).toBe('{"n":1}');
  expect(worker.counters('i')).toEqual({ 'calls.sample': 3 });
});

test('each process has a journal of its own, and leaves it to the next', async () => {
  const folder = await folderOf();
  const [one, other] = [openIn(folder), openIn(folder)];
  expect([one.slot, other.slot]).toEqual([1, 2]);
  await one.put('i', [{ id: drawId(1), ...entry('kept') }], {});
  await one.close();
  const next = openIn(folder);
  expect(next.slot).toBe(1);
  expect(next.find([drawId(1)])).toEqual([entry('kept')]);
});

test('what was counted is the sum over all of them, beside those who write', async () => {
  const folder = await folderOf();
  const [one, other] = [openIn(folder), openIn(folder)];
  await one.put('i', [{ id: drawId(1), ...entry('a') }], { 'calls.judge': 2 });
  await other.put('i', [{ id: drawId(2), ...entry('b') }], { 'calls.judge': 3, cost: 0.5 });
  expect(readAllCounters(folder, 'i')).toEqual({ 'calls.judge': 5, cost: 0.5 });
  expect(readAllCounters(folder, 'none')).toEqual({});
});
