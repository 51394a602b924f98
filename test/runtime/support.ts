import { onTestFinished, vi } from 'vitest';
import type { Home } from '../../infra/home/home.ts';
import { silentLogger } from '../../infra/logger.ts';
import type { Log, LogRecord } from '../../infra/log/log.ts';
import { scan } from '../../infra/log/scan.ts';
import type { Contexts } from '../../infra/runtime/contexts.ts';
import { Stage, type StageLimits, type StageOptions } from '../../infra/runtime/stage.ts';
import type { Time } from '../../infra/time.ts';
import type { Context } from '../../processors/processor.ts';
import { fullId } from '../../processors/rules/ids.ts';
import { noSavings } from '../../processors/rules/savings.ts';
import { noSpend } from '../../processors/rules/spend.ts';
import type { Instruction, Outcome } from '../../schemas/records.ts';
import { nameOnLog, step, type TopicInfo } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { memoryHome } from '../support/home.ts';
import { instantTime } from '../support/time.ts';

export const instruction = (id: string, text = 'Write.'): Instruction => ({
  id,
  messages: [{ role: 'user', content: text }],
  constraints: [],
  judge_by: null,
  source: 'test',
  extra: '{}',
  source_line: 1,
  responses: [],
  added_at: 0,
});

export const outcome = (id: string, change: Partial<Outcome> = {}): Outcome => ({
  id: fullId('1', id),
  iteration: '1',
  instruction_id: id,
  tree: null,
  trees: 0,
  outcome: 'all-passed',
  cause: null,
  revision: 0,
  evaluated: 0,
  ...noSpend,
  ...noSavings,
  ...change,
});

export type Process = (record: Instruction, context: Context) => Promise<readonly Outcome[]>;

/** A processor whose records end when the test says so. */
export function script() {
  const started: string[] = [];
  const signals: AbortSignal[] = [];
  const ends = new Map<string, PromiseWithResolvers<undefined>>();
  const endOf = (id: string) => {
    const end = ends.get(id) ?? Promise.withResolvers<undefined>();
    ends.set(id, end);
    return end;
  };
  const process: Process = async ({ id }, { signal }) => {
    started.push(id);
    signals.push(signal);
    const aborted = Promise.withResolvers<never>();
    const abort = () => aborted.reject(signal.reason as Error);
    signal.addEventListener('abort', abort);
    try {
      await Promise.race([endOf(id).promise, aborted.promise]);
    } finally {
      signal.removeEventListener('abort', abort);
    }
    return [outcome(id)];
  };
  return {
    started,
    signals,
    process,
    end: (...ids: readonly string[]) => {
      for (const id of ids) endOf(id).resolve(undefined);
    },
  };
}

export const limits: StageLimits = {
  records: 1000,
  bytes: 1024 * 1024 * 1024,
  lingerMs: 0,
  transactionRecords: 500,
  attempts: 3,
  retryFirstDelayMs: 10,
  retryMaxDelayMs: 1000,
  awayMs: 10_000,
};

/** One stage over `instructions` that writes `outcomes`, in a home in memory. */
export async function stageOf(
  process: Process,
  change: {
    readonly home?: Home;
    readonly partitions?: number;
    readonly limits?: Partial<StageLimits>;
    readonly time?: Time;
    readonly contexts?: Contexts['of'];
    readonly log?: (log: Log) => Log;
    readonly options?: Partial<StageOptions>;
  } = {},
) {
  const home = change.home ?? (await memoryHome(change.partitions));
  const failures: Error[] = [];
  const stage = new Stage({
    name: 'test',
    step: step(
      async (record: Instruction, context: Context) => ({ out: await process(record, context) }),
      {
        from: topics.instructions,
        to: { out: topics.outcomes },
        ends: 'instruction',
      },
    ),
    pipeline: home.pipeline,
    group: 'spar.test',
    iteration: null,
    rank: 1,
    limits: { ...limits, ...change.limits },
    log: change.log?.(home.log) ?? home.log,
    serde: home.serde,
    // Most stages of these tests look nothing up and ask nobody.
    contexts: {
      of:
        change.contexts ??
        ((_stage, _record, _input, signal) => Promise.resolve({ signal } as never)),
    },
    time: change.time ?? instantTime(),
    logger: silentLogger,
    committed: () => undefined,
    failed: (error) => failures.push(error),
    ...change.options,
  });
  onTestFinished(() => stage.stop());
  return { home, stage, failures };
}

/** Puts instructions into the stream. */
export async function append(
  { log, serde, pipeline }: Home,
  ids: readonly string[],
  headers: Readonly<Record<string, string>> = { iteration: '1' },
  partition = 0,
): Promise<void> {
  const topic = nameOnLog(pipeline, topics.instructions);
  await log.append(
    ids.map((id) => ({
      topic,
      partition,
      key: id,
      headers,
      value: serde.encode(topics.instructions, instruction(id)),
    })),
  );
}

export interface Decoded<Row> extends LogRecord {
  readonly row: Row;
}

export async function recordsOf<Row>(
  { log, serde, pipeline }: Home,
  topic: TopicInfo,
): Promise<readonly Decoded<Row>[]> {
  const records: Decoded<Row>[] = [];
  for await (const record of scan(log, nameOnLog(pipeline, topic))) {
    records.push({ ...record, row: (await serde.decode(topic.schema, record.value)) as Row });
  }
  return records;
}

/** The ids of the instructions whose outcomes were published, in order. */
export const endedOf = async (home: Home): Promise<readonly string[]> =>
  (await recordsOf<Outcome>(home, topics.outcomes)).map(({ row }) => row.instruction_id);

export const committedOf = async ({ log }: Home, group = 'spar.test') =>
  (await log.committed(group, 'spar.instructions'))[0];

/** Waits for what must come. */
export const until = (check: () => unknown): Promise<unknown> =>
  vi.waitFor(check, { interval: 2, timeout: 3000 });

/** Long enough for what must not come. */
export const awhile = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 15));

export const numbered = (count: number, from = 0): readonly string[] =>
  Array.from({ length: count }, (_, index) => `i${from + index}`);
