import { firstResponses } from '../../processors/sampling.ts';
import type { Settings } from '../../processors/settings.ts';
import { dataflow } from '../../topology/dataflow.ts';
import { firstSteps } from '../../topology/topology.ts';
import type { Config } from '../config/schema.ts';
import { RunError } from '../errors.ts';
import type { Home } from '../home/home.ts';
import type { Logger } from '../logger.ts';
import { createGateway, type Gateway } from '../model/gateway.ts';
import { createLedger, type Ledger } from '../model/ledger.ts';
import { createContexts } from '../runtime/contexts.ts';
import type { Order } from '../runtime/order.ts';
import { Runtime } from '../runtime/runtime.ts';
import { sentence } from '../text.ts';
import type { Time } from '../time.ts';
import { createBudget, isLimited, keepBudget, type Budget, type BudgetEnd } from './budget.ts';
import { checkPositions, type LostPositions } from './positions.ts';
import { usualSpend } from './plan.ts';
import { openLanes, remarksOn, type Connect, type Endpoints, type Lanes } from './lanes.ts';

export interface EngineOptions {
  readonly home: Home;
  readonly config: Config;
  readonly endpoints: Endpoints;
  readonly connect: Connect;
  /** Which iteration to sample for; null for none. */
  readonly iteration: string | null;
  /** The settings of the iteration that the budget is of. */
  readonly settings: Settings;
  /** Only these stages; null for all. */
  readonly stages: readonly string[] | null;
  readonly time: Time;
  readonly logger: Logger;
  /** A sentence for the person in front of it. */
  readonly notice: (message: string) => void;
  /** When the endpoints have answered, before anything else is asked of them. */
  readonly answered: () => Promise<void>;
  /** What to do where the log has forgotten how far a stage is. */
  readonly lostPositions?: LostPositions;
  /** Resolves when another process is no longer asking for a draw; null if none is known to be at it. */
  readonly elsewhere?: (draw: string) => Promise<void> | null;
  /** Later stages first unless said otherwise, which is for comparisons only. */
  readonly order?: Order;
}

/** The stages of a process with the models that they ask: what `run` and `worker` have in common. */
export interface Engine {
  readonly lanes: Lanes;
  readonly ledger: Ledger;
  readonly gateway: Gateway;
  readonly runtime: Runtime;
  /** Null if nothing is limited. */
  readonly budget: Budget | null;
  /** Makes sure, once, that the endpoints answer. @throws RunError in one sentence with the remedy */
  ready(): Promise<void>;
  /** Reads where the budget stands, before anything is asked: whether there is nothing to do within it. */
  account(): Promise<BudgetEnd | null>;
  /** Starts the stages. @throws UsageError if the log has forgotten how far one of them is */
  start(): Promise<void>;
  /** Rejects when it cannot go on; never resolves. */
  readonly failure: Promise<never>;
  /** Why an endpoint is down; null while all answer. */
  readonly down: string | null;
  /** Why the log's groups wait for it; null if they do not. */
  readonly away: string | null;
  /** Fails if an endpoint has been down, or the log away, for too long; to be called now and then. */
  watch(): void;
  /** Ends: in good order, calls that are under way have a moment to be answered. */
  stop(inGoodOrder: boolean): Promise<void>;
}

export function createEngine(options: EngineOptions): Engine {
  const { home, config, endpoints, time, logger, iteration } = options;
  const { log, serde, journal, pipeline } = home;
  const ledger = createLedger(journal);
  const lanes = openLanes(
    endpoints,
    options.connect,
    retriesOf(config),
    config.limits.probe_ms,
    time,
    (url, limit, why) => logger.debug({ url, limit, why }, 'limit.changed'),
  );
  lanes.probeWith(journal, ledger, iteration ?? '');
  const aborted = new AbortController();
  const fatal = Promise.withResolvers<never>();
  fatal.promise.catch(() => undefined);
  const makeReady = async () => {
    try {
      for (const one of await lanes.ready(aborted.signal)) remarksOn(one).forEach(options.notice);
      await options.answered();
    } catch (error) {
      fatal.reject(error);
      throw error;
    }
  };
  let readying: Promise<void> | null = null;
  const ready = () => (readying ??= makeReady());
  const guess = usualSpend(options.settings, endpoints);
  const budget = isLimited(config.budget) ? makeBudget() : null;
  const gateway = createGateway(
    lanes.roles,
    journal,
    budget ? { ...ledger, answered } : ledger,
    time,
    ready,
    options.elsewhere,
    (of) => (of === options.settings.iteration ? (budget?.cutOff ?? null) : null),
  );
  const runtime = new Runtime({
    dataflow,
    pipeline,
    iteration,
    stages: options.stages,
    log,
    serde,
    contexts: createContexts({
      pipeline,
      log,
      serde,
      gateway,
      ...(options.order && { order: options.order }),
      time,
      tableWaitMs: config.limits.table_wait_ms,
      ...(budget && { admit: (instruction, signal) => budget.admit(instruction, signal) }),
    }),
    limits: {
      records: config.limits.records,
      bytes: config.limits.bytes,
      lingerMs: home.isShared ? config.kafka.linger_ms : config.limits.linger_ms,
      transactionRecords: config.limits.transaction_records,
      attempts: config.retries.record_attempts,
      retryFirstDelayMs: config.retries.first_delay_ms,
      retryMaxDelayMs: config.retries.max_delay_ms,
      awayMs: config.limits.down_ms,
    },
    // Twice what the actor's endpoint takes: enough to keep it full, and never what later stages need.
    sampleRecords: Math.ceil((2 * placesOf(endpoints)) / firstResponses(config)),
    openTrees:
      config.limits.open_trees ??
      2 * lanes.all.reduce((sum, { queue }) => sum + queue.maxInFlight, 0),
    treesPerInstruction: config.negatives_per_instruction,
    // A log far away is asked less often.
    askMs: home.isShared ? 500 : 20,
    time,
    logger,
  });
  const downOf = () => lanes.all.map(({ policy }) => policy.down).find((down) => down !== null);

  return {
    lanes,
    ledger,
    gateway,
    runtime,
    budget,
    ready,
    async account() {
      await keepBudget(journal, options.settings.iteration, { ...config.budget, guess }, time);
      await budget?.start();
      return budget?.end ?? null;
    },
    async start() {
      const { stages, lostPositions: lost = 'refuse' } = options;
      await checkPositions({ log, serde, pipeline, dataflow, stages, iteration, lost, time });
      await runtime.start();
    },
    failure: Promise.race([runtime.failure, fatal.promise]),
    get down() {
      return downOf()?.error ?? null;
    },
    get away() {
      return log.away()?.error ?? null;
    },
    watch() {
      const away = log.away();
      const awayMs = away ? time.monotonic() - away.sinceMs : 0;
      if (awayMs > config.limits.down_ms) {
        fatal.reject(
          new RunError(
            `for ${Math.round(awayMs / 60_000)} minutes ${sentence(away?.error ?? '')} ` +
              'Nothing is lost: the same command goes on.',
          ),
        );
      }
      for (const { policy, endpoint } of lanes.all) {
        const downMs = policy.down ? time.monotonic() - policy.down.sinceMs : 0;
        if (downMs <= config.limits.down_ms) continue;
        fatal.reject(
          new RunError(
            `${endpoint.name} has been down for ${Math.round(downMs / 60_000)} minutes: ` +
              `${sentence(policy.down?.error ?? '')} Nothing is lost: the same command goes on.`,
          ),
        );
      }
    },
    async stop(inGoodOrder) {
      if (inGoodOrder) await finishCalls();
      aborted.abort(new Error('the run is over'));
      await runtime.stop();
      await budget?.stop();
      gateway.close();
      await lanes.close();
    },
  };

  function makeBudget(): Budget {
    const made = createBudget({
      settings: config.budget,
      guess,
      log,
      serde,
      pipeline,
      iteration: options.settings.iteration,
      ledger,
      isShared: home.isShared,
      // Whoever has half of the partitions begins half of what may begin.
      share: () => {
        const first = runtime.stats().find(({ stage }) => firstSteps(dataflow).has(stage));
        return home.isShared ? (first?.partitions ?? 0) / log.partitions : 1;
      },
      isIdle: () =>
        runtime
          .stats()
          .every(({ stage, inFlight }) => inFlight === 0 || firstSteps(dataflow).has(stage)),
      lookMs: home.isShared ? 500 : 100,
      time,
    });
    made.ended.catch(fatal.reject);
    return made;
  }

  async function answered(...answer: Parameters<Ledger['answered']>): Promise<void> {
    const kept = ledger.answered(...answer);
    budget?.answered();
    await kept;
  }

  /** A stop waits a little for calls that are under way: their answers are journaled and need not be paid again. */
  async function finishCalls(): Promise<void> {
    runtime.stopIntake();
    await lanes.finish(ledger, config.limits.shutdown_ms);
  }
}

const placesOf = ({ actor }: Endpoints): number =>
  actor ? actor.maxInFlight * actor.urls.length : 1;

export const retriesOf = ({ retries }: Pick<Config, 'retries'>) => ({
  attempts: retries.attempts,
  firstDelayMs: retries.first_delay_ms,
  maxDelayMs: retries.max_delay_ms,
  maxRetryAfterMs: retries.max_retry_after_ms,
  downAfter: retries.down_after,
  busyAfter: retries.busy_after,
  downFirstDelayMs: Math.max(100, retries.first_delay_ms),
  downMaxDelayMs: retries.max_delay_ms,
});
