import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { openPipeline } from '../../infra/cli/pipeline.ts';
import { resolveCluster } from '../../infra/config/cluster.ts';
import { silentLogger } from '../../infra/logger.ts';
import { tryLock } from '../../infra/sqlite.ts';
import { memoryHome } from '../support/home.ts';
import { configOf } from '../run/support.ts';

/** What became of a cluster that is nowhere. */
const cluster = vi.hoisted(() => ({
  events: [] as string[],
  onLogClose: null as (() => Promise<void>) | null,
  onSocketClosed: null as (() => void) | null,
}));

vi.mock('../../infra/topics/assert.ts', () => ({ assertTopics: () => Promise.resolve() }));
vi.mock('../../infra/codec/confluent-registry.ts', () => ({
  openConfluentRegistry: async () => {
    const { registry } = await memoryHome();
    return { ...registry, close: () => cluster.events.push('registry closed') };
  },
}));
vi.mock('../../infra/log/kafka/kafka.ts', () => ({
  openKafkaLog: async () => {
    const { log } = await memoryHome();
    return {
      ...log,
      release: () => Promise.resolve(false),
      async close() {
        cluster.events.push('log closed');
        await cluster.onLogClose?.();
      },
    };
  },
}));
vi.mock(import('../../infra/siblings/siblings.ts'), async (importOriginal) => {
  const { openSiblings } = await importOriginal();
  return {
    openSiblings: async (options) => {
      const siblings = await openSiblings(options);
      return {
        ...siblings,
        async close() {
          await siblings.close();
          cluster.events.push('socket closed');
          cluster.onSocketClosed?.();
        },
      };
    },
  };
});

beforeEach(() => {
  cluster.events.length = 0;
  cluster.onLogClose = null;
  cluster.onSocketClosed = null;
});

async function opening() {
  const folder = await mkdtemp(join(tmpdir(), 'spar-pipeline-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const config = configOf({
    kafka: { brokers: 'nowhere:9092' },
    registry: { url: 'http://nowhere' },
  });
  const open = () =>
    openPipeline({ home: folder }, config, resolveCluster(config, {}), silentLogger);
  return { folder, open };
}

/** Whether nobody has the first place in the home. */
function isFree(folder: string): boolean {
  const release = tryLock(join(folder, 'worker-1.lock'));
  release?.();
  return release !== null;
}

test('a pipeline whose socket cannot be opened leaves nothing open', async () => {
  const { folder, open } = await opening();
  // Whatever the reason is: a folder where the socket should be cannot be replaced by one.
  await mkdir(join(folder, 'worker-1.sock'));
  await expect(open()).rejects.toThrow();
  expect(cluster.events).toEqual(['log closed', 'registry closed']);
  expect(isFree(folder)).toBe(true);
});

test('a journal that cannot be opened gives its slot back', async () => {
  const { folder, open } = await opening();
  await mkdir(join(folder, 'journal-1.sqlite'));
  await expect(open()).rejects.toThrow();
  expect(isFree(folder)).toBe(true);
});

test('the log ends first, and nobody gets its slot before its socket is gone', async () => {
  const { folder, open } = await opening();
  const { close } = await open();
  expect([await readdir(folder), isFree(folder)]).toEqual([
    expect.arrayContaining(['worker-1.sock']),
    false,
  ]);
  cluster.onSocketClosed = () => cluster.events.push(isFree(folder) ? 'free' : 'not free');
  await close();
  expect(cluster.events).toEqual(['log closed', 'socket closed', 'not free', 'registry closed']);
  expect(await readdir(folder)).not.toContain('worker-1.sock');
  expect(isFree(folder)).toBe(true);
});

test('a log that ends in an error keeps nothing else open', async () => {
  const { folder, open } = await opening();
  const { close } = await open();
  cluster.onLogClose = () => Promise.reject(new Error('the last commit failed'));
  await expect(close()).rejects.toThrow('the last commit failed');
  expect(await readdir(folder)).not.toContain('worker-1.sock');
  expect([cluster.events.at(-1), isFree(folder)]).toEqual(['registry closed', true]);
});
