import { dataflow } from '../../topology/dataflow.ts';
import type { Config } from '../config/schema.ts';
import { RunError } from '../errors.ts';
import type { Home } from '../home/home.ts';
import type { Logger } from '../logger.ts';
import { createGateway, type Gateway } from '../model/gateway.ts';
import { createLedger, type Ledger } from '../model/ledger.ts';
import { createContexts } from '../runtime/contexts.ts';
import { Runtime } from '../runtime/runtime.ts';
import { sentence } from '../text.ts';
import type { Time } from '../time.ts';
import { checkPositions, type LostPositions } from './positions.ts';
import { openLanes, remarksOn, type Connect, type Endpoints, type Lanes } from './lanes.ts';

export interface EngineOptions {
  readonly home: Home;
  readonly config: Config;
  readonly endpoints: Endpoints;
  readonly connect: Connect;
  /** Which iteration to sample for; null for none. */
  readonly iteration: string | null;
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
}

/** The stages of a process with the models that they ask: what `run` and `worker` have in common. */
export interface Engine {
  readonly lanes: Lanes;
  readonly ledger: Ledger;
  readonly gateway: Gateway;
  readonly runtime: Runtime;
  /** Makes sure, once, that the endpoints answer. @throws RunError in one sentence with the remedy */
  ready(): Promise<void>;
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
  const gateway = createGateway(lanes.roles, journal, ledger, time, ready, options.elsewhere);
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
      time,
      tableWaitMs: config.limits.table_wait_ms,
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
    sampleRecords: Math.ceil((2 * placesOf(endpoints)) / config.sample.responses),
    backlogRecords: config.limits.backlog_records,
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
    ready,
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
      gateway.close();
      await lanes.close();
    },
  };

  /** A stop waits a little for calls that are under way: their answers are journaled and need not be paid again. */
  async function finishCalls(): Promise<void> {
    runtime.stopIntake();
    for (const { queue } of lanes.all) queue.close();
    const deadline = time.monotonic() + config.limits.shutdown_ms;
    const waiting = () => Object.values(ledger.inFlight).some((calls) => calls > 0);
    while (waiting() && time.monotonic() < deadline) await time.sleep(20);
  }
}

const placesOf = ({ actor }: Endpoints): number =>
  actor ? actor.maxInFlight * actor.urls.length : 1;

export const retriesOf = ({ retries }: Config) => ({
  attempts: retries.attempts,
  firstDelayMs: retries.first_delay_ms,
  maxDelayMs: retries.max_delay_ms,
  maxRetryAfterMs: retries.max_retry_after_ms,
  downAfter: retries.down_after,
  busyAfter: retries.busy_after,
  downFirstDelayMs: Math.max(100, retries.first_delay_ms),
  downMaxDelayMs: retries.max_delay_ms,
});
