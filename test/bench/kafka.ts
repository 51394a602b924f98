/**
 * What the exactly-once runtime costs on Kafka: records per second through one stage whose processor answers at once,
 * as a share of a bare kafkajs loop that consumes, transforms and produces with the same transactions, codec and
 * linger, in the same process on the same broker, one after the other.
 *
 *   node test/bench/kafka.ts [--records 120000] [--partitions 1,3,6] [--rounds 3]
 *
 * It starts a broker of its own. Prints JSON: for each number of partitions the records per second of the bare loop,
 * of the runtime without a model, and of the runtime with a model call and a durable journal entry for each record,
 * medians over the rounds; and the shares.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import kafkajs, { type Producer } from 'kafkajs';
import { startBroker } from '../../infra/cluster/broker.ts';
import { createSerde, type Serde } from '../../infra/codec/serde.ts';
import { openSqliteRegistry } from '../../infra/codec/sqlite-registry.ts';
import { openSqliteJournal } from '../../infra/journal/sqlite.ts';
import { openKafkaLog, type KafkaLog } from '../../infra/log/kafka/kafka.ts';
import { kafkaDefaults, type KafkaSettings } from '../../infra/log/kafka/settings.ts';
import { silentLogger } from '../../infra/logger.ts';
import { openIteration } from '../../infra/run/iteration.ts';
import { createContexts } from '../../infra/runtime/contexts.ts';
import { headersFor } from '../../infra/runtime/headers.ts';
import { Runtime } from '../../infra/runtime/runtime.ts';
import { systemTime } from '../../infra/time.ts';
import type { Context } from '../../processors/processor.ts';
import { fullId } from '../../processors/rules/ids.ts';
import { noSavings } from '../../processors/rules/savings.ts';
import { noSpend } from '../../processors/rules/spend.ts';
import type { Outcome, Responses } from '../../schemas/records.ts';
import { nameOnLog, step, type Dataflow } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { settingsWith } from '../support/script.ts';
import { instantModel } from '../support/model.ts';
import { openGateway } from './gateway.ts';
import { median } from './parts.ts';

// As anybody would plug it in. The adapter's own does not unpack: it reads batches without kafkajs.
const [compress, decompress] = [promisify(zstdCompress), promisify(zstdDecompress)];
kafkajs.CompressionCodecs[kafkajs.CompressionTypes.ZSTD] = () => ({
  compress: ({ buffer }: { readonly buffer: Buffer }) => compress(buffer),
  decompress: (buffer: Buffer) => decompress(buffer),
});

const { values } = parseArgs({
  options: {
    records: { type: 'string', default: '120000' },
    partitions: { type: 'string', default: '1,3,6' },
    rounds: { type: 'string', default: '3' },
  },
});
const count = Number(values.records);
const rounds = Number(values.rounds);

const lingerMs = 200;
const transactionRecords = 500;

const outcomeOf = ({ id, iteration, instruction_id }: Responses): Outcome => ({
  id,
  iteration,
  instruction_id,
  tree: null,
  trees: 0,
  outcome: 'all-passed',
  cause: null,
  revision: 0,
  evaluated: 0,
  ...noSpend,
  ...noSavings,
});

/** About a kilobyte, as short responses are. */
const recordOf = (index: number): Responses => ({
  id: fullId('1', `i${index}`),
  iteration: '1',
  instruction_id: `i${index}`,
  messages: [{ role: 'user', content: `Write ${index} words about the sea, and no more.` }],
  constraints: [],
  judge_by: null,
  source: 'bench',
  extra: '{}',
  responses: [0, 1].map((response) => ({
    index: response,
    text: `The sea is ${index} words wide. `.repeat(12),
    reasoning: null,
    finish_reason: 'stop',
  })),
  given: false,
  actor_model: 'm',
  ...noSpend,
});

type Process = (record: Responses, context: Context) => Promise<readonly Outcome[]>;

const flowOf = (process: Process): Dataflow => ({
  judge: step(
    async (record: Responses, context: Context) => ({ out: await process(record, context) }),
    { from: topics.responses, to: { out: topics.outcomes }, ends: 'instruction' },
  ),
});

interface Bench {
  readonly log: KafkaLog;
  readonly serde: Serde;
  readonly settings: KafkaSettings;
  readonly pipeline: string;
  readonly partitions: number;
}

const broker = await startBroker();
const folder = mkdtempSync(join(tmpdir(), 'spar-bench-'));
let benches = 0;

/** A pipeline of its own, its input written. */
async function prepare(partitions: number): Promise<Bench & { close: () => Promise<void> }> {
  const pipeline = `bench${benches++}`;
  const settings = { ...kafkaDefaults, brokers: [broker.brokers] };
  const admin = new kafkajs.Kafka({
    brokers: [broker.brokers],
    logLevel: kafkajs.logLevel.NOTHING,
  }).admin();
  await admin.connect();
  await admin.createTopics({
    waitForLeaders: true,
    topics: Object.values(topics).map((topic) => ({
      topic: nameOnLog(pipeline, topic),
      numPartitions: partitions,
    })),
  });
  await admin.disconnect();
  const registry = openSqliteRegistry({ file: ':memory:' });
  const serde = createSerde(registry, pipeline);
  await serde.prepare(Object.values(topics));
  const log = await openKafkaLog({
    settings,
    pipeline,
    topics: Object.values(topics).map((topic) => ({ ...topic, name: nameOnLog(pipeline, topic) })),
    tables: null,
    time: systemTime,
    logger: silentLogger,
  });
  await openIteration(log, serde, pipeline, settingsWith(), systemTime);
  const topic = nameOnLog(pipeline, topics.responses);
  for (let from = 0; from < count; from += 1000) {
    const batch = Array.from({ length: Math.min(1000, count - from) }, (_, index) => from + index);
    await Promise.all(
      Array.from({ length: partitions }, (_, partition) =>
        log.append(
          batch
            .filter((index) => index % partitions === partition)
            .map((index) => {
              const record = recordOf(index);
              return {
                topic,
                partition,
                key: record.id,
                headers: { iteration: '1' },
                value: serde.encode(topics.responses, record),
              };
            }),
        ),
      ),
    );
  }
  return {
    log,
    serde,
    settings,
    pipeline,
    partitions,
    close: async () => {
      await log.close();
      registry.close();
    },
  };
}

/** What somebody would write by hand: decode, make the output, and commit both for each partition by itself. */
async function bare({ serde, settings, pipeline, partitions }: Bench): Promise<number> {
  const kafka = new kafkajs.Kafka({
    brokers: [...settings.brokers],
    logLevel: kafkajs.logLevel.NOTHING,
  });
  const [from, to] = [nameOnLog(pipeline, topics.responses), nameOnLog(pipeline, topics.outcomes)];
  const group = `${pipeline}.bare`;
  const consumer = kafka.consumer({ groupId: group, maxWaitTimeInMs: 100 });
  const producers: Producer[] = [];
  for (let partition = 0; partition < partitions; partition++) {
    const producer = kafka.producer({
      idempotent: true,
      transactionalId: `${group}-${partition}`,
      maxInFlightRequests: 1,
      createPartitioner:
        () =>
        ({ message }) =>
          message.partition ?? 0,
      retry: { initialRetryTime: 5, factor: 0, retries: 50, maxRetryTime: 1000 },
    });
    await producer.connect();
    await (await producer.transaction()).abort();
    producers.push(producer);
  }
  await consumer.connect();
  await consumer.subscribe({ topic: from, fromBeginning: true });
  interface Made {
    readonly offset: number;
    readonly message: object;
  }
  const waiting: Made[][] = producers.map(() => []);
  const committing = producers.map(() => false);
  const all = Promise.withResolvers<undefined>();
  let done = 0;
  const commit = async (partition: number): Promise<void> => {
    const producer = producers[partition];
    const queue = waiting[partition];
    if (committing[partition] || !producer || !queue) return;
    committing[partition] = true;
    while (queue.length > 0) {
      if (queue.length < transactionRecords) await systemTime.sleep(lingerMs);
      const batch = queue.splice(0, transactionRecords);
      const transaction = await producer.transaction();
      await transaction.sendBatch({
        acks: -1,
        compression: kafkajs.CompressionTypes.ZSTD,
        topicMessages: [{ topic: to, messages: batch.map(({ message }) => message as never) }],
      });
      const last = batch.at(-1)?.offset ?? 0;
      await transaction.sendOffsets({
        consumerGroupId: group,
        topics: [{ topic: from, partitions: [{ partition, offset: String(last + 1) }] }],
      });
      await transaction.commit();
      done += batch.length;
      if (done >= count) all.resolve(undefined);
    }
    committing[partition] = false;
  };
  const started = performance.now();
  await consumer.run({
    autoCommit: false,
    partitionsConsumedConcurrently: partitions,
    eachBatch: async ({ batch: { partition, messages } }) => {
      for (const message of messages) {
        const record = (await serde.decode('responses', message.value ?? Buffer.of())) as Responses;
        const output = outcomeOf(record);
        const input = {
          topic: from,
          partition,
          key: record.id,
          headers: { iteration: '1' },
          value: message.value ?? Buffer.of(),
          offset: Number(message.offset),
          timestamp: 0,
        };
        waiting[partition]?.push({
          offset: Number(message.offset),
          message: {
            partition,
            key: output.id,
            headers: headersFor(input, output, '1'),
            value: serde.encode(topics.outcomes, output),
          },
        });
      }
      void commit(partition);
    },
  });
  await all.promise;
  const perSecond = (count / (performance.now() - started)) * 1000;
  await consumer.disconnect();
  for (const producer of producers) await producer.disconnect();
  return perSecond;
}

/** The same by the runtime; `asks` asks a model that answers at once, and journals the answer. */
async function ours({ log, serde, pipeline }: Bench, asks: boolean): Promise<number> {
  const journal = openSqliteJournal({
    file: join(folder, `${pipeline}-${asks}.sqlite`),
    time: systemTime,
  });
  const model = instantModel({ failRate: 0.4, refineRate: 0.4, keepCalls: false });
  const gateway = openGateway(model, journal);
  const runtime = new Runtime({
    dataflow: flowOf(async (record, context) => {
      if (asks) {
        await context.model.ask(
          {
            role: 'judge',
            messages: record.messages,
            sampling: context.settings.judge,
            draws: { path: '0', round: 0, attempt: 0, count: 1 },
          },
          context.signal,
        );
      }
      return [outcomeOf(record)];
    }),
    pipeline,
    iteration: '1',
    stages: ['judge'],
    log,
    serde,
    contexts: createContexts({
      pipeline,
      log,
      serde,
      gateway,
      time: systemTime,
      tableWaitMs: 1000,
    }),
    limits: {
      ...{ records: 4096, bytes: 64 * 1024 * 1024, lingerMs, transactionRecords },
      ...{ attempts: 3, retryFirstDelayMs: 10, retryMaxDelayMs: 1000, awayMs: 10_000 },
    },
    sampleRecords: 4096,
    openTrees: 1000,
    treesPerInstruction: 1,
    askMs: 500,
    time: systemTime,
    logger: silentLogger,
  });
  const started = performance.now();
  await runtime.start();
  while ((runtime.stats()[0]?.done ?? 0) < count) await systemTime.sleep(5);
  const perSecond = (count / (performance.now() - started)) * 1000;
  await runtime.stop();
  await journal.close();
  return perSecond;
}

try {
  const results: object[] = [];
  for (const partitions of values.partitions.split(',').map(Number)) {
    const rates = { bare: [] as number[], runtime: [] as number[], journaled: [] as number[] };
    for (let round = 0; round < rounds; round++) {
      // Each on input of its own, since the groups and the outputs are what is measured.
      for (const [name, measure] of [
        ['bare', bare],
        ['runtime', (bench: Bench) => ours(bench, false)],
        ['journaled', (bench: Bench) => ours(bench, true)],
      ] as const) {
        const bench = await prepare(partitions);
        const rate = await measure(bench);
        await bench.close();
        rates[name].push(rate);
        process.stderr.write(
          `${partitions} partitions, round ${round + 1} of ${rounds}: ${name} ${Math.round(rate)}/s\n`,
        );
      }
    }
    const [one, other, journaled] = [rates.bare, rates.runtime, rates.journaled].map(median);
    results.push({
      partitions,
      bare_per_second: Math.round(one ?? 0),
      runtime_per_second: Math.round(other ?? 0),
      journaled_per_second: Math.round(journaled ?? 0),
      runtime_share: Number(((other ?? 0) / (one ?? 1)).toFixed(2)),
      journaled_share: Number(((journaled ?? 0) / (one ?? 1)).toFixed(2)),
    });
  }
  process.stdout.write(`${JSON.stringify({ records: count, rounds, results }, null, 2)}\n`);
} finally {
  await broker.stop();
  rmSync(folder, { recursive: true, force: true });
}
