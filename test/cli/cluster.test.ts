import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { Home } from '../../infra/home/home.ts';
import { groupOf } from '../../topology/topology.ts';
import { noteSource } from '../../infra/run/iteration.ts';
import { topics } from '../../topology/topics.ts';
import { memoryHome } from '../support/home.ts';
import { finishStages, instruction, openFirstIteration, outcome, put, spar } from './support.ts';

/** A cluster that is nowhere: what is on it, and who works there. */
const cluster = vi.hoisted(() => ({ home: null as Home | null, groups: [] as string[] }));

vi.mock('../../infra/topics/assert.ts', () => ({ assertTopics: () => Promise.resolve() }));
vi.mock('../../infra/codec/confluent-registry.ts', () => ({
  openConfluentRegistry: () =>
    Promise.resolve({ ...cluster.home?.registry, close: () => undefined }),
}));
vi.mock('../../infra/log/kafka/kafka.ts', () => ({
  openKafkaLog: () =>
    Promise.resolve({
      ...cluster.home?.log,
      members: (group: string) =>
        Promise.resolve(
          cluster.groups.includes(group) ? [{ id: 'a', host: 'b', partitions: [0] }] : [],
        ),
      close: () => Promise.resolve(),
    }),
}));

beforeEach(async () => {
  cluster.home = await memoryHome();
  cluster.groups = [];
});

async function there() {
  const folder = await mkdtemp(join(tmpdir(), 'spar-there-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const home = join(folder, 'home');
  const where = ['--home', home, '--brokers', 'nowhere:9092', '--registry', 'http://nowhere'];
  const on = async (...command: readonly string[]) => {
    const { out, err } = await spar(...command, ...where);
    return (out + err).replaceAll(where.join(' '), 'THERE');
  };
  if (!cluster.home) throw new Error('there is no cluster');
  return { on, log: cluster.home };
}

describe('spar status, on a cluster', () => {
  test('says how instructions get there', async () => {
    const { on } = await there();
    expect(await on('status')).toBe(
      'spar: the pipeline spar on the cluster has no instructions yet: spar ingest FILE THERE puts some there, and ' +
        'spar worker THERE … works on them\n',
    );
  });

  test('says how work begins on those that are there', async () => {
    const { on, log } = await there();
    await put(log, topics.instructions, instruction('cat'), { headers: {} });
    expect(await on('status')).toBe(
      'spar: no worker has begun in the pipeline spar on the cluster yet: start one with spar worker THERE …\n',
    );
    expect(await on('status', '--iteration', '2')).toContain('spar worker --iteration 2 THERE …');
  });

  test('says whom it waits for', async () => {
    const { on, log } = await there();
    await openFirstIteration(log);
    await put(log, topics.instructions, instruction('cat'));
    expect(await on('status')).toContain(
      'next          spar worker THERE …: nobody works on sample',
    );
    cluster.groups = [groupOf('spar', 'sample', '1')];
    const attended = await on('status');
    expect(attended).toContain(
      'next          workers that are going on will finish it; if none is, spar worker THERE …\n',
    );
    expect(attended).not.toContain('spar run');
  });

  test('says how a source is read on', async () => {
    const { on, log } = await there();
    await openFirstIteration(log);
    await noteSource(log.log, log.serde, 'spar', '1', 'in.jsonl', 'unread');
    const out = await on('status');
    expect(out).toContain(
      'next          spar ingest in.jsonl --iteration 1 THERE: unless it is being read, this reads the rest\n',
    );
    expect(out).not.toContain('spar run');
  });

  test('asks for no worker when all is done', async () => {
    const { on, log } = await there();
    await openFirstIteration(log);
    await put(log, topics.instructions, instruction('owl'));
    await put(log, topics.outcomes, { ...outcome('owl', 'all-passed'), id: '1/owl', tree: null });
    await finishStages(log);
    const out = await on('status');
    expect(out).toContain('next          spar tap outcomes THERE: why there are no pairs');
    expect(out).not.toMatch(/worker|spar run/);
  });
});

test.each([
  [['dead-letters', 'list'], 'there are no dead letters in the pipeline spar on the cluster'],
  [['dead-letters', 'retry', '--all'], 'nothing to retry in the pipeline spar on the cluster'],
  [['pair'], 'there is no pair yet in the pipeline spar on the cluster'],
  [['tree'], 'no tree has been accepted yet in the pipeline spar on the cluster'],
  [['export'], 'there is no iteration 1 in the pipeline spar on the cluster'],
])('spar %j says where it has looked', async (command, words) => {
  const { on } = await there();
  expect(await on(...command)).toContain(words);
});
