import type { Settings } from '../../processors/settings.ts';
import type { Config } from '../config/schema.ts';
import { Unavailable } from '../errors.ts';
import type { Home } from '../home/home.ts';
import { readInstructions, type InputOptions } from '../input/read.ts';
import { openSeen } from '../input/seen.ts';
import type { Source } from '../input/source.ts';
import type { Logger } from '../logger.ts';
import type { Gateway } from '../model/gateway.ts';
import type { Order } from '../runtime/order.ts';
import type { StageStatus } from '../runtime/runtime.ts';
import type { Time } from '../time.ts';
import { admit, withoutJudge, type Admission } from './admit.ts';
import type { BudgetEnd, BudgetStanding } from './budget.ts';
import { findIteration, isOpen, noteSource, openIteration } from './iteration.ts';
import { createEngine } from './engine.ts';
import type { LostPositions } from './positions.ts';
import type { Connect, Lanes } from './lanes.ts';
import type { RoleEndpoints } from '../config/settings.ts';
import { summaryOf, type Summary } from './summary.ts';
import { createTallyReader, type Tally } from './tally.ts';

export interface RunOptions {
  readonly home: Home;
  readonly source: Source;
  readonly format: InputOptions['format'];
  readonly config: Config;
  readonly settings: Settings;
  readonly endpoints: RoleEndpoints;
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
  /** What to do where the log has forgotten how far a stage is; it refuses unless told otherwise. */
  readonly lostPositions?: LostPositions;
  /** Resolves when another process is no longer asking for a draw; null if none is known to be at it. */
  readonly elsewhere?: (draw: string) => Promise<void> | null;
  /** The models as this process asks them, for those who want to know what is under way. */
  readonly gateway?: (gateway: Gateway) => void;
  /** Later stages first unless said otherwise, which is for comparisons only. */
  readonly order?: Order;
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
  /** Why an endpoint is down, or the log away; null while all answer. */
  readonly down: string | null;
  /** Null if nothing is limited, and before the first look. */
  readonly budget: BudgetStanding | null;
}

/**
 * One iteration over one source, from admission until every instruction has ended, or until it is stopped.
 *
 * @throws UsageError if the iteration is open with other settings; RunError if an endpoint cannot be used or stays
 *   down, or the disk is full. Nothing is lost by any of them.
 */
export async function run(options: RunOptions): Promise<Summary> {
  const { home, settings, time, stop } = options;
  const { log, serde, pipeline } = home;
  const startedMs = time.monotonic();
  const { iteration } = settings;
  await isOpen(log, serde, pipeline, settings);
  const aborted = new AbortController();
  const engine = createEngine({
    ...options,
    iteration,
    stages: null,
    // Not before the endpoints have answered: a mistyped model must not be what the iteration is fixed to.
    answered: () => openIteration(log, serde, pipeline, settings, time),
  });
  const { lanes, ledger, runtime } = engine;
  options.gateway?.(engine.gateway);
  const note = (state: 'unread' | 'read') =>
    noteSource(log, serde, pipeline, iteration, options.source.name, state);
  let noting: Promise<unknown> | null = null;
  const readyToAdmit = async () => {
    await engine.ready();
    await (noting ??= note('unread'));
  };

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
      down: engine.down ?? engine.away,
      budget: engine.budget?.standing ?? null,
    });
  };
  const reporting = async () => {
    while (!aborted.signal.aborted) {
      await report().catch((error: unknown) => {
        // What cannot be read for a while cannot be shown; whoever needs it waits.
        if (!(error instanceof Unavailable)) throw error;
      });
      engine.watch();
      await time.sleep(options.progressMs, aborted.signal).catch(() => undefined);
    }
  };

  let complete = false as boolean;
  let end = null as BudgetEnd | null;
  /** In good order: what is under way has a moment to be finished. */
  let ended = false;
  const work = async () => {
    end = await engine.account();
    if (end !== null) return;
    await engine.start();
    sourceEnded = await admitAll(options, admission, lanes, readyToAdmit);
    const unread = sourceEnded ? await note('read') : [options.source.name];
    if (stop.aborted) return;
    await runtime.settled(aborted.signal);
    complete = unread.length === 0;
  };
  /** The rest of the source is still taken down, so that one knows what is left; but nobody waits for more to come. */
  const budgetEnded = async () => {
    if (!engine.budget) return new Promise<never>(() => undefined);
    end = await engine.budget.ended;
    if (end === 'target') return;
    for (let before = -1; !sourceEnded && before < admission.taken;) {
      before = admission.taken;
      await time.sleep(sourceWaitMs, stop).catch(() => undefined);
    }
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
    await Promise.race([working, stopped.promise, engine.failure, budgetEnded()]);
    for (const [iteration, records] of runtime.held) {
      options.notice(
        `${records} records of iteration ${iteration} wait for the models that it was opened with: ` +
          `go on with spar run --iteration ${iteration} and those models.`,
      );
    }
    ended = true;
  } finally {
    stop.removeEventListener('abort', onStop);
    aborted.abort(new Error('the run is over'));
    await engine.stop(ended && !complete);
    await reporter;
  }
  await report();
  const manifest = await findIteration(log, serde, pipeline, iteration);
  const tally = await tallies.refresh();
  tallies.close();
  return summaryOf(
    tally,
    { total: ledger.total(iteration), thisRun: ledger.thisRun },
    admission,
    {
      complete,
      state: complete ? 'complete' : stateOf(end, stop.aborted),
      budget: engine.budget?.standing ?? null,
      unreadSources: manifest?.unread_sources ?? [],
      seconds: seconds(),
    },
    settings.judge.votes,
  );
}

/** How long a source that brings nothing more is waited for once the budget is used up. */
const sourceWaitMs = 1000;

function stateOf(end: BudgetEnd | null, stopped: boolean): Summary['state'] {
  if (end === 'target') return 'target reached';
  return end === null || stopped ? 'incomplete' : 'incomplete: budget';
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
        refused: (instruction) => withoutJudge(instruction, settings),
        onRejected: options.notice,
        signal: stop,
      },
      admission,
    );
  } finally {
    seen.close();
  }
}
