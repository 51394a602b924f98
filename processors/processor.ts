import type { Message, Spend } from '../schemas/records.ts';
import type { Chance } from './rules/chance.ts';
import type { LanguageOf } from './rules/constraints/constraint.ts';
import type { Sampling, Settings } from './settings.ts';

/**
 * One record in, any number of records out, nothing kept in between.
 *
 * `Outputs` names what may come out; the topology says to which topic each goes. `Tables` names what the
 * processor looks up. An output that is left out has no records.
 */
export type Processor<Input, Outputs, Tables = object> = (
  record: Input,
  context: Context<Tables>,
) => Promise<{ readonly [Name in keyof Outputs]?: readonly Outputs[Name][] }>;

/** All that a processor may know besides its record. */
export interface Context<Tables = object> {
  readonly model: Model;
  /** The semantic settings of the record's iteration. */
  readonly settings: Settings;
  readonly chance: Chance;
  /** The language of a text: what code cannot tell of a constraint by itself. */
  readonly languageOf: LanguageOf;
  readonly tables: Tables;
  /** Aborted when the answer is no longer wanted; model calls and waits end with it. */
  readonly signal: AbortSignal;
}

export type Role = 'actor' | 'judge' | 'refiner';

/** The model behind a role, as a port: whoever implements it retries, journals and limits the calls. */
export interface Model {
  /**
   * `count` independent draws from one prompt.
   *
   * @throws PermanentError if the endpoint will never answer this request.
   */
  ask(request: ModelRequest, signal: AbortSignal): Promise<ModelAnswer>;
}

export interface ModelRequest {
  readonly role: Role;
  readonly messages: readonly Message[];
  readonly sampling: Sampling;
  /** Which draws these are, so that each has an id of its own and is paid for once. */
  readonly draws: Draws;
}

export interface Draws {
  /** What the draws are about, unique within the instruction and stage: a response's number, a node's path. */
  readonly path: string;
  /** A vote that is held again is a new round. */
  readonly round: number;
  /** An answer that could not be used makes the next attempt. */
  readonly attempt: number;
  readonly count: number;
}

export interface ModelAnswer {
  /** `count` of them, in the order of the draws. */
  readonly choices: readonly Choice[];
  readonly spend: Spend;
}

export interface Choice {
  /** The answer without thoughts, not trimmed. */
  readonly text: string;
  /** The thoughts of a reasoning model, null if it had none. */
  readonly reasoning: string | null;
  /** As the endpoint said it: `stop`, `length` or another. */
  readonly finish_reason: string;
}

export type { Chance };

/** A keyed, read-only view of a topic's partition: the latest record of each key. */
export interface Table<Row> {
  find(key: string): Promise<Row | null>;
  /**
   * Waits, without holding a call slot, until the key appears.
   *
   * @throws PermanentError with the cause `no-<topic>` if it does not appear in time.
   */
  wait(key: string, signal: AbortSignal): Promise<Row>;
}

/** The answer is no longer wanted: something that was decided meanwhile has made it needless. Whoever asks knows. */
export class Cancelled extends Error {
  override readonly name = 'Cancelled';
}

/** This record will never succeed: it becomes a dead letter, with its cause. Any other error is retried. */
export class PermanentError extends Error {
  override readonly name = 'PermanentError';
  /** A short code for counting, such as `context` or `refused`. */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
