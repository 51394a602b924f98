import {
  PermanentError,
  type Context,
  type Model,
  type Table,
} from '../../processors/processor.ts';
import type { Settings } from '../../processors/settings.ts';
import type { Dataflow, Step, TopicInfo } from '../../topology/topology.ts';
import { languageOf } from '../../infra/constraints/language.ts';
import { chanceOf } from '../../infra/runtime/chance.ts';

export interface Keyed {
  readonly id: string;
}

/** What a driven dataflow left behind. */
export interface Driven {
  /** All records of a topic, in the order in which they were written. */
  readonly of: <Row>(topic: TopicInfo & { readonly record?: (row: Row) => Row }) => readonly Row[];
}

/** More steps than any flow of a test takes: a loop that does not end fails instead of hanging. */
const stepsMax = 100_000;

/**
 * Runs a whole dataflow in memory, until no record is left: no log, no clock. Tables see what was written so far.
 * `next` picks which of the waiting records goes first, so that a test can try every order.
 */
export async function drive(
  dataflow: Dataflow,
  topic: TopicInfo,
  records: readonly Keyed[],
  context: { readonly settings: Settings; readonly model: Model },
  next: (waiting: number) => number = () => 0,
): Promise<Driven> {
  const written = new Map<string, Keyed[]>();
  const waiting: { readonly step: Step; readonly record: Keyed }[] = [];
  const write = (to: TopicInfo, record: Keyed): void => {
    written.set(to.name, [...(written.get(to.name) ?? []), record]);
    for (const step of Object.values(dataflow)) {
      if (step.from === to) waiting.push({ step, record });
    }
  };
  for (const record of records) write(topic, record);
  for (let steps = 0; waiting.length > 0; steps++) {
    if (steps >= stepsMax) throw new Error(`still not at its end after ${stepsMax} steps`);
    const [{ step, record } = fail()] = waiting.splice(next(waiting.length), 1);
    for (const [output, rows] of Object.entries(await run(step, record, context, written))) {
      const to = step.to[output];
      if (!to) throw new Error(`no topic for the output ${output}`);
      for (const row of rows ?? []) write(to, row);
    }
  }
  // The topic's type says which records it holds; `write` put nothing else there.
  return { of: ({ name }) => (written.get(name) ?? []) as never };
}

function run(
  step: Step,
  record: Keyed,
  { settings, model }: Pick<Context, 'settings' | 'model'>,
  written: ReadonlyMap<string, readonly Keyed[]>,
) {
  const context: Context = {
    model,
    settings,
    languageOf,
    chance: chanceOf(settings.seed, settings.iteration, record.id),
    tables: Object.fromEntries(
      Object.entries(step.tables).map(([name, { name: topic }]) => [
        name,
        tableOf(() => written.get(topic) ?? []),
      ]),
    ),
    signal: new AbortController().signal,
  };
  // `step` has checked the processor against its topics; behind it records are opaque.
  const process = step.process as unknown as (
    record: Keyed,
    context: Context,
  ) => Promise<Readonly<Record<string, readonly Keyed[] | undefined>>>;
  return process(record, context);
}

/** A table over rows in memory: the latest of each key. Nothing else writes, so a wait that finds nothing fails. */
export function tableOf<Row extends Keyed>(rows: () => readonly Row[]): Table<Row> {
  const latest = (key: string): Row | null => rows().findLast(({ id }) => id === key) ?? null;
  return {
    find: (key) => Promise.resolve(latest(key)),
    wait: (key) => {
      const row = latest(key);
      return row
        ? Promise.resolve(row)
        : Promise.reject(new PermanentError('no-row', `no row with the key ${key}`));
    },
  };
}

function fail(): never {
  throw new Error('`next` picked a record that is not waiting');
}
