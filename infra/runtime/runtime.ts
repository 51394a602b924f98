import { firstSteps, groupOf, nameOnLog, type Dataflow } from '../../topology/topology.ts';
import type { Serde } from '../codec/serde.ts';
import { Unavailable } from '../errors.ts';
import type { Log } from '../log/log.ts';
import type { Logger } from '../logger.ts';
import type { Time } from '../time.ts';
import type { Contexts } from './contexts.ts';
import { lagOf, standingOf } from './lag.ts';
import { Stage, type StageLimits, type StageStats } from './stage.ts';

export interface RuntimeOptions {
  readonly dataflow: Dataflow;
  readonly pipeline: string;
  /** Which iteration to sample for; null runs only the stages that all iterations share. */
  readonly iteration: string | null;
  /** Only these stages run here; null for all. */
  readonly stages?: readonly string[] | null;
  readonly log: Log;
  readonly serde: Serde;
  readonly contexts: Contexts;
  readonly limits: StageLimits;
  /** Instructions in flight at the first stage: enough to fill the model server, not more. */
  readonly sampleRecords: number;
  /** Records waiting for later stages at which sampling pauses; it goes on below 80 %. */
  readonly backlogRecords: number;
  /** How often the log is asked where its groups stand, while somebody waits for it. Default 20. */
  readonly askMs?: number;
  readonly time: Time;
  readonly logger: Logger;
  readonly committed?: () => void;
}

export interface StageStatus extends StageStats {
  readonly stage: string;
  /** Records of its topic that are not committed yet. */
  readonly lag: number;
}

/** A topic, and the group of the step that reads it. */
interface Place {
  readonly group: string;
  readonly topic: string;
}

/** While the log is away nobody knows how things stand; it is asked again. */
function unlessAway(error: unknown): null {
  if (error instanceof Unavailable) return null;
  throw error;
}

/** How often the gate of the first stage looks at the backlog, at the most. */
const gateMs = 100;

/**
 * All stages of a dataflow in one process. Later stages have the lower rank, so that trees finish before new ones
 * start, and the first stage stops taking instructions in while the others have enough to do.
 */
export class Runtime {
  readonly #options: RuntimeOptions;
  readonly #stages: readonly Stage[];
  readonly #first: Stage | null;
  /** The groups of all steps behind the first, wherever they run. */
  readonly #later: Place[] = [];
  /** The groups of all steps, in the order in which records travel, wherever they run. */
  readonly #all: Place[] = [];
  readonly #abort = new AbortController();
  readonly #failure = Promise.withResolvers<never>();
  #watching: Promise<void> = Promise.resolve();
  #commits = 0;

  constructor(options: RuntimeOptions) {
    this.#options = options;
    // Nobody may be waiting yet when the first failure comes.
    this.#failure.promise.catch(() => undefined);
    const { dataflow, pipeline, iteration } = options;
    const firsts = firstSteps(dataflow);
    const runsHere = (name: string) => options.stages?.includes(name) ?? true;
    const steps = Object.entries(dataflow);
    let first: Stage | null = null;
    const stages: Stage[] = [];
    for (const [index, [name, step]] of steps.entries()) {
      const isFirst = firsts.has(name);
      const group = groupOf(pipeline, name, isFirst ? iteration : null);
      const place = { group, topic: nameOnLog(pipeline, step.from) };
      if (!isFirst) this.#later.push(place);
      if (!isFirst || iteration !== null) this.#all.push(place);
      if ((isFirst && iteration === null) || !runsHere(name)) continue;
      const stage = new Stage({
        ...options,
        name,
        step,
        // Each iteration replays the instructions for itself; all the rest is shared.
        group,
        iteration: isFirst ? iteration : null,
        rank: steps.length - index,
        limits: isFirst
          ? { ...options.limits, records: Math.min(options.limits.records, options.sampleRecords) }
          : options.limits,
        committed: () => {
          this.#commits++;
          options.committed?.();
        },
        failed: (error) => this.#failure.reject(error),
      });
      if (isFirst) first = stage;
      stages.push(stage);
    }
    this.#stages = stages;
    this.#first = first;
  }

  /** Rejects when a stage cannot go on, such as on a full disk; never resolves. */
  get failure(): Promise<never> {
    return this.#failure.promise;
  }

  async start(): Promise<void> {
    await Promise.all(this.#stages.toReversed().map((stage) => stage.start()));
    this.#watching = this.#watchBacklog();
  }

  /**
   * Resolves when every record of every stage is committed, as things stand after the last one was appended; those
   * that are held for a process with other models do not count.
   */
  async settled(signal: AbortSignal): Promise<void> {
    const { time, askMs = 20 } = this.#options;
    while (!(await this.#isQuiet().catch(unlessAway))) await time.sleep(askMs, signal);
  }

  /** Records, by iteration, that wait for a process with the models of their iteration. */
  get held(): ReadonlyMap<string, number> {
    const held = new Map<string, number>();
    for (const { stats } of this.#stages) {
      for (const [iteration, records] of Object.entries(stats.held)) {
        held.set(iteration, (held.get(iteration) ?? 0) + records);
      }
    }
    return held;
  }

  /** What the stages of this process are doing. */
  stats(): readonly (StageStats & { readonly stage: string })[] {
    return this.#stages.map((stage) => ({ stage: stage.name, ...stage.stats }));
  }

  async status(): Promise<readonly StageStatus[]> {
    return Promise.all(
      this.#stages.map(async (stage) => ({
        stage: stage.name,
        ...stage.stats,
        lag: await this.#lagOf(stage),
      })),
    );
  }

  /** Stops intake, commits what is finished and leaves the groups; what was running starts anew next time. */
  async stop(): Promise<void> {
    this.#abort.abort(new Error('the runtime stops'));
    await this.#watching;
    await Promise.all(this.#stages.map((stage) => stage.stop()));
  }

  /** Stops intake only; what is in flight goes on. */
  stopIntake(): void {
    this.#abort.abort(new Error('the runtime stops'));
    for (const stage of this.#stages) stage.setGate(false);
  }

  /**
   * A record may move while we look: to a step that was looked at before. In this process a commit tells, in others
   * that some group stands elsewhere when we look again.
   */
  async #isQuiet(): Promise<boolean> {
    const before = this.#commits;
    const isIdle = () => this.#stages.every(({ stats }) => stats.inFlight === 0);
    if (!isIdle()) return false;
    const marks = await this.#marks();
    if (marks === null || marks !== (await this.#marks())) return false;
    return before === this.#commits && isIdle();
  }

  /** Where all groups stand; null if one of them has records that somebody could do something about. */
  async #marks(): Promise<string | null> {
    const held = () => [...this.held.values()].reduce((sum, records) => sum + records, 0);
    // Those that are held before, not when the answer is there: what is held meanwhile is still in the lag.
    const before = held();
    let open = 0;
    const marks: string[] = [];
    for (const { group, topic } of this.#all) {
      const standing = await standingOf(this.#options.log, group, topic);
      open += standing.open;
      marks.push(standing.mark);
    }
    return open > Math.min(before, held()) ? null : marks.join('\n');
  }

  #lagOf({ topic, group }: Stage): Promise<number> {
    return lagOf(this.#options.log, group, topic);
  }

  async #watchBacklog(): Promise<void> {
    const { signal } = this.#abort;
    const { time, log, backlogRecords, askMs = 20 } = this.#options;
    const first = this.#first;
    if (!first) return;
    let open = true;
    while (!signal.aborted) {
      const lags = await Promise.all(
        this.#later.map(({ group, topic }) => lagOf(log, group, topic)),
      ).catch(unlessAway);
      if (lags) {
        const held = [...this.held.values()].reduce((sum, records) => sum + records, 0);
        const backlog = lags.reduce((sum, lag) => sum + lag, -held);
        open = backlog < backlogRecords * (open ? 1 : 0.8);
        first.setGate(open);
      }
      // An abort is how this loop ends, not an error.
      await time.sleep(Math.max(gateMs, askMs), signal).catch(() => undefined);
    }
  }
}
