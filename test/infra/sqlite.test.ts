import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createGroupCommit, openDatabase } from '../../infra/sqlite.ts';
import { systemTime } from '../../infra/time.ts';

test('whoever comes first makes a file, and all who come at the same time use it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'spar-sqlite-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const files = Array.from({ length: 20 }, (_, index) => join(folder, `${index}.sqlite`));
  const gate = new Int32Array(new SharedArrayBuffer(4 * files.length));
  const openers = 2;
  const said = await Promise.all(
    Array.from({ length: openers }, async () => {
      const worker = new Worker(new URL('./opener.ts', import.meta.url), {
        workerData: { files, gate, openers },
      });
      const [message] = (await once(worker, 'message')) as [readonly string[]];
      return message;
    }),
  );
  expect(said.flat().filter((one) => one !== 'fine')).toEqual([]);
});

describe('writes that share a transaction', () => {
  async function shared(writesMax = 1000) {
    const folder = await mkdtemp(join(tmpdir(), 'spar-sqlite-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const file = join(folder, 'shared.sqlite');
    const create = (made: ReturnType<typeof openDatabase>) =>
      made.exec('CREATE TABLE numbers (number INTEGER PRIMARY KEY)');
    const database = openDatabase({ file, version: 1, create });
    const happened: string[] = [];
    const commits = createGroupCommit(
      database,
      { time: systemTime, lingerMs: 5, bytesMax: 1 << 20, writesMax },
      { done: () => happened.push('done'), undone: () => happened.push('undone') },
    );
    const insert = database.prepare('INSERT INTO numbers VALUES (?)');
    const add = (number: number) => commits.write(() => insert.run(number), 1);
    const numbers = () => database.prepare('SELECT number FROM numbers').all().flat();
    const close = () => {
      commits.close();
      database.close();
    };
    return { add, numbers, happened, close };
  }

  test('come to their results, however many transactions they take', async () => {
    const { add, numbers, happened, close } = await shared(3);
    expect(await Promise.all([1, 2, 3, 4, 5, 6, 7].map(add))).toEqual([1, 1, 1, 1, 1, 1, 1]);
    expect(numbers()).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(happened).toEqual(['done', 'done', 'done']);
    close();
  });

  test('are undone together, and later ones are not held up by that', async () => {
    const { add, numbers, happened, close } = await shared();
    for (const { status } of await Promise.allSettled([add(1), add(1)])) {
      expect(status).toBe('rejected');
    }
    await add(2);
    expect(numbers()).toEqual([2]);
    expect(happened).toEqual(['undone', 'done']);
    close();
  });

  test('that are being flushed or still wait are safe when it closes; none can come later', async () => {
    const { add, close } = await shared(1);
    const flushing = add(1);
    const waiting = add(2);
    close();
    expect(await Promise.all([flushing, waiting])).toEqual([1, 1]);
    await expect(add(3)).rejects.toThrow('closed');
  });
});
