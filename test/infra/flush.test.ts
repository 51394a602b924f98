import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { createGroupCommit, openDatabase } from '../../infra/sqlite.ts';
import { systemTime } from '../../infra/time.ts';

/** What the disk says to the next flushes, and to those that wait for one. */
const disk = vi.hoisted(() => ({
  says: null as string | null,
  opens: true,
  delayed: [] as (() => void)[],
  isSlow: false,
}));
vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>();
  const failure = (code: string) => Object.assign(new Error(code), { code, syscall: 'fdatasync' });
  return {
    ...fs,
    openSync: (...[file, ...rest]: Parameters<typeof fs.openSync>) => {
      if (!disk.opens) throw failure('EIO');
      return fs.openSync(file, ...rest);
    },
    fdatasync: (file: number, done: (error: Error | null) => void) => {
      const { says } = disk;
      const go = () => (says === null ? fs.fdatasync(file, done) : done(failure(says)));
      if (disk.isSlow) disk.delayed.push(go);
      else setImmediate(go);
    },
  };
});
beforeEach(() => Object.assign(disk, { says: null, opens: true, delayed: [], isSlow: false }));

async function shared() {
  const folder = await mkdtemp(join(tmpdir(), 'spar-flush-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const database = openDatabase({
    file: join(folder, 'shared.sqlite'),
    version: 1,
    create: (made) => made.exec('CREATE TABLE numbers (number INTEGER PRIMARY KEY)'),
  });
  const limits = { time: systemTime, lingerMs: 1, bytesMax: 1 << 20, writesMax: 1 };
  const commits = createGroupCommit(database, limits);
  const insert = database.prepare('INSERT INTO numbers VALUES (?)');
  return {
    add: (number: number) => commits.write(() => insert.run(number), 1),
    close: () => {
      commits.close();
      database.close();
    },
  };
}

describe('after a flush that failed', () => {
  test.each([
    ['EIO', 'other', 'the disk or the file system reports an error'],
    ['ENOSPC', 'full', 'the disk is full'],
    ['EDQUOT', 'full', 'the disk is full'],
    ['EROFS', 'read-only', 'cannot be written'],
  ])('with %s nothing is acknowledged, then or later: %s', async (says, code, words) => {
    const { add, close } = await shared();
    await add(1);
    disk.says = says;
    const both = [add(2), add(3)];
    for (const one of both) {
      await expect(one).rejects.toMatchObject({ name: 'StorageError', code });
    }
    disk.says = null;
    await expect(add(4)).rejects.toThrow(words);
    close();
  });

  test('since the file could not be opened, nobody waits without end', async () => {
    const { add, close } = await shared();
    disk.opens = false;
    await expect(add(1)).rejects.toMatchObject({ name: 'StorageError', code: 'other' });
    close();
  });

  test('that was under way when it closed, nothing is acknowledged', async () => {
    const { add, close } = await shared();
    Object.assign(disk, { isSlow: true, says: 'EIO' });
    const both = [add(1), add(2)];
    // The disk tells an error once: the flush at the end hears nothing of it.
    close();
    for (const go of disk.delayed) go();
    for (const { status } of await Promise.allSettled(both)) expect(status).toBe('rejected');
  });
});
