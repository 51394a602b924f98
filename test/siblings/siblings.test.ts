import { chmod, chown, mkdir, mkdtemp, readdir, rm, stat, symlink } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
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
});

describe('where the path of the home is too long for a socket', () => {
  const long = 'long'.repeat(30);
  const user = process.getuid?.() ?? 0;

  async function temporaryFolder(name = ''): Promise<string> {
    const folder = await folderOf(name);
    vi.stubEnv('TMPDIR', folder);
    onTestFinished(() => {
      vi.unstubAllEnvs();
    });
    return folder;
  }

  test('the others are found in a folder of this user alone', async () => {
    const folder = await folderOf(long);
    const temporary = await temporaryFolder();
    await open(folder, 1, workerOf([place]).worker);
    const other = await open(folder, 2, workerOf().worker);
    expect(await other.takeOver(place, never)).toBe(true);
    expect(await readdir(folder)).toEqual([]);
    expect(await readdir(temporary)).toEqual([`spar-${user}`]);
    const own = join(temporary, `spar-${user}`);
    expect((await stat(own)).mode & 0o777).toBe(0o700);
    expect(await readdir(own)).toHaveLength(2);
  });

  test('a folder of that name that others may enter is not used', async () => {
    const folder = await folderOf(long);
    const own = join(await temporaryFolder(), `spar-${user}`);
    await mkdir(own);
    await chmod(own, 0o777);
    await expect(open(folder, 1, workerOf().worker)).rejects.toThrow(
      /spar-\d+ is not a folder that this user alone may enter.*--home/,
    );
    expect(await readdir(own)).toEqual([]);
  });

  test('nor one that somebody else has put a link in the place of', async () => {
    const folder = await folderOf(long);
    const temporary = await temporaryFolder();
    await mkdir(join(temporary, 'elsewhere'), { mode: 0o700 });
    await symlink(join(temporary, 'elsewhere'), join(temporary, `spar-${user}`));
    await expect(open(folder, 1, workerOf().worker)).rejects.toThrow('this user alone');
  });

  test.runIf(user === 0)('nor one that is somebody else’s', async () => {
    const folder = await folderOf(long);
    const own = join(await temporaryFolder(), `spar-${user}`);
    await mkdir(own, { mode: 0o700 });
    await chown(own, 12_345, 12_345);
    await expect(open(folder, 1, workerOf().worker)).rejects.toThrow('this user alone');
  });

  test('and the temporary folder’s, too, that is said', async () => {
    const folder = await folderOf(long);
    await temporaryFolder(long);
    await expect(open(folder, 1, workerOf().worker)).rejects.toThrow(/--home.*shorter TMPDIR/);
  });

  test('a folder that was cleared away leaves nobody to ask', async () => {
    const folder = await folderOf(long);
    const temporary = await temporaryFolder();
    const mine = await open(folder, 1, workerOf().worker);
    await rm(join(temporary, `spar-${user}`), { recursive: true });
    expect(await mine.takeOver(place, never)).toBe(false);
  });
});

describe('whoever is not one of us', () => {
  test.each([
    ['does not speak JSON', Buffer.from('hello\n')],
    ['says null', Buffer.from('null\n')],
    ['never ends a line', Buffer.alloc(9 * 1024 * 1024, 'a')],
  ])('and %s is hung up on', async (_name, bytes) => {
    const folder = await folderOf();
    const holder = workerOf([place]);
    await open(folder, 1, holder.worker);
    const stranger = createConnection(join(folder, 'worker-1.sock'));
    const closed = Promise.withResolvers<undefined>();
    stranger.on('error', () => undefined).on('close', () => closed.resolve(undefined));
    stranger.write(bytes);
    await closed.promise;
    expect(holder.released).toEqual([]);
    const other = await open(folder, 2, workerOf().worker);
    expect(await other.takeOver(place, never)).toBe(true);
  });

  test('and names more draws than there can be is waited for no more than others', async () => {
    const folder = await folderOf();
    const draws = Array.from({ length: 200_001 }, (_, index) => String(index));
    await open(folder, 1, workerOf([place], draws).worker);
    const mine = await open(folder, 2, workerOf().worker, { answerMs: 10_000 });
    expect(await mine.takeOver(place, never)).toBe(true);
    expect(mine.awaited('199999')).not.toBeNull();
    expect(mine.awaited('200000')).toBeNull();
  });
});

test('lines arrive in pieces, and several at once', async () => {
  const folder = await folderOf();
  const holder = workerOf([place], ['ä'.repeat(100_000)]);
  await open(folder, 1, holder.worker);
  const mine = await open(folder, 2, workerOf().worker);
  expect(await mine.takeOver(place, never)).toBe(true);
  expect(mine.awaited('ä'.repeat(100_000))).not.toBeNull();
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
