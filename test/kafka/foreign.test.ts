import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { ClusterHome } from '../../infra/home/cluster.ts';
import type { LogRecord } from '../../infra/log/log.ts';
import { scan } from '../../infra/log/scan.ts';
import type { PreferencePair, Removal } from '../../schemas/records.ts';
import { partitionOf } from '../../topology/partition.ts';
import { nameOnLog, type TopicInfo } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { spar } from '../cli/support.ts';
import { runWith } from '../run/support.ts';
import { memoryHome } from '../support/home.ts';
import { instantModel } from '../support/model.ts';
import { pythonWith, type Python } from '../support/python.ts';
import { temporaryFolder } from '../whole/support.ts';
import { createTopics, freshPrefix, kafkaLogOf } from './logs.ts';
import {
  lagsOf,
  outcomesOf,
  pipelineOf,
  rawOf,
  recordsOf,
  until,
  type Pipeline,
} from './pipeline.ts';

const example = (name: string): string => join(import.meta.dirname, '../../examples', name);
const requirements = join(import.meta.dirname, 'requirements.txt');
const partitions = 3;
const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];

/** Long and repetitive, or else a producer leaves it as it is, whatever it was told to compress with. */
const promptOf = (id: string): string =>
  `Write about ${id}, and say what it is good for. `.repeat(20).trim();
const lineOf = (id: string): string => JSON.stringify({ id, prompt: promptOf(id) });
const idsOf = (name: string, count = 3): readonly string[] =>
  Array.from({ length: count }, (_, index) => `${name}-${index}`);

/** What each call of the producer puts into the stream. */
const keyed = codecs.flatMap((codec) => [
  { codec, lines: idsOf(`json-${codec}`).map(lineOf), avro: false },
  { codec, lines: idsOf(`avro-${codec}`).map(lineOf), avro: true },
]);
/** No id, and no key: the id is that of the text. */
const keyless = idsOf('nameless', 6).map((name) => JSON.stringify({ prompt: promptOf(name) }));
const everything = [...keyed.flatMap(({ lines }) => lines), ...keyless];

let python: Python;
let pipeline: Pipeline;
let home: ClusterHome;

beforeAll(async () => {
  python = await pythonWith('-r', requirements);
  pipeline = await pipelineOf({ partitions });
  home = await pipeline.open();
}, 300_000);

afterAll(() => pipeline.close());

async function produced(
  lines: readonly string[],
  topic: string,
  ...flags: readonly string[]
): Promise<void> {
  const file = join(temporaryFolder(), 'instructions.jsonl');
  await writeFile(file, lines.map((line) => `${line}\n`).join(''));
  const where = ['--brokers', inject('brokers'), '--topic', topic];
  await python(example('producer.py'), [file, ...where, ...flags]);
}

/** Several at a time: most of what a call takes is Python's start. */
async function inTurns<Item>(items: readonly Item[], work: (item: Item) => Promise<void>) {
  const waiting = [...items];
  const one = async (): Promise<void> => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item);
  };
  await Promise.all([one(), one(), one()]);
}

/** Where an instruction came from is not what its pair is, nor are the blanks in its JSON. */
const comparable = (pair: PreferencePair): object => ({
  ...pair,
  source: '',
  extra: JSON.parse(pair.extra) as unknown,
});
const sorted = (pairs: readonly PreferencePair[]): readonly object[] =>
  pairs.toSorted((one, other) => (one.id < other.id ? -1 : 1)).map(comparable);

/** One of each id; those of the same id must be the same. */
function distinct(pairs: readonly PreferencePair[]): readonly PreferencePair[] {
  const byId = new Map<string, PreferencePair>();
  for (const pair of pairs) {
    const before = byId.get(pair.id);
    if (before) expect(comparable(pair)).toEqual(comparable(before));
    else byId.set(pair.id, pair);
  }
  return [...byId.values()];
}

const removal: Removal = {
  id: 'instruction/private',
  scope: 'instruction',
  instruction_id: 'private',
  pair_id: null,
  removed: true,
  who: 'ada',
  why: 'asked to',
  decided_at: 0,
};

describe('a producer in Python', () => {
  test('feeds the stream in Avro and in JSON, compressed in any way: the pairs are those of a run', async () => {
    const model = () => instantModel({ failRate: 0.4, refineRate: 0.4 });
    // The pipeline is part of the id of each draw.
    const alone = await memoryHome(1, pipeline.name);
    await runWith(alone, model(), everything);
    const expected: PreferencePair[] = [];
    for await (const { value } of scan(alone.log, nameOnLog(pipeline.name, topics.pairs))) {
      expected.push((await alone.serde.decode('preference_pair', value)) as PreferencePair);
    }
    expect(expected.length).toBeGreaterThan(10);

    const workers = await Promise.all([
      pipeline.worker({ model: model() }),
      pipeline.worker({ model: model() }),
    ]);
    const topic = pipeline.topic(topics.instructions);
    const registry = ['--registry', inject('registryUrl')];
    await inTurns(keyed, async ({ codec, lines, avro }) => {
      // Half of them twice, as from a producer that was killed and sent again.
      const twice = [...lines, ...lines.slice(1)];
      await produced(twice, topic, '--compression', codec, ...(avro ? registry : []));
    });
    await produced([...keyless, ...keyless], topic, '--no-keys');
    // And what is no instruction at all.
    await home.log.append([
      { topic, partition: 0, key: 'odd', headers: {}, value: Buffer.from('Write a poem.') },
    ]);
    // Somebody's decision, so that this topic is not empty either.
    await home.log.append([
      {
        topic: pipeline.topic(topics.removals),
        partition: 0,
        key: removal.id,
        headers: {},
        value: home.serde.encode(topics.removals, removal),
      },
    ]);

    const ids = new Set(expected.map((pair) => pair.id));
    await until(async () => {
      const ended = new Set((await outcomesOf(home)).map((one) => one.instruction_id));
      expect(ended.size).toBe(everything.length + 1);
      expect(Object.values(await lagsOf(home)).every((lag) => lag === 0)).toBe(true);
    });
    for (const worker of workers) await worker.stop();
    const pairs = (await recordsOf(home, topics.pairs)).map(({ row }) => row);
    expect(sorted(distinct(pairs))).toEqual(sorted(expected));
    // Whoever sends twice with a key gets one pair; only without one the two may be in different partitions.
    const named = pairs.filter(({ instruction_id: id }) => /^(?:json|avro)-/.test(id));
    expect(named.length).toBe(new Set(named.map(({ id }) => id)).size);
    expect(new Set(pairs.map(({ id }) => id))).toEqual(ids);
  });

  test('puts a key where spar ingest puts it, so spar ingest knows what is there', async () => {
    const records = await rawOf(home, topics.instructions);
    const withKey = records.filter(({ key }) => key !== null && key !== 'odd');
    expect(withKey.length).toBe(5 * 2 * 5);
    for (const { key, partition } of withKey) expect(partition).toBe(partitionOf(key!, partitions));

    const file = join(temporaryFolder(), 'same.jsonl');
    await writeFile(file, everything.slice(0, 12).join('\n'));
    const ran = await spar('ingest', file, '--json', ...pipeline.flags);
    expect(ran).toMatchObject({ code: 0, err: '' });
    expect(JSON.parse(ran.out)).toMatchObject({ taken: 12, admitted: 0, rejected: 0 });
  });

  test.each(['snappy', 'lz4'])('may use %s where the broker keeps what it gets', async (codec) => {
    const topic = `${freshPrefix()}.instructions`;
    await createTopics([{ name: topic, keyed: false }], partitions);
    const log = await kafkaLogOf([{ name: topic, keyed: false }]);
    const lines = idsOf('other', 12).map(lineOf);
    await produced(lines, topic, '--compression', codec, '--partitioner', 'consistent_random');
    const records: LogRecord[] = [];
    for await (const record of scan(log, topic)) records.push(record);
    expect(records.map(({ value }) => Buffer.from(value).toString()).toSorted()).toEqual(
      lines.toSorted(),
    );
    // librdkafka's own partitioner has another hash: its keys are not where ours would be.
    const elsewhere = records.filter(
      ({ key, partition }) => partition !== partitionOf(key!, partitions),
    );
    expect(elsewhere.length).toBeGreaterThan(0);
  });
});

test('kcat puts a key where spar does, if it is told how', async () => {
  const topic = `${freshPrefix()}.instructions`;
  await createTopics([{ name: topic }], partitions);
  const log = await kafkaLogOf([{ name: topic, keyed: false }]);
  const ids = idsOf('from-kcat', 9);
  const flags = ['-P', '-b', inject('brokers'), '-t', topic, '-X', 'partitioner=murmur2_random'];
  const kcat = promisify(execFile)('kcat', [...flags, '-K', '|']);
  kcat.child.stdin?.end(ids.map((id) => `${id}|${lineOf(id)}\n`).join(''));
  await kcat;
  const places: [string, number][] = [];
  for await (const { key, partition, value } of scan(log, topic)) {
    expect(Buffer.from(value).toString()).toBe(lineOf(key!));
    places.push([key!, partition]);
  }
  expect(places.toSorted()).toEqual(ids.map((id) => [id, partitionOf(id, partitions)]));
});

describe('readers of other kinds', () => {
  const every: readonly TopicInfo[] = Object.values(topics);
  const names = () => every.map((topic) => pipeline.topic(topic));

  test('Python reads every topic: keys, headers and each field are what we read ourselves', async () => {
    const flags = ['--brokers', inject('brokers'), '--registry', inject('registryUrl')];
    const lines = (await python(example('consumer.py'), [...names(), ...flags])).trim().split('\n');
    const theirs = lines.map((line) => JSON.parse(line) as { readonly topic: string });
    for (const topic of every) {
      const found = theirs.filter((row) => row.topic === pipeline.topic(topic));
      const ours = (await rawOf(home, topic)).map(rowOf);
      const values = await Promise.all(ours.map((row) => valueOf(topic, row)));
      expect(values.length, topic.name).toBeGreaterThan(0);
      expect(inPlace(found), topic.name).toEqual(inPlace(values));
    }
  });

  test('kcat sees the same keys and headers', async () => {
    await inTurns(every, async (topic) => {
      const records = await rawOf(home, topic);
      const { stdout } = await promisify(execFile)('kcat', [
        ...[
          '-b',
          inject('brokers'),
          '-C',
          '-q',
          '-e',
          '-o',
          'beginning',
          '-t',
          pipeline.topic(topic),
        ],
        ...['-X', 'isolation.level=read_committed', '-f', '%p/%o %k %h\\n'],
      ]);
      const ours = records.map(({ partition, offset, key, headers }) => {
        const told = Object.entries(headers).map(([name, text]) => `${name}=${text}`);
        return `${partition}/${offset} ${key ?? ''} ${told.join(',')}`;
      });
      expect(stdout.replace(/\n$/, '').split('\n').toSorted(), topic.name).toEqual(ours.toSorted());
    });
  });

  test('the headers of all that we write are those that the docs name', async () => {
    for (const topic of every.filter(isWrittenBySteps)) {
      for (const { headers } of await rawOf(home, topic)) {
        const { iteration, trace, order, rules, trees, ...others } = headers;
        expect({ iteration, order }, topic.name).toEqual({
          iteration: '1',
          order: expect.stringMatching(/^\d+$/) as unknown,
        });
        expect([trace, rules, trees ?? '1']).toEqual(
          [/^[0-9a-f]{32}$/, /./, /^\d+$/].map((one) => expect.stringMatching(one) as unknown),
        );
        expect(others).toEqual({});
      }
    }
  });
});

/** What commands write of their own has no headers. */
const isWrittenBySteps = ({ foreign, name }: TopicInfo): boolean =>
  !foreign && !['iterations', 'removals'].includes(name);

const rowOf = ({ topic, partition, offset, key, headers, value }: LogRecord) => ({
  ...{ topic, partition, offset, key, headers, value },
});

/** As the example prints it: bytes in base64, and what is no record as it is. */
async function valueOf(topic: TopicInfo, row: ReturnType<typeof rowOf>): Promise<object> {
  const origin = { ...row, timestamp: 0 };
  const isAvro = row.value[0] === 0;
  const value = isAvro
    ? await home.serde.decode(topic.schema, row.value, origin)
    : plainOf(row.value);
  return { ...row, value: JSON.parse(JSON.stringify(value, base64)) as unknown };
}

function plainOf(value: Uint8Array): unknown {
  const text = Buffer.from(value).toString();
  try {
    return JSON.parse(text);
  } catch {
    return Buffer.from(text).toString('base64');
  }
}

/** A Buffer is turned into an object of its own before a replacer sees it. */
const base64 = (_name: string, found: unknown): unknown =>
  typeof found === 'object' && found !== null && 'type' in found && found.type === 'Buffer'
    ? Buffer.from((found as unknown as { readonly data: number[] }).data).toString('base64')
    : found;

const inPlace = (rows: readonly object[]): readonly string[] =>
  rows.map((row) => JSON.stringify(row)).toSorted();
