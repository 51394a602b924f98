import { spawnSync } from 'node:child_process';
import { cpSync, globSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, inject, onTestFinished, test } from 'vitest';
import { connectOpenAi } from '../../infra/cli/run.ts';
import { parseSchema, schemaText } from '../../infra/codec/avro.ts';
import { openConfluentRegistry } from '../../infra/codec/confluent-registry.ts';
import { createSerde } from '../../infra/codec/serde.ts';
import type { ClusterHome } from '../../infra/home/cluster.ts';
import { scan } from '../../infra/log/scan.ts';
import type { Outcome, PreferencePair } from '../../schemas/records.ts';
import { partitionOf } from '../../topology/partition.ts';
import { nameOnLog, type TopicInfo } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { runWith } from '../run/support.ts';
import { instruction } from '../runtime/support.ts';
import { memoryHome } from '../support/home.ts';
import { deadModel } from '../support/model.ts';
import { simulator, spar, temporaryFolder } from '../whole/support.ts';
import { freshPrefix } from './logs.ts';
import {
  outcomesOf,
  pipelineOf,
  rawOf,
  recordsOf,
  simulated,
  until,
  type Pipeline,
  type PipelineChange,
} from './pipeline.ts';
import { ownRegistry } from './support.ts';

const root = join(import.meta.dirname, '../..');
const every: readonly TopicInfo[] = Object.values(topics);

/** One more field of each record: what the next version of this program may have. */
const note = {
  name: 'note',
  type: ['null', 'string'],
  doc: 'What the next version adds.',
  default: null,
};

const withField = (text: string, field: object): string => {
  const schema = JSON.parse(text) as { readonly fields: readonly object[] };
  return JSON.stringify({ ...schema, fields: [...schema.fields, field] }, null, 2);
};

/** This program as its next version: the same tree, whose records all have a field more. */
function nextVersion(field: object = note): string {
  const folder = temporaryFolder();
  for (const part of ['schemas', 'processors', 'topology', 'infra', 'package.json']) {
    cpSync(join(root, part), join(folder, part), { recursive: true });
  }
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  for (const file of globSync('schemas/*.avsc', { cwd: folder })) {
    const path = join(folder, file);
    writeFileSync(path, withField(readFileSync(path, 'utf8'), field));
  }
  const serde = join(folder, 'infra/codec/serde.ts');
  const source = readFileSync(serde, 'utf8');
  const patched = source.replace(
    'type.write(record, target',
    "type.write({ ...(record as object), note: 'written by the next version' }, target",
  );
  expect(patched).not.toBe(source);
  writeFileSync(serde, patched);
  return folder;
}

async function opened(change: PipelineChange = {}): Promise<Pipeline> {
  const pipeline = await pipelineOf(change);
  onTestFinished(() => pipeline.close());
  return pipeline;
}

/** A worker of the next version, as a process of its own; it must end in good order. */
function nextWorker(folder: string, pipeline: Pipeline, url: string, stages: readonly string[]) {
  const { process, ended } = spar(
    [
      ...['worker', ...pipeline.flags, '--stages', stages.join(',')],
      ...['--model-url', url, '--model', 'simulated'],
    ],
    undefined,
    join(folder, 'infra/bin/spar.js'),
  );
  onTestFinished(() => void process.kill('SIGKILL'));
  return async (): Promise<void> => {
    process.kill('SIGTERM');
    const { code, stderr } = await ended;
    expect(code, stderr).toBe(0);
  };
}

async function put(home: ClusterHome, ids: readonly string[], value: (id: string) => Uint8Array) {
  await home.log.append(
    ids.map((id) => ({
      topic: nameOnLog(home.pipeline, topics.instructions),
      partition: partitionOf(id, home.log.partitions),
      key: id,
      headers: {},
      value: value(id),
    })),
  );
}

const instructionOf = (id: string) => instruction(id, `Write about ${id}, in ten words.`);
const idsOf = (name: string, count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => `${name}-${index}`);
const comparable = (pair: PreferencePair): object => ({ ...pair, source: '' });
const byId = (one: { readonly id: string }, other: { readonly id: string }) =>
  one.id < other.id ? -1 : 1;

describe('a version with a field more', () => {
  const halves = [
    ['sample', 'fan-out', 'evaluate'],
    ['judge', 'expand', 'pair'],
  ] as const;
  const ids = idsOf('i', 8);

  /** Which half of the stages writes a record. */
  const writers: Readonly<Record<string, (row: Outcome) => number>> = {
    responses: () => 0,
    verdicts: () => 1,
    negatives: () => 0,
    'search.evaluate': () => 1,
    refinements: () => 0,
    'preference-pairs': () => 1,
    outcomes: ({ outcome }) => (outcome === 'paired' ? 1 : 0),
  };

  test.each([
    ['an old worker that was there first', 0],
    ['an old worker that comes later', 1],
  ] as const)('works beside %s: each reads what the other writes', async (_name, which) => {
    const { url } = await simulator({ latencyMs: 0, prefillMsPerToken: 0, decodeMsPerToken: 0 });
    const pipeline = await opened();
    const home = await pipeline.open();
    const folder = nextVersion();
    const old = () => pipeline.worker({ url, stages: halves[which] });
    const first = which === 0 ? await old() : null;
    // As `spar topics apply` of the next version does.
    for (const topic of every) {
      const [subject, text] = [
        `${pipeline.topic(topic)}-value`,
        withField(schemaText(topic.schema), note),
      ];
      expect(await pipeline.registry.incompatibilities(subject, text)).toEqual([]);
      await pipeline.registry.register(subject, text);
    }
    const stop = nextWorker(folder, pipeline, url, halves[1 - which]!);
    const worker = first ?? (await old());
    await put(home, ids, (id) => home.serde.encode(topics.instructions, instructionOf(id)));
    await until(async () => {
      const ended = new Set((await outcomesOf(home)).map((one) => one.instruction_id));
      expect(ended.size).toBe(ids.length);
    });
    await stop();
    await worker.stop();
    await worker.working;

    const alone = await memoryHome(1, pipeline.name);
    const endpoint = simulated(url);
    const lines = ids.map((id) =>
      JSON.stringify({ id, prompt: `Write about ${id}, in ten words.` }),
    );
    await runWith(alone, deadModel(), lines, {
      endpoints: { actor: endpoint, judge: endpoint, refiner: endpoint },
      connect: connectOpenAi,
    });
    const expected: PreferencePair[] = [];
    for await (const { value } of scan(alone.log, pipeline.topic(topics.pairs))) {
      expected.push((await alone.serde.decode('preference_pair', value)) as PreferencePair);
    }
    expect(expected.length).toBeGreaterThan(2);
    const pairs = (await recordsOf(home, topics.pairs)).map(({ row }) => row);
    expect(pairs.toSorted(byId).map(comparable)).toEqual(expected.toSorted(byId).map(comparable));
    expect(await rawOf(home, topics.deadLetters)).toEqual([]);

    // By the ids in their bytes: half of the topics were written by the one, and half by the other.
    for (const topic of every.filter(({ name }) => name in writers)) {
      const subject = `${pipeline.topic(topic)}-value`;
      const versions = [1, 2].map((version) => pipeline.registry.byVersion(subject, version));
      const [v1, v2] = await Promise.all(versions);
      for (const { value, row } of await recordsOf(home, topic)) {
        const writer = writers[topic.name]!(row as Outcome) === which ? v1 : v2;
        expect(Buffer.from(value).readUInt32BE(1), topic.name).toBe(writer!.id);
      }
    }
  });
});

describe('a change that does not fit', () => {
  test.each([
    [
      'a field that old records lack',
      (text: string) => withField(text, { name: 'must', type: 'string' }),
      /must/,
    ],
    [
      'another type of a field',
      (text: string) =>
        text.replace(
          '"name": "calls",\n      "type": "long"',
          '"name": "calls",\n      "type": "int"',
        ),
      /calls/,
    ],
    [
      'a field less, without which old readers cannot do',
      (text: string) => {
        const schema = JSON.parse(text) as {
          readonly fields: readonly { readonly name: string }[];
        };
        return JSON.stringify({
          ...schema,
          fields: schema.fields.filter(({ name }) => name !== 'id'),
        });
      },
      /\bid\b/,
    ],
  ])('%s is refused, with the version and the field', async (_name, change, field) => {
    const registry = await openConfluentRegistry({ url: inject('registryUrl') });
    onTestFinished(() => registry.close());
    const pipeline = freshPrefix();
    await createSerde(registry, pipeline).prepare([topics.outcomes]);
    const subject = `${pipeline}.outcomes-value`;
    const changed = change(schemaText('outcome'));
    expect(changed).not.toBe(schemaText('outcome'));
    const reasons = (await registry.incompatibilities(subject, changed)).join('\n');
    expect(reasons).toMatch(/version 1/);
    expect(reasons).toMatch(field);
    await expect(registry.register(subject, changed)).rejects.toThrow(/409/);
    expect(await registry.latest(subject)).toMatchObject({ version: 1 });
  });

  test('ends the start of the version that has it, before anything is written', async () => {
    const registry = await openConfluentRegistry({ url: inject('registryUrl') });
    onTestFinished(() => registry.close());
    const pipeline = freshPrefix();
    await createSerde(registry, pipeline).prepare([topics.outcomes]);
    const folder = nextVersion({ name: 'must', type: 'string', doc: 'No record has it yet.' });
    const script = `
      import { openConfluentRegistry } from './infra/codec/confluent-registry.ts';
      import { createSerde } from './infra/codec/serde.ts';
      import { topics } from './topology/topics.ts';
      const registry = await openConfluentRegistry({ url: process.argv[1] });
      const serde = createSerde(registry, process.argv[2]);
      const failed = await serde.prepare([topics.outcomes]).catch((error) => error.message);
      registry.close();
      console.log(failed);`;
    const { stdout } = spawnSync(
      process.execPath,
      ['--input-type=module-typescript', '-e', script, inject('registryUrl'), pipeline],
      { cwd: folder, encoding: 'utf8' },
    );
    expect(stdout).toMatch(/the schema does not fit what .*\.outcomes-value holds: .*must/);
    expect(await registry.latest(`${pipeline}.outcomes-value`)).toMatchObject({ version: 1 });
  });
});

/** How long the registry is away; a minute on request: SPAR_OUTAGE_SECONDS=60. */
const outageMs = 1000 * Number(process.env['SPAR_OUTAGE_SECONDS'] ?? 8);

describe('a registry that is down in mid-run', () => {
  test(
    'what is known goes on; what is not waits, uses up no tries, and is finished when it is back',
    async () => {
      const server = await ownRegistry();
      const pipeline = await opened({ registryUrl: server.url });
      const home = await pipeline.open();
      // Tries that would be used up within a second.
      const retries = { record_attempts: 3, first_delay_ms: 20, max_delay_ms: 400 };
      const worker = await pipeline.worker({ config: { retries } });
      const encode = (id: string) => home.serde.encode(topics.instructions, instructionOf(id));
      const ended = async () => (await outcomesOf(home)).map((one) => one.instruction_id);
      const [before, meanwhile, unknown] = [
        idsOf('before', 6),
        idsOf('meanwhile', 6),
        idsOf('unknown', 6),
      ];
      await put(home, before, encode);
      await until(async () => expect(await ended()).toEqual(expect.arrayContaining([...before])));

      // Registered by somebody else, and never met by the worker.
      const elsewhere = await openConfluentRegistry({ url: server.url });
      const text = withField(schemaText('instruction'), note);
      const id = await elsewhere.register(`${pipeline.topic(topics.instructions)}-value`, text);
      elsewhere.close();
      const next = parseSchema(text);
      await server.kill();
      const since = performance.now();
      await put(home, meanwhile, encode);
      await put(home, unknown, (name) => {
        const bytes = Buffer.alloc(1000);
        bytes.writeUInt32BE(id, 1);
        return bytes.subarray(0, next.write({ ...instructionOf(name), note: null }, bytes, 5));
      });
      await until(async () =>
        expect(await ended()).toEqual(expect.arrayContaining([...meanwhile])),
      );
      expect(performance.now() - since).toBeLessThan(outageMs);
      await sleep(outageMs - (performance.now() - since));
      expect((await ended()).filter((name) => unknown.includes(name))).toEqual([]);
      expect(await rawOf(home, topics.deadLetters)).toEqual([]);

      await server.restart();
      await until(async () => expect(await ended()).toEqual(expect.arrayContaining([...unknown])));
      const outcomes = await outcomesOf(home);
      expect(outcomes.filter(({ outcome }) => outcome === 'failed')).toEqual([]);
      expect(await rawOf(home, topics.deadLetters)).toEqual([]);
      await worker.stop();
      await worker.working;
    },
    120_000 + outageMs,
  );
});
