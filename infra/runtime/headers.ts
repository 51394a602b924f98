import { hash } from 'node:crypto';
import { rulesVersion } from '../../processors/rules/version.ts';
import type { LogRecord } from '../log/log.ts';

/**
 * Headers of every record of an iteration: `iteration`, `trace` (32 hex digits, the same for all that comes of one
 * instruction), `order` (its place among the admitted ones, for the call queue), `rules` (their version), for
 * trees `trees` (how many the instruction has), and `revision` for all that comes of a retried dead letter. A
 * record that was appended again because it held the others up has `moved`; nothing that comes of it has.
 */
export function headersFor(
  input: LogRecord,
  output: unknown,
  iteration: string | null,
): Record<string, string> {
  const { headers } = input;
  const own = headers['iteration'] ?? iteration;
  const { trees, instruction_id: instruction } = output as {
    readonly trees?: unknown;
    readonly instruction_id?: unknown;
  };
  const about = typeof instruction === 'string' ? instruction : (input.key ?? '');
  const revision = revisionOf(input);
  return {
    ...(own !== null && { iteration: own }),
    trace: traceIn(headers) ?? traceOf(own ?? '', about),
    order: String(orderOf(input)),
    rules: rulesVersion,
    ...(typeof trees === 'number' && { trees: String(trees) }),
    ...(revision > 0 && { revision: String(revision) }),
  };
}

/** Names the dead letter that a record was made from, so that none is retried twice. */
export const retryHeader = 'retry-of';

/** Where in the home a record was that `copy` took from there: `partition/offset`. */
export const copiedHeader = 'copied';

export const iterationOf = ({ headers }: Pick<LogRecord, 'headers'>): string | null =>
  headers['iteration'] ?? null;

/** How often a dead letter was retried before this came of it. */
export function revisionOf({ headers }: Pick<LogRecord, 'headers'>): number {
  const revision = headers['revision'] ?? '';
  // Others may write anything, and no schema of ours holds more.
  return /^\d{1,9}$/.test(revision) ? Number(revision) : 0;
}

/** Instructions that were admitted earlier go first within a stage. */
export function orderOf({ headers, offset }: Pick<LogRecord, 'headers' | 'offset'>): number {
  const order = Number(headers['order'] ?? Number.NaN);
  return Number.isSafeInteger(order) ? order : offset;
}

/** Producers may bring one of their own along; it goes into each record that comes of theirs, so it must be short. */
const traceIn = ({ trace = '' }: LogRecord['headers']): string | null =>
  /^[\w-]{1,64}$/.test(trace) ? trace : null;

const traceOf = (iteration: string, instruction: string): string =>
  hash('sha256', JSON.stringify([iteration, instruction])).slice(0, 32);
