import type { Processor, Role, Table } from '../processors/processor.ts';
import type { Settings } from '../processors/settings.ts';

/** What the log must know of a topic. */
export interface TopicInfo {
  /** Short name; on the log it is `<pipeline>.<name>`. */
  readonly name: string;
  /** The schema of its values: `schemas/<schema>.avsc`. */
  readonly schema: string;
  readonly kept: Kept;
  /** True if something looks records up by key. */
  readonly keyed: boolean;
  /** Largest record in bytes; the log's default if absent. */
  readonly maxBytes?: number;
  /** True if others than we write it: their keys may be any, and their values plain JSON. */
  readonly foreign?: boolean;
  readonly about: string;
}

/** A topic with the type of its records, for the compiler only. */
export interface Topic<Record> extends TopicInfo {
  /** A function type, so that a topic of other records never fits in its place. Never set. */
  readonly record?: (record: Record) => Record;
}

/** For how long: `forever`, a number of days, or only the latest record of each key. */
export type Kept = 'forever' | 'latest' | { readonly days: number };

/** How a record that will never succeed ends: nothing has started, an instruction fails, or one tree of it. */
export type Unit = 'instruction' | 'tree';

/** A processor with its topics. Outputs go to the partition that the input came from. */
export interface Step {
  // The typed shape is checked by `step`; behind it the runtime treats records as opaque.
  readonly process: Processor<never, Record<string, unknown>, never>;
  readonly from: TopicInfo;
  readonly to: Readonly<Record<string, TopicInfo>>;
  readonly tables: Readonly<Record<string, TopicInfo>>;
  readonly asks: readonly Role[];
  /** Whom it asks besides under some settings. */
  readonly asksToo: (settings: Settings) => readonly Role[];
  readonly ends: Unit;
  /** A step that is part of the search loop says what bounds its rounds: the setting's name. */
  readonly bound: string | null;
}

/** Steps in the order in which records travel: a later one is served first. */
export type Dataflow = Readonly<Record<string, Step>>;

/** Whoever writes or reads a topic without being a step of the dataflow. */
export interface Outside {
  readonly writes: readonly { readonly topic: TopicInfo; readonly by: string }[];
  readonly reads: readonly { readonly topic: TopicInfo; readonly by: string }[];
}

export const topic = <Record>(
  name: string,
  options: Omit<TopicInfo, 'name' | 'keyed'> & { readonly keyed?: boolean },
): Topic<Record> => ({ keyed: false, ...options, name });

/**
 * Wires a processor: each of its outputs and tables must have a topic of the right record, and no other.
 *
 * A union in one direction is fine: two steps may write the same topic.
 */
export function step<Input, Outputs, Tables>(
  process: Processor<Input, Outputs, Tables>,
  wiring: {
    readonly from: Topic<Input>;
    readonly to: { readonly [Name in keyof Outputs]: Topic<Outputs[Name]> };
    readonly asks?: readonly Role[];
    readonly asksToo?: (settings: Settings) => readonly Role[];
    readonly ends: Unit;
    readonly bound?: string;
  } & TablesOf<Tables>,
): Step {
  return {
    process,
    from: wiring.from,
    to: wiring.to,
    tables: wiring.tables ?? {},
    asks: wiring.asks ?? [],
    asksToo: wiring.asksToo ?? (() => []),
    ends: wiring.ends,
    bound: wiring.bound ?? null,
  };
}

/** A processor that looks nothing up has no tables; of any other, none may be forgotten. */
type TablesOf<Tables> = object extends Tables
  ? { readonly tables?: Readonly<Record<string, never>> }
  : {
      readonly tables: {
        readonly [Name in keyof Tables]: Tables[Name] extends Table<infer Row> ? Topic<Row> : never;
      };
    };

/** The name of a topic on the log: `<pipeline>.<name>`. */
export const nameOnLog = (pipeline: string, { name }: Pick<TopicInfo, 'name'>): string =>
  `${pipeline}.${name}`;

/** Steps whose topic no other step writes: each iteration has them read it anew, from the beginning. */
export function firstSteps(dataflow: Dataflow): ReadonlySet<string> {
  const written = new Set(
    Object.values(dataflow).flatMap(({ to }) => Object.values(to).map(({ name }) => name)),
  );
  return new Set(
    Object.entries(dataflow)
      .filter(([, { from }]) => !written.has(from.name))
      .map(([name]) => name),
  );
}

/** Topics that this step writes and no other does. */
export function ownOutputs(dataflow: Dataflow, name: string): readonly TopicInfo[] {
  const others = Object.entries(dataflow).filter(([other]) => other !== name);
  const theirs = new Set(others.flatMap(([, { to }]) => Object.values(to)));
  return Object.values(dataflow[name]?.to ?? {}).filter((topic) => !theirs.has(topic));
}

/** The consumer group of a step; `iteration` is that of a first step, and null for those that all iterations share. */
export const groupOf = (pipeline: string, step: string, iteration: string | null): string =>
  `${pipeline}.${step}${iteration === null ? '' : `.${iteration}`}`;

/** Steps with whose work unfinished a row of the table may still be looked up: from where it is written to the look-up. */
export function stepsBeforeLookUp(dataflow: Dataflow, table: TopicInfo): readonly NamedStep[] {
  const steps = Object.entries(dataflow);
  const looksUp = (tables: Step['tables']) => Object.values(tables).includes(table);
  const lookers = steps.filter(([, { tables }]) => looksUp(tables));
  const writers = steps.filter(([, { to }]) => Object.values(to).includes(table));
  const after = reached(
    steps,
    writers.map(([name]) => name),
    ({ to }, { from }) => Object.values(to).includes(from),
  );
  const before = reached(
    steps,
    lookers.map(([name]) => name),
    ({ from }, { to }) => Object.values(to).includes(from),
  );
  return steps.filter(
    ([name, { tables }]) => after.has(name) && (before.has(name) || looksUp(tables)),
  );
}

type NamedStep = readonly [name: string, step: Step];

/** All steps that can be reached from some by `leads`, themselves left out unless a loop leads back. */
function reached(
  steps: readonly NamedStep[],
  from: readonly string[],
  leads: (one: Step, other: Step) => boolean,
): ReadonlySet<string> {
  const found = new Set<string>();
  const open = steps.filter(([name]) => from.includes(name));
  for (let one = open.pop(); one; one = open.pop()) {
    for (const other of steps) {
      if (found.has(other[0]) || !leads(one[1], other[1])) continue;
      found.add(other[0]);
      open.push(other);
    }
  }
  return found;
}
