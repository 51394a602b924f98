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
  /**
   * Trees in progress at the most, of the instructions that this process samples; one that was sampled counts as all
   * the trees that may come of it, until it has ended or they are there.
   */
  readonly openTrees: number;
  /** Trees that may come of one instruction. */
  readonly treesPerInstruction: number;
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

/** A step behind the first. */
interface Later extends Place {
  /** Null where another process runs it. */
  readonly stage: Stage | null;
  /** Trees that each of its records is, or may become. */
  readonly trees: number;
}

/** While the log is away nobody knows how things stand; it is asked again. */
function unlessAway(error: unknown): null {
  if (error instanceof Unavailable) return null;
  throw error;
}

/** How often it is looked how many trees are open, at the most. */
const lookMs = 50;

/**
 * All stages of a dataflow in one process. Later stages have the lower rank, so that trees finish before new ones
 * start, and the first stage begins no instruction while the others have enough to do.
 */
export class Runtime {
  readonly #options: RuntimeOptions;
  readonly #stages: readonly Stage[];
  readonly #first: Stage | null;
  /** The steps behind the first, wherever they run. */
  readonly #later: Later[] = [];
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
      const trees = step.ends === 'tree' ? 1 : options.treesPerInstruction;
      if (!isFirst || iteration !== null) this.#all.push(place);
      if ((isFirst && iteration === null) || !runsHere(name)) {
        if (!isFirst) this.#later.push({ ...place, stage: null, trees });
        continue;
      }
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
      else this.#later.push({ ...place, stage, trees });
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
    // None before the first look.
    this.#first?.beginUpTo(0);
    await Promise.all(this.#stages.toReversed().map((stage) => stage.start()));
    this.#watching = this.#admit();
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

  /**
   * Lets the first stage begin as many instructions as there is room for, and looks again. The room is of this
   * process and for the partitions that it samples, whoever runs the later stages: what comes of an instruction stays
   * in its partition, so processes need not agree, and twice as many of them have twice the room.
   */
  async #admit(): Promise<void> {
    const { signal } = this.#abort;
    const { time, askMs = 20 } = this.#options;
    const first = this.#first;
    if (!first) return;
    while (!signal.aborted) {
      await this.#look(first).catch(unlessAway);
      // An abort is how this loop ends, not an error.
      await time.sleep(Math.max(lookMs, askMs), signal).catch(() => undefined);
    }
  }

  async #look(first: Stage): Promise<void> {
    const { openTrees, treesPerInstruction } = this.#options;
    // Before the log is asked: what is committed meanwhile counts twice for a moment, and never not at all.
    const { ever, now, most } = first.begun;
    // What there was room for at the last look is not used up: the bound holds, however things stand.
    if (ever < most) return;
    const open = (
      await Promise.all(this.#later.map((one) => this.#openIn(one, first.partitions)))
    ).reduce((sum, trees) => sum + trees, 0);
    const room = Math.floor((openTrees - open) / treesPerInstruction) - now;
    // One may always begin where nothing is in progress, however many trees may come of it.
    first.beginUpTo(ever + Math.max(room, open <= 0 && now === 0 ? 1 : 0));
  }

  /** Trees that are, or may become of what is, between a step and its end. What is held is not in progress. */
  async #openIn(
    { group, topic, stage, trees }: Later,
    partitions: ReadonlySet<number>,
  ): Promise<number> {
    const held = stage?.heldIn(partitions) ?? 0;
    const { open } = await standingOf(this.#options.log, group, topic, partitions);
    return trees * Math.max(0, open - held);
  }
}
