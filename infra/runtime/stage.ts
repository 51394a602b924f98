import { PermanentError } from '../../processors/processor.ts';
import type { Step } from '../../topology/topology.ts';
import { nameOnLog } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import type { Serde } from '../codec/serde.ts';
import {
  PartitionLost,
  TooLarge,
  type Committed,
  type Log,
  type LogRecord,
  type NewRecord,
  type Subscription,
  type Transaction,
} from '../log/log.ts';
import { asError, GivenUp, RunError, Unavailable } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { StorageError } from '../sqlite.ts';
import { messageOf, oneLine } from '../text.ts';
import type { Time } from '../time.ts';
import { NotServed, type Contexts } from './contexts.ts';
import { deadLetter } from './dead-letters.ts';
import { headersFor, iterationOf, revisionOf } from './headers.ts';
import { Window } from './window.ts';

/** The bounds of one stage; its partitions share them alike. */
export interface StageLimits {
  /** Records in flight before intake pauses; it resumes at 80 %. */
  readonly records: number;
  /** Bytes of records in flight before intake pauses. */
  readonly bytes: number;
  /** How long finished work may wait for company in its transaction. */
  readonly lingerMs: number;
  /** Records finished in one transaction, of one partition. */
  readonly transactionRecords: number;
  /** Tries of a record whose failure may pass, before it becomes a dead letter. */
  readonly attempts: number;
  readonly retryFirstDelayMs: number;
  readonly retryMaxDelayMs: number;
  /** How long a record waits for something that all need and that is away, such as the schema registry. */
  readonly awayMs: number;
}

export interface StageOptions {
  readonly name: string;
  readonly step: Step;
  readonly pipeline: string;
  readonly group: string;
  /** For `sample`: the iteration that it samples for; records admitted to another are passed over. */
  readonly iteration: string | null;
  /** Lower goes first at the model. */
  readonly rank: number;
  readonly limits: StageLimits;
  /** Offsets that the window of a partition covers; as many as a commit can remember unless said otherwise. */
  readonly windowSpan?: number;
  readonly log: Log;
  readonly serde: Serde;
  readonly contexts: Contexts;
  readonly time: Time;
  readonly logger: Logger;
  /** After each commit; also the moment at which everything may have settled. */
  readonly committed: () => void;
  /** The stage cannot go on. */
  readonly failed: (error: Error) => void;
}

/** What a stage is doing, over its partitions. */
export interface StageStats {
  /** Records finished and committed by this process. */
  readonly done: number;
  readonly inFlight: number;
  readonly deadLetters: number;
  /** Whether it is a member of its group. */
  readonly joined: boolean;
  /** Partitions that it has now. */
  readonly partitions: number;
  /** Records, by iteration, that wait for a process with the models of their iteration. */
  readonly held: Readonly<Record<string, number>>;
}

/** Runs one step of the dataflow over the partitions that its group gives it. */
export class Stage {
  readonly #options: StageOptions;
  readonly #runs = new Map<number, PartitionRun>();
  #subscription: Subscription | null = null;
  #gateOpen = true;
  #begun = 0;
  #begunMax = Infinity;
  readonly #stats = { done: 0, deadLetters: 0 };

  constructor(options: StageOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }

  get topic(): string {
    return nameOnLog(this.#options.pipeline, this.#options.step.from);
  }

  get group(): string {
    return this.#options.group;
  }

  get stats(): StageStats {
    let inFlight = 0;
    const held: Record<string, number> = {};
    for (const run of this.#runs.values()) {
      inFlight += run.inFlight;
      for (const iteration of run.held) held[iteration] = (held[iteration] ?? 0) + 1;
    }
    return {
      ...this.#stats,
      inFlight,
      joined: this.#subscription !== null,
      partitions: this.#runs.size,
      held,
    };
  }

  /** The partitions that it has now. */
  get partitions(): ReadonlySet<number> {
    return new Set(this.#runs.keys());
  }

  /** Records that it has begun since it was made, those of them that are not committed, and how many it may. */
  get begun(): { readonly ever: number; readonly now: number; readonly most: number } {
    let now = 0;
    for (const run of this.#runs.values()) now += run.begun;
    return { ever: this.#begun, now, most: this.#begunMax };
  }

  /** Of the records that are held, those in these partitions. */
  heldIn(partitions: ReadonlySet<number>): number {
    let held = 0;
    for (const [partition, run] of this.#runs) {
      if (partitions.has(partition)) held += [...run.held].length;
    }
    return held;
  }

  async start(): Promise<void> {
    const { log, group, failed } = this.#options;
    this.#subscription = await log.subscribe(group, this.topic, {
      assigned: (partition, committed) => {
        // Every epoch owns its window: what an earlier one still brings in falls on a run that nobody asks.
        const run = new PartitionRun(partition, committed, {
          ...this.#options,
          stats: this.#stats,
          mayBegin: () => this.#gateOpen && this.#begun < this.#begunMax,
          began: () => this.#begun++,
          share: () => 1 / Math.max(1, this.#runs.size),
          subscription: () => {
            if (!this.#subscription) throw new Error(`${this.name} has not joined its group`);
            return this.#subscription;
          },
        });
        this.#runs.set(partition, run);
        // `subscribe` may assign before it returns; there is nothing to resume before that.
        queueMicrotask(() => this.#subscription && run.setGate(this.#gateOpen));
      },
      records: (partition, records, next) => this.#runs.get(partition)?.enqueue(records, next),
      revoked: async (partition) => {
        const run = this.#runs.get(partition);
        this.#runs.delete(partition);
        await run?.drain();
      },
      failed,
    });
    for (const run of this.#runs.values()) run.setGate(this.#gateOpen);
  }

  /** A closed gate stops intake; what is in flight goes on. */
  setGate(open: boolean): void {
    if (open === this.#gateOpen) return;
    this.#gateOpen = open;
    for (const run of this.#runs.values()) run.setGate(open);
  }

  /** No record begins beyond so many since it was made. */
  beginUpTo(ever: number): void {
    const isMore = ever > this.#begunMax;
    this.#begunMax = ever;
    if (isMore) for (const run of this.#runs.values()) run.begin();
  }

  /** Stops intake, commits what is finished and leaves the group. */
  async stop(): Promise<void> {
    await this.#subscription?.close();
    this.#subscription = null;
  }
}

/** For what is too large: a dead letter, and one that leaves the value where it was. */
const tooLargeTriesMax = 2;

interface Done {
  readonly record: LogRecord;
  readonly outputs: readonly NewRecord[];
}

interface PartitionOptions extends StageOptions {
  readonly stats: { done: number; deadLetters: number };
  /** Whether the stage lets another record begin. */
  readonly mayBegin: () => boolean;
  readonly began: () => void;
  /** What this partition has of the stage's limits, 0 to 1. */
  readonly share: () => number;
  readonly subscription: () => Subscription;
}

/**
 * One epoch of one partition. It is always in one of these modes:
 *
 * - **reading**: records come in and start, up to the limits;
 * - **paused**: the limits or the gate are reached, or the window is nearly as wide as a commit can remember;
 *   it goes back to reading when finished work has been committed and there is room again;
 * - **draining**: the partition is taken away or the process stops; running work is aborted, finished work is
 *   committed, and nothing of this epoch touches the partition afterwards.
 *
 * Records start in order and finish in any order. Those with the same key wait for each other: the later one
 * starts when the earlier one is committed, so that what it looks up is there.
 *
 * A record whose iteration has models that this process does not is **held**: nothing is asked for it, it counts
 * against no limit, and it stays unfinished for whoever has them.
 */
class PartitionRun {
  readonly #partition: number;
  readonly #options: PartitionOptions;
  readonly #window: Window;
  readonly #abort = new AbortController();
  #pending: LogRecord[] = [];
  /** Started and not committed, by offset. */
  readonly #started = new Map<number, LogRecord>();
  /** What started records are about, each with those that wait behind it. */
  readonly #lanes = new Map<string, LogRecord[]>();
  #laned = 0;
  /** What records of others that have started are about, by offset. */
  readonly #abouts = new Map<number, string | null>();
  /** Their schema is being looked up; nothing starts meanwhile. */
  #learning = false;
  /** The iteration of each record that is held, by offset. */
  readonly #held = new Map<number, string>();
  #bytes = 0;
  #finished: Done[] = [];
  #committing: Promise<void> | null = null;
  /** Ends the wait of finished work for company. */
  #lingering: AbortController | null = null;
  #gateOpen = false;
  #reading = false;
  #draining = false;
  /** Where the last commit left the position. */
  #committedLow: number;
  /** A commit failed: what it would have published is not, so no later one may say that it is done. */
  #broken = false;

  constructor(partition: number, committed: Committed, options: PartitionOptions) {
    this.#partition = partition;
    this.#options = options;
    this.#window = new Window(committed.position, committed.metadata, options.windowSpan);
    this.#committedLow = this.#window.low;
  }

  get inFlight(): number {
    return this.#pending.length + this.#laned + this.#started.size;
  }

  get begun(): number {
    return this.#started.size;
  }

  /** The iterations of the records that are held, one each. */
  get held(): Iterable<string> {
    return this.#held.values();
  }

  setGate(open: boolean): void {
    this.#gateOpen = open;
    if (open) this.#start();
    this.#throttle();
  }

  /** More may begin than before. */
  begin(): void {
    if (this.#draining) return;
    this.#start();
    this.#throttle();
  }

  enqueue(records: readonly LogRecord[], next: number): void {
    if (this.#draining) return;
    this.#window.deliver(
      records.map(({ offset }) => offset),
      next,
    );
    for (const record of records) {
      if (this.#window.isDone(record.offset)) continue;
      this.#pending.push(record);
      this.#bytes += record.value.byteLength;
    }
    this.#start();
    this.#throttle();
    // Gaps alone: the position moves past them, so that nobody sees a lag that nothing will ever close.
    if (this.inFlight === 0 && this.#window.low > this.#committedLow) this.#commitSoon();
    this.#hurry();
  }

  async drain(): Promise<void> {
    this.#giveUp();
    await this.#committing;
  }

  #giveUp(): void {
    this.#draining = true;
    this.#abort.abort(new GivenUp('the partition is given up'));
    this.#lingering?.abort();
    this.#pending = [];
  }

  #start(): void {
    const { limits } = this.#options;
    let taken = 0;
    for (const record of this.#pending) {
      if (this.#started.size >= limits.records * this.#options.share()) break;
      if (!this.#window.holds(record.offset)) break;
      if (!this.#isPassedOver(record) && !this.#options.mayBegin()) break;
      const about = this.#aboutOf(record);
      if (about === undefined) break;
      taken++;
      const lane = about === null ? undefined : this.#lanes.get(about);
      if (lane) {
        lane.push(record);
        this.#laned++;
      } else {
        this.#run(record, about);
      }
    }
    if (taken > 0) this.#pending.splice(0, taken);
  }

  #run(record: LogRecord, about: string | null): void {
    this.#started.set(record.offset, record);
    if (!this.#isPassedOver(record)) this.#options.began();
    if (about !== null) this.#lanes.set(about, []);
    this.#attempt(record).then(
      (outputs) => this.#finish({ record, outputs }),
      (error: unknown) => {
        if (this.#draining) return;
        if (error instanceof NotServed) this.#hold(record, error.iteration);
        else this.#options.failed(asError(error));
      },
    );
  }

  #hold(record: LogRecord, iteration: string): void {
    const { logger, name } = this.#options;
    logger.info({ stage: name, key: record.key, iteration }, 'record.held');
    this.#held.set(record.offset, iteration);
    this.#release(record);
    this.#start();
    this.#throttle();
    this.#hurry();
    this.#options.committed();
  }

  /** Tries until there are outputs: those of the processor, or a dead letter. */
  async #attempt(record: LogRecord): Promise<readonly NewRecord[]> {
    const { step, limits, serde, contexts, time, logger, name } = this.#options;
    const { signal } = this.#abort;
    if (this.#isPassedOver(record)) return [];
    let input: unknown = null;
    let awaySince: number | null = null;
    for (let attempts = 1; ; attempts++) {
      const began = time.monotonic();
      try {
        if (record.unreadable !== undefined) {
          throw new PermanentError('unreadable', record.unreadable);
        }
        input ??= await serde.decode(step.from.schema, record.value, record);
        const context = await contexts.of(this.#options, record, input, signal);
        // The topology's types tie the record to the processor; here both are opaque.
        const outputs = await step.process(input as never, context as never);
        return this.#encode(outputs, record);
      } catch (error) {
        signal.throwIfAborted();
        // A full or broken disk is nobody's fault here, and no record may be given up because of it.
        if (error instanceof StorageError || error instanceof NotServed) throw error;
        if (error instanceof Unavailable) {
          // Whoever was at work for so long had all it needed for most of it.
          if (time.monotonic() - began > limits.awayMs / 10) awaySince = null;
          awaySince ??= time.monotonic();
          if (time.monotonic() - awaySince > limits.awayMs) throw error;
          // Nobody's fault and no try: what is needed will be back, or the stage ends.
          attempts--;
          logger.debug({ stage: name, key: record.key, error: error.message }, 'record.waiting');
          await time.sleep(limits.retryMaxDelayMs / 8, signal);
          continue;
        }
        awaySince = null;
        const permanent = error instanceof PermanentError;
        if (permanent || attempts >= limits.attempts) {
          logger.warn(
            { stage: name, key: record.key, attempts, error: oneLine(messageOf(error)) },
            'record.dead',
          );
          this.#options.stats.deadLetters++;
          return deadLetter(this.#options, record, input, {
            code: permanent ? error.code : 'attempts',
            message: messageOf(error),
            attempts,
          });
        }
        const delayMs = Math.min(
          limits.retryMaxDelayMs,
          limits.retryFirstDelayMs * 2 ** (attempts - 1),
        );
        logger.info(
          { stage: name, key: record.key, attempts, delayMs, error: oneLine(messageOf(error)) },
          'record.retried',
        );
        await time.sleep(delayMs, signal);
      }
    }
  }

  /** Admitted to another iteration than the one that is sampled for: nothing comes of it here. */
  #isPassedOver(record: LogRecord): boolean {
    const { iteration } = this.#options;
    return iteration !== null && (iterationOf(record) ?? iteration) !== iteration;
  }

  #encode(
    outputs: Readonly<Record<string, readonly unknown[] | undefined>>,
    input: LogRecord,
  ): NewRecord[] {
    const { step, pipeline, serde, iteration } = this.#options;
    const revision = revisionOf(input);
    return Object.entries(outputs).flatMap(([name, records = []]) => {
      const topic = step.to[name];
      if (!topic) throw new PermanentError('wiring', `${this.#options.name} has no output ${name}`);
      return records.map((record) => ({
        topic: nameOnLog(pipeline, topic),
        partition: input.partition,
        key: (record as { readonly id: string }).id,
        headers: headersFor(input, record, iteration),
        // Processors know nothing of retried dead letters; of the outcomes of one thing the highest revision counts.
        value: serde.encode(
          topic,
          topic === topics.outcomes && revision > 0 ? { ...(record as object), revision } : record,
        ),
      }));
    });
  }

  #finish(done: Done): void {
    if (this.#draining || this.#broken) return;
    // An abandoned head was appended again; whatever its first run brings is the second run's to say.
    if (this.#started.get(done.record.offset) !== done.record) return;
    this.#finished.push(done);
    this.#commitSoon();
    this.#hurry();
  }

  /** Whatever changes what is due ends a wait that has become pointless. */
  #hurry(): void {
    if (this.#isStuck) this.#commitSoon();
    if (this.#isDue) this.#lingering?.abort();
  }

  /** Finished work waits for company, but not for what could only start once it is committed. */
  get #isDue(): boolean {
    if (this.#draining) return true;
    const ended = this.#finished.length;
    if (ended >= this.#options.limits.transactionRecords) return true;
    return this.#pending.length + this.#laned > 0 && ended >= this.#started.size;
  }

  async #linger(): Promise<void> {
    const { limits, time } = this.#options;
    if (this.#isDue) return;
    this.#lingering = new AbortController();
    await time.sleep(limits.lingerMs, this.#lingering.signal).catch(() => undefined);
    this.#lingering = null;
  }

  #commitSoon(): void {
    this.#committing ??= this.#commitAll();
  }

  async #commitAll(): Promise<void> {
    const { limits, failed } = this.#options;
    try {
      let before: number;
      do {
        await this.#linger();
        before = this.#committedLow;
        await this.#commit(this.#finished.splice(0, limits.transactionRecords));
      } while (this.#finished.length > 0 || (this.#committedLow > before && this.#isStuck));
    } catch (error) {
      this.#broken = true;
      if (error instanceof PartitionLost) this.#giveUp();
      else failed(asError(error));
    } finally {
      // In the same turn as the last look at what is finished: whatever ends from now on commits for itself.
      this.#committing = null;
    }
  }

  async #commit(batch: readonly Done[]): Promise<void> {
    const ended = [...batch];
    for (const { record } of batch) this.#window.finish(record.offset);
    const moved = await this.#stuckHeads();
    for (const record of moved) {
      const again = { ...record, headers: { ...record.headers, moved: String(record.offset) } };
      ended.push({ record, outputs: [again] });
      this.#window.finish(record.offset);
      // Before the commit, not after it: a first run that ends meanwhile would be published beside the second.
      this.#started.delete(record.offset);
    }
    const started = moved.filter(({ offset }) => !this.#held.delete(offset));
    const position = this.#window.low;
    await this.#publish(ended, { position, metadata: this.#window.metadata });
    this.#committedLow = position;
    for (const record of [...batch.map((done) => done.record), ...started]) this.#release(record);
    this.#options.stats.done += batch.length;
    this.#start();
    this.#throttle();
    this.#options.committed();
  }

  /** Of what is larger than its topic takes nothing is published but a dead letter, as if it could not be encoded. */
  async #publish(ended: readonly Done[], at: Omit<Transaction, 'outputs'>): Promise<void> {
    const letters = new Map<LogRecord, readonly NewRecord[]>();
    for (let tries = 1; ; tries++) {
      const outputs = ended.map(({ record, outputs: own }) => letters.get(record) ?? own);
      try {
        await this.#options
          .subscription()
          .commit(this.#partition, { outputs: outputs.flat(), ...at });
        return;
      } catch (error) {
        if (!(error instanceof TooLarge)) throw error;
        // Not even a letter without its value fits: no record may be lost in silence.
        if (tries > tooLargeTriesMax) throw new RunError(error.message, { cause: error });
        for (const [index, { record }] of ended.entries()) {
          const large = outputs[index]?.find((output) => error.records.includes(output));
          if (large) letters.set(record, await this.#tooLarge(record, large));
        }
      }
    }
  }

  async #tooLarge(record: LogRecord, { topic, value }: NewRecord): Promise<readonly NewRecord[]> {
    const { pipeline, logger, name, stats } = this.#options;
    const isLetter = topic === nameOnLog(pipeline, topics.deadLetters);
    const message = `an output of ${value.byteLength} bytes is larger than ${topic} takes`;
    logger.warn({ stage: name, key: record.key, error: message }, 'record.dead');
    if (!isLetter) stats.deadLetters++;
    const input = await this.#decoded(record).catch(() => null);
    const failure = { code: 'too-large', message, attempts: 1 };
    return deadLetter(this.#options, record, input, failure, !isLetter);
  }

  /**
   * True if hardly anything of a nearly full window is left to do, and its head is: it has run for long, or it is
   * held. Intake that has paused because of the window would not go on by itself.
   */
  get #isStuck(): boolean {
    const { size, span, share, low } = this.#window;
    if (this.#draining || size < 0.8 * span) return false;
    // What is held is as good as finished here: it will not be, however long the window waits.
    if (share + this.#held.size / Math.min(size, span) <= 0.98) return false;
    // One that has ended meanwhile holds nothing up: its turn to be committed comes next.
    if (this.#finished.some(({ record }) => record.offset === low)) return false;
    // Moved to make room for others that are held, they would go round for ever.
    return this.#started.has(low) || (this.#held.has(low) && this.#held.size <= 0.5 * span);
  }

  /**
   * Records that hold up a nearly full window of finished ones go to the tail of their own topic, in the same
   * transaction: one that runs, or those that are held until the next that is not. A run is abandoned, not aborted:
   * the calls that are under way are joined by the second run.
   */
  async #stuckHeads(): Promise<readonly LogRecord[]> {
    if (!this.#isStuck) return [];
    const { low } = this.#window;
    const running = this.#started.get(low);
    if (running) return [running];
    // Those that are held may be many and wait for long, so that only their offsets are kept.
    const { log, step, pipeline, limits } = this.#options;
    const page = await log.read(nameOnLog(pipeline, step.from), this.#partition, low, {
      records: limits.transactionRecords,
      bytes: limits.bytes,
    });
    const first = page[0]?.offset ?? low;
    for (const offset of this.#held.keys()) {
      if (offset >= first) continue;
      // Retention took it.
      this.#held.delete(offset);
      this.#window.finish(offset);
    }
    const heads: LogRecord[] = [];
    for (const record of page) {
      if (this.#held.has(record.offset)) heads.push(record);
      else if (!this.#window.isDone(record.offset)) break;
    }
    return heads;
  }

  #release(record: LogRecord): void {
    const about = this.#aboutOf(record) ?? null;
    this.#abouts.delete(record.offset);
    this.#started.delete(record.offset);
    this.#bytes -= record.value.byteLength;
    if (about === null) return;
    const [next, ...rest] = this.#lanes.get(about) ?? [];
    this.#lanes.delete(about);
    if (!next || this.#draining) return;
    this.#laned--;
    this.#run(next, about);
    this.#lanes.set(about, rest);
  }

  /**
   * What a record is about: its key, unless others wrote it, who may key theirs as they like; undefined until its
   * schema is known, which starts what waits for it. What it was about at its start, it is until its release.
   */
  #aboutOf(record: LogRecord): string | null | undefined {
    const { step, serde } = this.#options;
    if (step.from.foreign !== true) return record.key;
    const { offset } = record;
    if (this.#abouts.has(offset)) return this.#abouts.get(offset) ?? null;
    if (this.#learning) return undefined;
    let about = record.key;
    try {
      const input = serde.decode(step.from.schema, record.value, record);
      if (input instanceof Promise) {
        this.#learning = true;
        void this.#learn(record, input);
        return undefined;
      }
      about = idIn(input) ?? about;
    } catch {
      // It will be a dead letter, and whose it is does not matter.
    }
    this.#abouts.set(offset, about);
    return about;
  }

  async #learn(record: LogRecord, decoded: Promise<unknown>): Promise<void> {
    const { limits, time, failed } = this.#options;
    const { signal } = this.#abort;
    const since = time.monotonic();
    for (let decoding = decoded; ; decoding = this.#decoded(record)) {
      try {
        this.#abouts.set(record.offset, idIn(await decoding) ?? record.key);
        break;
      } catch (error) {
        if (!(error instanceof Unavailable)) {
          this.#abouts.set(record.offset, record.key);
          break;
        }
        if (time.monotonic() - since > limits.awayMs) {
          failed(error);
          return;
        }
        await time.sleep(limits.retryMaxDelayMs / 8, signal).catch(() => undefined);
        if (signal.aborted) return;
      }
    }
    this.#learning = false;
    this.#start();
    this.#throttle();
  }

  async #decoded(record: LogRecord): Promise<unknown> {
    const { step, serde } = this.#options;
    return await serde.decode(step.from.schema, record.value, record);
  }

  #throttle(): void {
    if (this.#draining) return;
    const { limits } = this.#options;
    const fill = this.#reading ? 1 : 0.8;
    const share = fill * this.#options.share();
    const room =
      this.inFlight < limits.records * share &&
      this.#bytes < limits.bytes * share &&
      this.#window.size < this.#window.span * fill;
    const reading = this.#gateOpen && room;
    if (reading === this.#reading) return;
    this.#reading = reading;
    if (reading) this.#options.subscription().resume(this.#partition);
    else this.#options.subscription().pause(this.#partition);
  }
}

function idIn(input: unknown): string | null {
  const { id } = input as { readonly id?: unknown };
  return typeof id === 'string' ? id : null;
}
