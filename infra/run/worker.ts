import type { Settings } from '../../processors/settings.ts';
import { dataflow } from '../../topology/dataflow.ts';
import { firstSteps } from '../../topology/topology.ts';
import type { Config } from '../config/schema.ts';
import { Unavailable, UsageError } from '../errors.ts';
import type { Home } from '../home/home.ts';
import type { Logger } from '../logger.ts';
import type { Gateway } from '../model/gateway.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { oneLine } from '../text.ts';
import type { Time } from '../time.ts';
import type { BudgetEnd, BudgetStanding } from './budget.ts';
import { createEngine } from './engine.ts';
import { isOpen, openIteration } from './iteration.ts';
import type { Connect, Endpoints } from './lanes.ts';
import type { LostPositions } from './positions.ts';

export interface WorkerOptions {
  readonly home: Home;
  readonly config: Config;
  readonly settings: Settings;
  /** Of the roles that its stages ask. */
  readonly endpoints: Endpoints;
  readonly connect: Connect;
  /** Only these stages; null for all. */
  readonly stages: readonly string[] | null;
  readonly time: Time;
  readonly logger: Logger;
  readonly progress: (progress: WorkerProgress) => void;
  readonly progressMs: number;
  readonly notice: (message: string) => void;
  /** What to do where the log has forgotten how far a stage is; it refuses unless told otherwise. */
  readonly lostPositions?: LostPositions;
  /** Resolves when another process is no longer asking for a draw; null if none is known to be at it. */
  readonly elsewhere?: (draw: string) => Promise<void> | null;
  /** The models as this process asks them, for those who want to know what is under way. */
  readonly gateway?: (gateway: Gateway) => void;
  /** Aborted to stop. */
  readonly stop: AbortSignal;
}

export interface WorkerProgress {
  readonly seconds: number;
  readonly stages: ReturnType<Runtime['stats']>;
  readonly inFlight: number;
  readonly limit: number;
  readonly counters: Readonly<Record<string, number>>;
  readonly down: string | null;
  /** Why it waits for the log; null if it does not. */
  readonly away: string | null;
  /** Null if nothing is limited, and before the first look. */
  readonly budget: BudgetStanding | null;
  /** What became of the budget; null while there is something to do within it. */
  readonly budgetEnd: BudgetEnd | null;
  /** Records by iteration that wait for other models. */
  readonly held: ReadonlyMap<string, number>;
}

/** @throws UsageError if there is no such stage */
export function checkStages(stages: readonly string[]): void {
  const names = Object.keys(dataflow);
  const unknown = stages.find((stage) => !names.includes(stage));
  if (unknown === undefined) return;
  throw new UsageError(
    `there is no stage ${JSON.stringify(unknown)}; there are ${names.join(', ')}`,
  );
}

/**
 * Works on a shared log until it is stopped: takes its share of the partitions, and gives them up when others come.
 * Whoever samples opens the iteration with its settings, unless it is open with the same ones.
 *
 * @throws UsageError if the iteration is open with other settings; RunError if it cannot go on. Nothing is lost.
 */
export async function work(options: WorkerOptions): Promise<void> {
  const { home, settings, time, stop, stages } = options;
  const { log, serde, pipeline } = home;
  const startedMs = time.monotonic();
  const samples = [...firstSteps(dataflow)].some((name) => stages?.includes(name) ?? true);
  if (samples) await isOpen(log, serde, pipeline, settings);
  const engine = createEngine({
    ...options,
    iteration: samples ? settings.iteration : null,
    answered: async () => {
      if (!samples) return;
      await whenThere(() => openIteration(log, serde, pipeline, settings, time), options);
    },
  });
  const { lanes, ledger, runtime, gateway } = engine;
  options.gateway?.(gateway);
  const stopped = Promise.withResolvers<undefined>();
  const onStop = () => stopped.resolve(undefined);
  stop.addEventListener('abort', onStop, { once: true });
  if (stop.aborted) onStop();
  const over = new AbortController();
  const reporting = async () => {
    while (!over.signal.aborted) {
      options.progress({
        seconds: (time.monotonic() - startedMs) / 1000,
        stages: runtime.stats(),
        inFlight: lanes.all.reduce((sum, { queue }) => sum + queue.held, 0),
        limit: lanes.all.reduce((sum, { queue }) => sum + queue.limit, 0),
        counters: ledger.thisRun,
        down: engine.down,
        away: engine.away,
        budget: engine.budget?.standing ?? null,
        budgetEnd: engine.budget?.end ?? null,
        held: runtime.held,
      });
      engine.watch();
      await time.sleep(options.progressMs, over.signal).catch(() => undefined);
    }
  };
  const working = async () => {
    // What comes must find its iteration open.
    if (samples) await engine.ready();
    // Used up or not, it is a member: whatever others need of it goes on.
    await whenThere(() => engine.account(), options);
    await engine.start();
  };
  const reporter = reporting();
  reporter.catch(() => undefined);
  let inGoodOrder = false;
  try {
    const started = working().then(() => stopped.promise);
    started.catch(() => undefined);
    await Promise.race([started, stopped.promise, engine.failure]);
    inGoodOrder = true;
  } finally {
    stop.removeEventListener('abort', onStop);
    over.abort(new Error('the worker is over'));
    await engine.stop(inGoodOrder);
    await reporter;
  }
}

/** Whoever begins while the log is away waits for it, as all who work do. */
async function whenThere(
  work: () => Promise<unknown>,
  { config, time, stop, logger }: WorkerOptions,
): Promise<void> {
  const deadline = time.monotonic() + config.limits.down_ms;
  for (;;) {
    try {
      await work();
      return;
    } catch (error) {
      if (!(error instanceof Unavailable) || time.monotonic() >= deadline) throw error;
      logger.info({ message: oneLine(error.message, 300) }, 'worker.waiting');
      await time.sleep(config.retries.max_delay_ms / 8, stop);
    }
  }
}
