import type { Settings } from '../../processors/settings.ts';
import { dataflow } from '../../topology/dataflow.ts';
import type { Config } from '../config/schema.ts';
import { RunError } from '../errors.ts';
import type { Home } from '../home/home.ts';
import { readInstructions, type InputOptions } from '../input/read.ts';
import { openSeen } from '../input/seen.ts';
import type { Source } from '../input/source.ts';
import type { Logger } from '../logger.ts';
import { createGateway } from '../model/gateway.ts';
import { createLedger } from '../model/ledger.ts';
import { createContexts } from '../runtime/contexts.ts';
import { Runtime, type StageStatus } from '../runtime/runtime.ts';
import { sentence } from '../text.ts';
import type { Time } from '../time.ts';
import { admit, type Admission } from './admit.ts';
import { findIteration, isOpen, noteSource, openIteration } from './iteration.ts';
import { openLanes, remarksOn, type Connect, type Lanes } from './lanes.ts';
import type { ResolvedEndpoint } from '../config/settings.ts';
import type { Role } from '../../processors/processor.ts';
import { summaryOf, type Summary } from './summary.ts';
import { createTallyReader, type Tally } from './tally.ts';

export interface RunOptions {
  readonly home: Home;
  readonly source: Source;
  readonly format: InputOptions['format'];
  readonly config: Config;
  readonly settings: Settings;
  readonly endpoints: Readonly<Record<Role, ResolvedEndpoint>>;
  readonly connect: Connect;
  readonly limit: number | null;
  readonly strict: boolean;
  readonly time: Time;
  readonly logger: Logger;
  readonly progress: (progress: RunProgress) => void;
  /** How often progress is reported. */
  readonly progressMs: number;
  /** A sentence for the person in front of it: a bad line, or what an endpoint cannot do. */
  readonly notice: (message: string) => void;
  /** Aborted to stop: intake ends, what is finished is committed, and the same command goes on later. */
  readonly stop: AbortSignal;
}

/** How a run stands at this moment. */
export interface RunProgress {
  readonly seconds: number;
  readonly stages: readonly StageStatus[];
  readonly tally: Tally;
  /** True once the source has been read to its end. */
  readonly sourceEnded: boolean;
  /** Generations at all endpoints, and how many there may be. */
  readonly inFlight: number;
  readonly limit: number;
  /** What this process has counted; see the ledger for the names. */
  readonly counters: Readonly<Record<string, number>>;
  /** Why an endpoint is down; null while all answer. */
  readonly down: string | null;
}

/**
 * One iteration over one source, from admission until every instruction has ended, or until it is stopped.
 *
 * @throws UsageError if the iteration is open with other settings; RunError if an endpoint cannot be used or stays
 *   down, or the disk is full. Nothing is lost by any of them.
 */
export async function run(options: RunOptions): Promise<Summary> {
  const { home, config, settings, time, logger, stop } = options;
  const { log, serde, journal, pipeline } = home;
  const startedMs = time.monotonic();
  const { iteration } = settings;
  const wasOpen = await isOpen(log, serde, pipeline, settings);

  const ledger = createLedger(journal);
  const lanes = openLanes(
    options.endpoints,
    options.connect,
    retriesOf(config),
    config.limits.probe_ms,
    time,
  );
  lanes.probeWith(journal, ledger, iteration);
  const aborted = new AbortController();
  const fatal = Promise.withResolvers<never>();
  fatal.promise.catch(() => undefined);
  const makeReady = async () => {
    try {
      for (const one of await lanes.ready(aborted.signal)) remarksOn(one).forEach(options.notice);
      // Not before the endpoints have answered: a mistyped model must not be what the iteration is fixed to.
      if (!wasOpen) await openIteration(log, serde, pipeline, settings, time);
    } catch (error) {
      fatal.reject(error);
      throw error;
    }
  };
  let readying: Promise<void> | null = null;
  const ready = () => (readying ??= makeReady());
  const note = (state: 'unread' | 'read') =>
    noteSource(log, serde, pipeline, iteration, options.source.name, state);
  let noting: Promise<unknown> | null = null;
  const readyToAdmit = async () => {
    await ready();
    await (noting ??= note('unread'));
  };

  const runtime = new Runtime({
    dataflow,
    pipeline,
    iteration,
    log,
    serde,
    contexts: createContexts({
      pipeline,
      log,
      serde,
      gateway: createGateway(lanes.roles, journal, ledger, time, ready),
      time,
      tableWaitMs: config.limits.table_wait_ms,
    }),
    limits: {
      records: config.limits.records,
      bytes: config.limits.bytes,
      lingerMs: config.limits.linger_ms,
      transactionRecords: config.limits.transaction_records,
      attempts: config.retries.record_attempts,
      retryFirstDelayMs: config.retries.first_delay_ms,
      retryMaxDelayMs: config.retries.max_delay_ms,
    },
    // Twice what the actor's endpoint takes: enough to keep it full, and never what later stages need.
    sampleRecords: Math.ceil((2 * placesOf(options.endpoints)) / settings.sample.responses),
    backlogRecords: config.limits.backlog_records,
    time,
    logger,
  });
  const tallies = createTallyReader(log, serde, pipeline, iteration);
  const admission = { taken: 0, admitted: 0, duplicates: 0, rejected: 0 };
  let sourceEnded = false;

  const seconds = () => (time.monotonic() - startedMs) / 1000;
  const report = async () => {
    options.progress({
      seconds: seconds(),
      stages: await runtime.status(),
      tally: await tallies.refresh(),
      sourceEnded,
      inFlight: lanes.all.reduce((sum, { queue }) => sum + queue.held, 0),
      limit: lanes.all.reduce((sum, { queue }) => sum + queue.limit, 0),
      counters: ledger.thisRun,
      down: lanes.all.map(({ policy }) => policy.down).find((down) => down !== null)?.error ?? null,
    });
  };
  const reporting = async () => {
    while (!aborted.signal.aborted) {
      await report();
      for (const { policy, endpoint } of lanes.all) {
        const downMs = policy.down ? time.monotonic() - policy.down.sinceMs : 0;
        if (downMs > config.limits.down_ms) {
          fatal.reject(
            new RunError(
              `${endpoint.name} has been down for ${Math.round(downMs / 60_000)} minutes: ` +
                `${sentence(policy.down?.error ?? '')} Nothing is lost: the same command goes on.`,
            ),
          );
        }
      }
      await time.sleep(options.progressMs, aborted.signal).catch(() => undefined);
    }
  };

  let complete = false as boolean;
  const work = async () => {
    await runtime.start();
    sourceEnded = await admitAll(options, admission, lanes, readyToAdmit);
    const unread = sourceEnded ? await note('read') : [options.source.name];
    if (stop.aborted) return;
    await runtime.settled(aborted.signal);
    complete = unread.length === 0;
  };
  const stopped = Promise.withResolvers<undefined>();
  const onStop = () => stopped.resolve(undefined);
  stop.addEventListener('abort', onStop, { once: true });
  if (stop.aborted) onStop();
  const reporter = reporting();
  // What loses the race below is awaited or ended in `finally`; its rejection has nobody else to hear it.
  const working = work();
  working.catch(() => undefined);
  reporter.catch(() => undefined);
  try {
    await Promise.race([working, stopped.promise, runtime.failure, fatal.promise]);
    if (!complete) await finishCalls(runtime, lanes.all, ledger, config.limits.shutdown_ms, time);
  } finally {
    stop.removeEventListener('abort', onStop);
    aborted.abort(new Error('the run is over'));
    await runtime.stop();
    await reporter;
    await lanes.close();
  }
  await report();
  const manifest = await findIteration(log, serde, pipeline, iteration);
  return summaryOf(
    await tallies.refresh(),
    { total: ledger.total(iteration), thisRun: ledger.thisRun },
    admission,
    { complete, unreadSources: manifest?.unread_sources ?? [], seconds: seconds() },
  );
}

async function admitAll(
  options: RunOptions,
  admission: { -readonly [Name in keyof Admission]: Admission[Name] },
  lanes: Pick<Lanes, 'contextTokens'>,
  ready: () => Promise<void>,
): Promise<boolean> {
  const { home, source, config, settings, stop } = options;
  const seen = openSeen();
  try {
    const items = readInstructions(source, {
      format: options.format,
      maxLineBytes: config.limits.max_line_bytes,
      seen,
    });
    return await admit(
      items,
      {
        log: home.log,
        serde: home.serde,
        pipeline: home.pipeline,
        iteration: settings.iteration,
        time: options.time,
        limit: options.limit,
        strict: options.strict,
        ready,
        contextTokens: () => lanes.contextTokens,
        onRejected: options.notice,
        signal: stop,
      },
      admission,
    );
  } finally {
    seen.close();
  }
}

/** A stop waits a little for the calls that are under way: their answers are journaled and need not be paid again. */
async function finishCalls(
  runtime: Runtime,
  lanes: readonly { readonly queue: { readonly held: number; close(): void } }[],
  ledger: { readonly inFlight: Readonly<Record<string, number>> },
  shutdownMs: number,
  time: Time,
): Promise<void> {
  runtime.stopIntake();
  for (const { queue } of lanes) queue.close();
  const deadline = time.monotonic() + shutdownMs;
  const waiting = () => Object.values(ledger.inFlight).some((calls) => calls > 0);
  while (waiting() && time.monotonic() < deadline) await time.sleep(20);
}

const placesOf = (endpoints: RunOptions['endpoints']): number =>
  endpoints.actor.maxInFlight * endpoints.actor.urls.length;

const retriesOf = ({ retries }: Config) => ({
  attempts: retries.attempts,
  firstDelayMs: retries.first_delay_ms,
  maxDelayMs: retries.max_delay_ms,
  maxRetryAfterMs: retries.max_retry_after_ms,
  downAfter: retries.down_after,
  busyAfter: retries.busy_after,
  downFirstDelayMs: Math.max(100, retries.first_delay_ms),
  downMaxDelayMs: retries.max_delay_ms,
});
