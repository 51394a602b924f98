import { firstSteps, groupOf, type Dataflow } from '../../topology/topology.ts';
import type { Serde } from '../codec/serde.ts';
import type { Log } from '../log/log.ts';
import type { Logger } from '../logger.ts';
import type { Time } from '../time.ts';
import type { Contexts } from './contexts.ts';
import { lagOf } from './lag.ts';
import { Stage, type StageLimits, type StageStats } from './stage.ts';

export interface RuntimeOptions {
  readonly dataflow: Dataflow;
  readonly pipeline: string;
  /** Which iteration to sample for; null runs only the stages that all iterations share. */
  readonly iteration: string | null;
  readonly log: Log;
  readonly serde: Serde;
  readonly contexts: Contexts;
  readonly limits: StageLimits;
  /** Instructions in flight at the first stage: enough to fill the model server, not more. */
  readonly sampleRecords: number;
  /** Records waiting for later stages at which sampling pauses; it goes on below 80 %. */
  readonly backlogRecords: number;
  readonly time: Time;
  readonly logger: Logger;
  readonly committed?: () => void;
}

export interface StageStatus extends StageStats {
  readonly stage: string;
  /** Records of its topic that are not committed yet. */
  readonly lag: number;
}

/** How often the gate of the first stage looks at the backlog. */
const gateMs = 100;

/**
 * All stages of a dataflow in one process. Later stages have the lower rank, so that trees finish before new ones
 * start, and the first stage stops taking instructions in while the others have enough to do.
 */
export class Runtime {
  readonly #options: RuntimeOptions;
  readonly #stages: readonly Stage[];
  readonly #first: Stage | null;
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
    const steps = Object.entries(dataflow);
    let first: Stage | null = null;
    const stages: Stage[] = [];
    for (const [index, [name, step]] of steps.entries()) {
      const isFirst = firsts.has(name);
      if (isFirst && iteration === null) continue;
      const stage = new Stage({
        ...options,
        name,
        step,
        // Each iteration replays the instructions for itself; all the rest is shared.
        group: groupOf(pipeline, name, isFirst ? iteration : null),
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
    // Consumers before producers: nothing piles up that nobody reads.
    for (const stage of this.#stages.toReversed()) await stage.start();
    this.#watching = this.#watchBacklog();
  }

  /**
   * Resolves when every record of every stage is committed, as things stand after the last one was appended; those
   * that are held for a process with other models do not count.
   */
  async settled(signal: AbortSignal): Promise<void> {
    while (!(await this.#isQuiet())) await this.#options.time.sleep(20, signal);
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

  /** The commits before and after must be the same ones: otherwise a record may have moved behind our back. */
  async #isQuiet(): Promise<boolean> {
    const before = this.#commits;
    if (this.#stages.some(({ stats }) => stats.inFlight > 0)) return false;
    for (const stage of this.#stages) if ((await this.#openIn(stage)) > 0) return false;
    return before === this.#commits && this.#stages.every(({ stats }) => stats.inFlight === 0);
  }

  #lagOf({ topic, group }: Stage): Promise<number> {
    return lagOf(this.#options.log, group, topic);
  }

  /** Records that this process can do something about. */
  async #openIn(stage: Stage): Promise<number> {
    const held = () => Object.values(stage.stats.held).reduce((sum, count) => sum + count, 0);
    // Those that are held now, not when the answer is there: a record may be held meanwhile, and is still in the lag.
    const before = held();
    return (await this.#lagOf(stage)) - Math.min(before, held());
  }

  async #watchBacklog(): Promise<void> {
    const { signal } = this.#abort;
    const { time, backlogRecords } = this.#options;
    const first = this.#first;
    if (!first) return;
    let open = true;
    while (!signal.aborted) {
      const lags = await Promise.all(
        this.#stages.filter((stage) => stage !== first).map((stage) => this.#openIn(stage)),
      );
      const backlog = lags.reduce((sum, lag) => sum + lag, 0);
      open = backlog < backlogRecords * (open ? 1 : 0.8);
      first.setGate(open);
      // An abort is how this loop ends, not an error.
      await time.sleep(gateMs, signal).catch(() => undefined);
    }
  }
}
