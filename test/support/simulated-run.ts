import type { Order } from '../../infra/runtime/order.ts';
import type { LogRecord } from '../../infra/log/log.ts';
import { scan } from '../../infra/log/scan.ts';
import type { Summary } from '../../infra/run/summary.ts';
import type { Outcome } from '../../schemas/records.ts';
import { nameOnLog, type TopicInfo } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { configOf, endpointOf, runWith } from '../run/support.ts';
import {
  batchingServer,
  type BatchingServer,
  type BatchingServerOptions,
} from './batching-server.ts';
import { memoryHome } from './home.ts';
import { virtualTime } from './virtual-time.ts';

export interface SimulatedRunOptions {
  readonly lines: readonly string[];
  /** Of all replicas together. */
  readonly slots: number;
  /** Generations in flight at all replicas together. */
  readonly maxInFlight: number;
  readonly replicas?: number;
  /** Slots of each replica, where they are not alike. */
  readonly replicaSlots?: readonly number[];
  readonly order?: Order;
  /** What may be in progress; null leaves it to the default. */
  readonly openTrees?: number | null;
  /** Choices that one request may ask for; null for as many as one likes. */
  readonly maxChoices?: number | null;
  readonly server?: Partial<BatchingServerOptions>;
  /** Further settings, as in a configuration file. */
  readonly config?: Readonly<Record<string, unknown>>;
}

/** How a run went, in seconds of its own time. */
export interface SimulatedRun {
  readonly summary: Summary;
  readonly seconds: number;
  readonly servers: readonly BatchingServer[];
  /** When each pair was committed. */
  readonly pairs: readonly number[];
  /** When trees were opened, and when they ended. */
  readonly trees: { readonly opened: readonly number[]; readonly ended: readonly number[] };
}

/** A whole run of the production code against simulated servers: the same every time, on any machine. */
export async function simulatedRun(options: SimulatedRunOptions): Promise<SimulatedRun> {
  const { lines, slots, maxInFlight, replicas = 1, order, maxChoices = null } = options;
  const time = virtualTime();
  const home = await memoryHome(1, 'spar', { time });
  const servers = Array.from({ length: replicas }, (_, index) =>
    batchingServer({
      time,
      slots: options.replicaSlots?.[index] ?? slots / replicas,
      whenFull: 'queue',
      ...options.server,
    }),
  );
  const urls = servers.map((_, index) => `replica-${index}`);
  const endpoint = endpointOf({
    urls,
    model: 'batching',
    version: 'batching',
    maxInFlight: Math.round(maxInFlight / replicas),
    maxChoices,
    choicesWanted: maxChoices ?? 5,
  });
  const config = configOf({
    ...options.config,
    limits: { open_trees: options.openTrees ?? null },
  });
  try {
    const summary = await time.drive(
      runWith(home, servers[0] as BatchingServer, lines, {
        time,
        endpoints: { actor: endpoint, judge: endpoint, refiner: endpoint },
        connect: (url) => servers[urls.indexOf(url)] as BatchingServer,
        config,
        progressMs: 60_000,
        ...(order && { order }),
      }),
    );
    const recordsOf = async (topic: TopicInfo): Promise<readonly LogRecord[]> =>
      Array.fromAsync(scan(home.log, nameOnLog(home.pipeline, topic)));
    const secondsOf = ({ timestamp }: LogRecord): number => timestamp / 1000;
    const outcomes = await recordsOf(topics.outcomes);
    const ended = await Promise.all(
      outcomes.map(async (record) => {
        const row = (await home.serde.decode(topics.outcomes.schema, record.value)) as Outcome;
        return row.tree === null ? [] : [secondsOf(record)];
      }),
    );
    return {
      summary,
      seconds: time.monotonic() / 1000,
      servers,
      pairs: (await recordsOf(topics.pairs)).map(secondsOf),
      trees: {
        opened: (await recordsOf(topics.negatives)).map(secondsOf),
        ended: ended.flat(),
      },
    };
  } finally {
    await home.close();
  }
}

/** Most trees that were open at once; one that begins in the moment in which another ends counts with it. */
export function mostOpen({ opened, ended }: SimulatedRun['trees']): number {
  const changes = [
    ...opened.map((second) => ({ second, change: 1 })),
    ...ended.map((second) => ({ second, change: -1 })),
  ].sort((a, b) => a.second - b.second || b.change - a.change);
  let open = 0;
  return changes.reduce((most, { change }) => Math.max(most, (open += change)), 0);
}

/** Milliseconds of slots that were busy between two moments. */
export function busyBetween(busy: BatchingServer['busy'], fromMs: number, toMs: number): number {
  return busy.reduce((sum, [sinceMs, slots], index) => {
    const untilMs = busy[index + 1]?.[0] ?? Infinity;
    return sum + slots * Math.max(0, Math.min(untilMs, toMs) - Math.max(sinceMs, fromMs));
  }, 0);
}
