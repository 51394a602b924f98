import { mkdtemp, mkdir, readdir, rm } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { silentLogger } from '../../infra/logger.ts';
import { openSiblings, type Place, type Worker } from '../../infra/siblings/siblings.ts';
import { systemTime } from '../../infra/time.ts';

const place: Place = { group: 'spar.judge', topic: 'spar.responses', partition: 3 };
const never = new AbortController().signal;

async function folderOf(name = ''): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'spar-siblings-'));
  onTestFinished(() => rm(made, { recursive: true, force: true }));
  const folder = join(made, name);
  await mkdir(folder, { recursive: true });
  return folder;
}

/** A process that holds some places and asks for some draws. */
function workerOf(held: readonly Place[] = [], draws: readonly string[] = []) {
  const released: Place[] = [];
  const listeners = new Set<(ended: readonly string[]) => void>();
  const worker: Worker = {
    release: (asked) => {
      released.push(asked);
      return Promise.resolve(held.some((one) => JSON.stringify(one) === JSON.stringify(asked)));
    },
    underWay: () => draws,
    onEnded: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  return {
    worker,
    released,
    listeners,
    end: (...ended: readonly string[]) => {
      for (const listener of listeners) listener(ended);
    },
  };
}

async function open(folder: string, slot: number, worker: Worker, change = {}) {
  const siblings = await openSiblings({
    folder,
    slot,
    worker,
    answerMs: 500,
    drawMs: 60_000,
    time: systemTime,
    logger: silentLogger,
    ...change,
  });
  onTestFinished(() => siblings.close());
  return siblings;
}

const settled = async (promise: Promise<void> | null): Promise<boolean> =>
  Promise.race([
    promise?.then(() => true),
    systemTime.sleep(30).then(() => false),
  ]) as Promise<boolean>;

describe('whoever takes a partition over', () => {
  test('asks the others of the home, and hears whether one of them had it', async () => {
    const folder = await folderOf();
    const [holder, other] = [workerOf([place]), workerOf()];
    await open(folder, 1, holder.worker);
    await open(folder, 2, other.worker);
    const third = await open(folder, 3, workerOf().worker);
    expect(await third.takeOver(place, never)).toBe(true);
    expect([holder.released, other.released]).toEqual([[place], [place]]);
    expect(await third.takeOver({ ...place, partition: 4 }, never)).toBe(false);
  });

  test('asks nobody where it is alone', async () => {
    const alone = await open(await folderOf(), 1, workerOf([place]).worker);
    expect(await alone.takeOver(place, never)).toBe(false);
  });

  test('does not wait for one that was killed, or that does not answer', async () => {
    const folder = await folderOf();
    const deaf: Worker = { ...workerOf().worker, release: () => new Promise(() => undefined) };
    await open(folder, 1, deaf);
    const gone = await open(folder, 2, workerOf([place]).worker);
    const mine = await open(folder, 3, workerOf().worker, { answerMs: 50 });
    await gone.close();
    expect(await mine.takeOver(place, never)).toBe(false);
  });

  test('finds the others behind a path that is too long for a socket', async () => {
    const folder = await folderOf('long'.repeat(30));
    await open(folder, 1, workerOf([place]).worker);
    const other = await open(folder, 2, workerOf().worker);
    expect(await other.takeOver(place, never)).toBe(true);
    expect(await readdir(folder)).toEqual([]);
  });
});

describe('a draw that a sibling is asking for', () => {
  test('is waited for until it has ended there', async () => {
    const folder = await folderOf();
    const holder = workerOf([place], ['a', 'b']);
    await open(folder, 1, holder.worker);
    const mine = await open(folder, 2, workerOf().worker);
    await mine.takeOver(place, never);
    const [a, b] = [mine.awaited('a'), mine.awaited('b')];
    expect(mine.awaited('c')).toBeNull();
    expect(await settled(a)).toBe(false);
    holder.end('a');
    expect(await settled(a)).toBe(true);
    expect(await settled(b)).toBe(false);
    expect(mine.awaited('a')).toBeNull();
  });

  test('is waited for by whoever has the partition by then, wherever it was in between', async () => {
    const folder = await folderOf();
    // It gave the place up before it was asked, and its call goes on.
    const earlier = workerOf([], ['a']);
    await open(folder, 1, earlier.worker);
    await open(folder, 2, workerOf([place]).worker);
    const mine = await open(folder, 3, workerOf().worker);
    expect(await mine.takeOver(place, never)).toBe(true);
    const a = mine.awaited('a');
    expect(await settled(a)).toBe(false);
    earlier.end('a');
    expect(await settled(a)).toBe(true);
  });

  test('is known before what was finished is committed, and also if that takes too long', async () => {
    const folder = await folderOf();
    const committed = Promise.withResolvers<boolean>();
    const slow = workerOf([place], ['a']);
    await open(folder, 1, { ...slow.worker, release: () => committed.promise });
    const mine = await open(folder, 2, workerOf().worker, { answerMs: 50 });
    expect(await mine.takeOver(place, never)).toBe(false);
    const a = mine.awaited('a');
    expect(await settled(a)).toBe(false);
    slow.end('a');
    expect(await settled(a)).toBe(true);
    committed.resolve(true);
  });

  test('is not waited for any longer once its process is gone', async () => {
    const folder = await folderOf();
    const theirs = await open(folder, 1, workerOf([place], ['a']).worker);
    const mine = await open(folder, 2, workerOf().worker);
    await mine.takeOver(place, never);
    const a = mine.awaited('a');
    await theirs.close();
    expect(await settled(a)).toBe(true);
  });

  test('nor for longer than a call may take', async () => {
    const folder = await folderOf();
    await open(folder, 1, workerOf([place], ['a']).worker);
    const mine = await open(folder, 2, workerOf().worker, { drawMs: 40 });
    await mine.takeOver(place, never);
    const a = mine.awaited('a');
    await systemTime.sleep(60);
    expect(await settled(a)).toBe(true);
  });
});

test('one that is killed before it has read the answer takes nobody with it', async () => {
  const folder = await folderOf();
  const holder = workerOf([place], ['a']);
  await open(folder, 1, holder.worker);
  const killed = createConnection(join(folder, 'worker-1.sock')).pause();
  killed.write(`${JSON.stringify({ release: place })}\n`);
  await expect.poll(() => holder.listeners.size).toBe(1);
  // What it has not read when it goes is an error at the other end, which would end the process if nobody heard it.
  killed.destroy();
  await expect.poll(() => holder.listeners.size).toBe(0);
  const other = await open(folder, 2, workerOf().worker);
  expect(await other.takeOver(place, never)).toBe(true);
});

test('nothing is left behind: no socket, no listener', async () => {
  const folder = await folderOf();
  const holder = workerOf([place], ['a']);
  const theirs = await open(folder, 1, holder.worker);
  const mine = await open(folder, 2, workerOf().worker);
  await mine.takeOver(place, never);
  expect(holder.listeners.size).toBe(1);
  await mine.close();
  await expect.poll(() => holder.listeners.size).toBe(0);
  await theirs.close();
  expect(await readdir(folder)).toEqual([]);
});
