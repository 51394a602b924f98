import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { NewRecord, Subscriber } from '../../infra/log/log.ts';
import { openSqliteLog, type SqliteLogOptions } from '../../infra/log/sqlite.ts';
import { openDatabase, StorageError } from '../../infra/sqlite.ts';
import { systemTime, type Time } from '../../infra/time.ts';
import { contractTopics, logContract } from '../contract/log.ts';

const topic = 'spar.plain';
const many = { records: 100_000, bytes: 1 << 30 };
const record = (text: string, partition = 0): NewRecord => ({
  topic,
  partition,
  key: null,
  headers: {},
  value: Buffer.from(text),
});
const silent: Subscriber = {
  assigned: () => undefined,
  records: () => undefined,
  revoked: () => Promise.resolve(),
  failed: () => undefined,
};

logContract('the log on SQLite', async (clock) => {
  const folder = await mkdtemp(join(tmpdir(), 'spar-log-'));
  const log = openSqliteLog({
    file: join(folder, 'log.db'),
    topics: contractTopics(),
    partitions: 2,
    time: { ...systemTime, wall: () => clock.now },
  });
  const dispose = async () => {
    await log.close();
    await rm(folder, { recursive: true });
  };
  return { log, dispose };
});

describe('the log on SQLite', () => {
  let folder: string;
  let file: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'spar-log-'));
    file = join(folder, 'log.db');
  });
  afterEach(() => rm(folder, { recursive: true }));

  const open = (more: Partial<SqliteLogOptions> = {}) =>
    openSqliteLog({ file, topics: contractTopics(), partitions: 2, time: systemTime, ...more });
  const openReader = () =>
    openSqliteLog({ file, time: systemTime, readOnly: true, limits: { pollMs: 10 } });

  const thrown = (work: () => unknown): unknown => {
    try {
      work();
    } catch (error) {
      return error;
    }
    throw new Error('nothing was thrown');
  };

  test('everything is there after it was closed and opened again', async () => {
    const first = open();
    await first.append([record('a'), record('b', 1)]);
    const subscription = await first.subscribe('g', topic, silent);
    await subscription.commit(0, { outputs: [], position: 1, metadata: 'm' });
    await first.close();
    const second = open();
    expect(second.identity).toBe(first.identity);
    expect(await second.ends(topic)).toMatchObject([{ latest: 1 }, { latest: 1 }]);
    expect((await second.committed('g', topic))[0]).toMatchObject({ position: 1, metadata: 'm' });
    expect(await second.append([record('c')])).toEqual([1]);
    await second.close();
  });

  test('what close finds waiting is written', async () => {
    const log = open({ limits: { lingerMs: 60_000 } });
    const waiting = log.append([record('a')]);
    await log.close();
    expect(await waiting).toEqual([0]);
    await expect(log.append([record('b')])).rejects.toThrow();
  });

  test('a write does not wait for company once enough is waiting', async () => {
    const log = open({ limits: { lingerMs: 60_000, queueBytes: 10, queueWrites: 3 } });
    await log.append([record('0123456789')]);
    await Promise.all([
      log.append([record('')]),
      log.append([record('')]),
      log.append([record('')]),
    ]);
    await log.close();
  });

  test('a topic that the file lacks is added, and a topic can get keys later', async () => {
    await open({ topics: [{ name: 'one', keyed: false }], pipeline: 'p' }).close();
    const log = open({
      pipeline: 'p',
      topics: [
        { name: 'one', keyed: true },
        { name: 'two', keyed: false },
      ],
    });
    expect(log.topics).toEqual(['p.one', 'p.two']);
    await log.append([{ ...record('x'), topic: 'p.one', key: 'k' }]);
    expect(await log.latest('p.one', 'k')).not.toBeNull();
    await log.close();
  });

  test.each(['', 'a"; DROP TABLE meta; --', 'a b', 'x'.repeat(250)])(
    'a topic is not called %j',
    (name) => {
      expect(() => open({ topics: [{ name, keyed: false }] })).toThrow(/not a name/);
    },
  );

  describe('beside a running writer, a reader', () => {
    test('sees what was committed, is woken by it, and writes nothing', async () => {
      const writer = open();
      await writer.append([record('a')]);
      const reader = openReader();
      expect(await reader.read(topic, 0, 0, many)).toHaveLength(1);
      const woken = vi.fn();
      reader.watch(topic, { appended: woken, failed: vi.fn() });
      await sleep(30);
      expect(woken).not.toHaveBeenCalled();
      await writer.append([record('b')]);
      await vi.waitFor(() => expect(woken).toHaveBeenCalled());
      expect(await reader.read(topic, 0, 0, many)).toHaveLength(2);
      await expect(reader.append([record('c')])).rejects.toThrow(/reading only/);
      await expect(reader.subscribe('g', topic, silent)).rejects.toThrow(/reading only/);
      await expect(reader.retain(topic, 0)).rejects.toThrow(/reading only/);
      await reader.close();
      await writer.close();
    });

    test('does not keep the write-ahead log from shrinking between its pages', async () => {
      const writer = open();
      await writer.append(Array.from({ length: 100 }, () => record('x')));
      const reader = openReader();
      await reader.read(topic, 0, 0, { records: 100, bytes: 3 });
      await writer.append([record('y')]);
      // A statement left open would hold its snapshot, and make this checkpoint busy.
      const database = openDatabase({ file, version: 1, create: () => undefined });
      expect(database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get()?.[0]).toBe(0);
      database.close();
      await reader.close();
      await writer.close();
    });

    test('of a home without a log says that nothing is there', () => {
      expect(thrown(openReader)).toMatchObject({ code: 'missing' });
    });
  });

  test('a second writer is refused, by the name of the home', async () => {
    const first = open();
    const error = thrown(open);
    expect(error).toBeInstanceOf(StorageError);
    expect(error).toMatchObject({ code: 'busy' });
    expect((error as Error).message).toContain(folder);
    await first.append([record('the first goes on')]);
    await first.close();
    await open().close();
  });

  test('another number of partitions is refused, and so is a number that cannot be', async () => {
    expect(() => open({ partitions: 0 })).toThrow(/partitions/);
    await open().close();
    expect(() => open({ partitions: 3 })).toThrow(/2 partitions/);
    // Without a wish, it is opened as it is.
    const log = openSqliteLog({ file, time: systemTime });
    expect(log.partitions).toBe(2);
    await log.close();
  });

  test.each([
    ['from another version', 'PRAGMA user_version = 99', 'version', /another version/],
    ['that is not ours', 'PRAGMA application_id = 7', 'version', /not a file of spar/],
  ])('a file %s is refused', async (_name, change, code, message) => {
    await open().close();
    const database = openDatabase({ file, version: 1, create: () => undefined });
    database.exec(change);
    database.close();
    const error = thrown(open);
    expect(error).toMatchObject({ code });
    expect((error as Error).message).toMatch(message);
  });

  test('a file that is no database is refused', async () => {
    await writeFile(file, 'instructions, one a line\n'.repeat(1000));
    expect(thrown(open)).toMatchObject({ code: 'corrupt' });
  });

  test('a full disk rejects the append, keeps what was acknowledged, and goes on when there is room', async () => {
    const log = open({ limits: { fileBytesMax: 400_000 } });
    const acknowledged: number[] = [];
    const fill = async () => {
      for (;;) acknowledged.push(...(await log.append([record('x'.repeat(20_000))])));
    };
    await expect(fill()).rejects.toMatchObject({ code: 'full' });
    expect(acknowledged.length).toBeGreaterThan(2);
    expect((await log.read(topic, 0, 0, many)).map(({ offset }) => offset)).toEqual(acknowledged);
    await log.close();
    const again = open();
    expect(await again.append([record('room')])).toEqual([acknowledged.length]);
    await again.close();
  });

  test('SIGKILL in the middle of appending loses nothing that was acknowledged', async () => {
    const child = spawn(
      process.execPath,
      [fileURLToPath(new URL('./appender.ts', import.meta.url)), file],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    const gone = once(child, 'exit');
    const acknowledged: number[] = [];
    for await (const line of createInterface(child.stdout)) {
      acknowledged.push(Number(line));
      if (acknowledged.length === 300) child.kill('SIGKILL');
    }
    await gone;
    // The lock went with the process.
    const log = open();
    const records = await log.read(topic, 0, 0, many);
    expect(records.length).toBeGreaterThanOrEqual(300);
    expect(records.map(({ offset }) => offset)).toEqual(records.map((_, index) => index));
    for (const offset of acknowledged) {
      expect(Buffer.from(records[offset]!.value).toString()).toBe(`record ${offset}`);
    }
    await log.close();
  });

  describe('retention', () => {
    let now = 0;
    const openAt = () =>
      open({ time: { ...systemTime, wall: () => now }, limits: { retainRecords: 3 } });
    const write = async (log: ReturnType<typeof open>, count: number) => {
      await log.append(Array.from({ length: count }, (_, index) => record(`${index}`)));
    };

    test('deletes the old, in batches, and keeps offsets', async () => {
      const log = openAt();
      now = 1000;
      await write(log, 10);
      now = 2000;
      await write(log, 5);
      expect(await log.retain(topic, now - 500)).toBe(10);
      expect((await log.ends(topic))[0]).toMatchObject({ earliest: 10, latest: 15 });
      expect((await log.read(topic, 0, 0, many))[0]!.offset).toBe(10);
      expect(await log.offsetAt(topic, 0, 0)).toBe(10);
      now = 9000;
      expect(await log.retain(topic, now - 500)).toBe(5);
      await log.close();
      const again = openAt();
      expect(await again.append([record('next')])).toEqual([15]);
      await again.close();
    });

    test('never deletes what a group has not committed past', async () => {
      const log = openAt();
      now = 1000;
      await write(log, 10);
      const fast = await log.subscribe('fast', topic, silent);
      const slow = await log.subscribe('slow', topic, silent);
      await fast.commit(0, { outputs: [], position: 8, metadata: '' });
      now = 9000;
      expect(await log.retain(topic, now)).toBe(0);
      await slow.commit(0, { outputs: [], position: 4, metadata: '' });
      expect(await log.retain(topic, now)).toBe(4);
      await log.close();
    });

    test('a subscriber learns that what was deleted is a gap', async () => {
      const log = openAt();
      now = 1000;
      await write(log, 4);
      now = 9000;
      await log.retain(topic, now);
      const pages: (readonly [number, number])[] = [];
      const subscription = await log.subscribe('new', topic, {
        ...silent,
        records: (_partition, records, next) => pages.push([records.length, next]),
      });
      subscription.resume(0);
      await vi.waitFor(() => expect(pages).toEqual([[0, 4]]));
      await log.close();
    });
  });

  test('nothing is left behind: nobody is still asleep, and the write-ahead log is gone', async () => {
    let asleep = 0;
    const time: Time = {
      ...systemTime,
      sleep: (delayMs, signal) => {
        asleep += 1;
        return systemTime.sleep(delayMs, signal).finally(() => (asleep -= 1));
      },
    };
    const log = open({ time });
    const reader = openSqliteLog({ file, time, readOnly: true, limits: { pollMs: 60_000 } });
    reader.watch(topic, { appended: vi.fn(), failed: vi.fn() });
    const subscription = await log.subscribe('g', topic, silent);
    subscription.resume(0);
    void log.append([record('a')]);
    expect(asleep).toBe(2);
    await reader.close();
    await log.close();
    await sleep(5);
    expect(asleep).toBe(0);
    expect((await readdir(folder)).toSorted()).toEqual(['log.db', 'writer.lock']);
  });
});
