import { PermanentError, type Context, type Table } from '../../processors/processor.ts';
import type { Settings } from '../../processors/settings.ts';
import type { Step, TopicInfo } from '../../topology/topology.ts';
import { latestRow } from '../codec/rows.ts';
import type { Serde } from '../codec/serde.ts';
import type { Log, LogRecord } from '../log/log.ts';
import type { Gateway } from '../model/gateway.ts';
import { findIteration, settingsIn } from '../run/iteration.ts';
import type { Time } from '../time.ts';
import { languageOf } from '../constraints/language.ts';
import { chanceOf } from './chance.ts';
import { iterationOf, orderOf } from './headers.ts';
import { laterFirst, type Order } from './order.ts';

export interface ContextsOptions {
  readonly pipeline: string;
  readonly log: Log;
  readonly serde: Serde;
  readonly gateway: Pick<Gateway, 'serves' | 'model'>;
  /** Later stages first unless said otherwise. */
  readonly order?: Order;
  readonly time: Time;
  /** How long a record waits for the row it joins with. */
  readonly tableWaitMs: number;
  /** Resolves when the first stage may begin with an instruction; at once, unless something limits them. */
  readonly admit?: (instruction: string, signal: AbortSignal) => Promise<void>;
}

/**
 * The record belongs to an iteration that was opened with other models than this process has. A tree stays on the
 * model that opened it, so the record waits for a process that has that model.
 */
export class NotServed extends Error {
  override readonly name = 'NotServed';
  readonly iteration: string;

  constructor(iteration: string, missing: readonly string[]) {
    super(`iteration ${iteration} was opened with ${missing.join(' and ')}`);
    this.iteration = iteration;
  }
}

/** Makes what a processor may know, from what the runtime knows. */
export interface Contexts {
  /**
   * @throws PermanentError `no-iteration` if the record names none that was opened.
   * @throws NotServed if its iteration has models that this process does not.
   */
  of(
    stage: {
      readonly name: string;
      readonly step: Step;
      readonly rank: number;
      readonly iteration: string | null;
    },
    record: LogRecord,
    input: unknown,
    signal: AbortSignal,
  ): Promise<Context<Readonly<Record<string, Table<unknown>>>>>;
}

export function createContexts(options: ContextsOptions): Contexts {
  const { gateway, pipeline, log, serde, order = laterFirst } = options;
  /** Of those that are there, and of those that are being looked up: thousands of records begin at the same time. */
  const known = new Map<string, Promise<Settings>>();

  function settingsOf(id: string): Promise<Settings> {
    const cached = known.get(id);
    if (cached) return cached;
    // A handful are alive at a time; the bound only keeps a hostile stream of headers from filling memory.
    if (known.size >= 64) known.clear();
    const settings = lookUp(id);
    known.set(id, settings);
    settings.catch(() => {
      if (known.get(id) === settings) known.delete(id);
    });
    return settings;
  }

  async function lookUp(id: string): Promise<Settings> {
    const manifest = await findIteration(log, serde, pipeline, id);
    if (!manifest) {
      throw new PermanentError(
        'no-iteration',
        `the iteration ${JSON.stringify(id)} was never opened`,
      );
    }
    return settingsIn(manifest);
  }

  return {
    async of({ name, step, rank, iteration }, record, input, signal) {
      const id = iterationOf(record) ?? iteration;
      if (id === null) throw new PermanentError('no-iteration', 'the record names no iteration');
      const settings = await settingsOf(id);
      const asked = [...step.asks, ...step.asksToo(settings)];
      // An iteration without a judge asks none, wherever its records go.
      const missing = asked.filter(
        (role) => settings.models[role] !== '' && !gateway.serves(role, settings.models[role]),
      );
      if (missing.length > 0) {
        throw new NotServed(
          id,
          missing.map((role) => `${settings.models[role]} as its ${role}`),
        );
      }
      const instruction = instructionOf(input, record);
      if (iteration !== null) await options.admit?.(instruction, signal);
      return {
        settings,
        signal,
        languageOf,
        chance: chanceOf(settings.seed, id, step.from.foreign ? instruction : (record.key ?? '')),
        tables: Object.fromEntries(
          Object.entries(step.tables).map(([table, topic]) => [
            table,
            // Everything about one instruction is in one partition.
            createTable(options, topic, record.partition),
          ]),
        ),
        model: gateway.model(
          { pipeline, iteration: id, seed: settings.seed, instruction, stage: name },
          settings.models,
          order(rank, orderOf(record)),
        ),
      };
    },
  };
}

/** An instruction has an id of its own; all that comes of it names it. */
function instructionOf(input: unknown, record: LogRecord): string {
  const { instruction_id: of, id } = input as {
    readonly instruction_id?: unknown;
    readonly id?: unknown;
  };
  if (typeof of === 'string') return of;
  return typeof id === 'string' ? id : (record.key ?? '');
}

function createTable(
  { log, pipeline, serde, time, tableWaitMs }: ContextsOptions,
  topic: TopicInfo,
  partition?: number,
): Table<unknown> {
  const find = (key: string): Promise<unknown> =>
    latestRow({ log, pipeline, serde }, topic, key, partition);
  return {
    find,
    async wait(key, signal) {
      const deadline = time.monotonic() + tableWaitMs;
      for (let delayMs = 5; ; delayMs = Math.min(1000, delayMs * 2)) {
        const row = await find(key);
        if (row !== null) return row;
        if (time.monotonic() >= deadline) {
          throw new PermanentError(
            `no-${topic.schema}`,
            `${topic.name} has no ${JSON.stringify(key)}, ${tableWaitMs} ms after it was needed`,
          );
        }
        await time.sleep(delayMs, signal);
      }
    },
  };
}
