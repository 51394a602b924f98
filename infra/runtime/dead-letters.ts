import { PermanentError } from '../../processors/processor.ts';
import { fullId, partsOf } from '../../processors/rules/ids.ts';
import { addSavings, noSavings } from '../../processors/rules/savings.ts';
import { noSpend } from '../../processors/rules/spend.ts';
import type { DeadLetter, Outcome, Savings, Spend } from '../../schemas/records.ts';
import type { Step, TopicInfo } from '../../topology/topology.ts';
import { nameOnLog } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import type { Serde } from '../codec/serde.ts';
import type { LogRecord, NewRecord } from '../log/log.ts';
import { oneLine } from '../text.ts';
import { headersFor, iterationOf, revisionOf } from './headers.ts';

interface Failure {
  readonly code: string;
  readonly message: string;
  readonly attempts: number;
}

interface Where {
  readonly name: string;
  readonly step: Pick<Step, 'from' | 'ends'>;
  readonly pipeline: string;
  readonly iteration: string | null;
  readonly serde: Serde;
}

/**
 * A record that will never succeed leaves two: the dead letter with its bytes as they came and, if one can tell
 * whose it was, the outcome that ends its instruction or tree.
 *
 * The record may be anybody's, and say anything: whatever it is, it leaves a dead letter, and no error. One that is not
 * `whole`, or would be too large, leaves the value where it was.
 */
export function deadLetter(
  where: Where,
  record: LogRecord,
  input: unknown,
  failure: Failure,
  whole = true,
): readonly NewRecord[] {
  const named = { ...record, ...namesIn(record) };
  const outcome = failedOutcome(where, named, input, failure.code);
  const left = [
    (whole
      ? written(where, topics.deadLetters, named, letterOf(where, record, failure, true))
      : null) ?? written(where, topics.deadLetters, named, letterOf(where, record, failure, false)),
    outcome && written(where, topics.outcomes, named, outcome),
  ];
  return left.filter((one) => one !== null);
}

/** Null if it is larger than its topic takes. */
function written(
  { pipeline, serde, iteration }: Where,
  topic: TopicInfo,
  record: LogRecord,
  output: { readonly id: string },
): NewRecord | null {
  try {
    return {
      topic: nameOnLog(pipeline, topic),
      partition: record.partition,
      key: output.id,
      headers: headersFor(record, output, iterationOf(record) ?? iteration),
      value: serde.encode(topic, output),
    };
  } catch (error) {
    if (error instanceof PermanentError && error.code === 'too-large') return null;
    throw error;
  }
}

/** Without its value if it is not `whole`: what no dead letter holds stays where it was. */
function letterOf(
  { step, name, iteration }: Where,
  record: LogRecord,
  { code, message, attempts }: Failure,
  whole: boolean,
): DeadLetter {
  const { key, headers, cut } = namesIn(record);
  const remarks = [
    ...(cut ? ['its key or its headers are too long to be kept'] : []),
    ...(whole
      ? []
      : [
          `its value of ${record.value.length} bytes is too large for a dead letter and stays where it was`,
        ]),
  ];
  return {
    id: `${step.from.name}/${record.partition}/${record.offset}`,
    topic: step.from.name,
    partition: record.partition,
    offset: record.offset,
    key,
    headers: JSON.stringify(headers),
    value: Buffer.from(whole ? record.value : []),
    stage: name,
    iteration: iterationOf({ headers }) ?? iteration,
    cause: code,
    error: [oneLine(message, 1000), ...remarks].join('; '),
    attempts,
    revision: revisionOf(record),
  };
}

/** An iteration has 64 characters at most. */
const iterationBytesMax = 256;
/** Longer than any key or header of ours, and short enough to be repeated in all that is left of a record. */
const nameBytesMax = 64 * 1024;

/** Key and headers as far as they are of a length that names have; what is longer is nobody's. */
function namesIn({ key, headers }: Pick<LogRecord, 'key' | 'headers'>) {
  let room = nameBytesMax;
  const kept = Object.entries(headers).filter(([name, text]) => {
    const bytes = Buffer.byteLength(name) + Buffer.byteLength(text);
    if (bytes > room || (name === 'iteration' && bytes > iterationBytesMax)) return false;
    room -= bytes;
    return true;
  });
  const isLong = key !== null && Buffer.byteLength(key) > nameBytesMax;
  return {
    key: isLong ? null : key,
    headers: Object.fromEntries(kept),
    cut: isLong || kept.length < Object.keys(headers).length,
  };
}

function failedOutcome(
  { step, iteration: own }: Where,
  record: LogRecord,
  input: unknown,
  cause: string,
): Outcome | null {
  const iteration = iterationOf(record) ?? own;
  const parts = partsOf(record.key ?? '');
  // Before `sample` a record is the instruction alone, under whatever key; afterwards a key starts with the iteration.
  const instruction = step.from.foreign === true ? (idOf(input) ?? record.key) : parts[1];
  const tree = step.ends === 'tree' ? numberIn(parts[2]) : null;
  if (iteration === null || instruction == null || (step.ends === 'tree' && tree === null))
    return null;
  return {
    id:
      tree === null ? fullId(iteration, instruction) : fullId(iteration, instruction, String(tree)),
    iteration,
    instruction_id: instruction,
    tree,
    trees: tree === null ? 0 : Math.max(1, numberIn(record.headers['trees']) ?? 1),
    outcome: 'failed',
    cause,
    revision: revisionOf(record),
    evaluated: evaluatedOf(input),
    ...spendOf(input),
    ...savingsOf(input),
  };
}

/** A count as we write them; nine digits always fit the 32 bits of a schema. */
const numberIn = (text = ''): number | null => (/^\d{1,9}$/.test(text) ? Number(text) : null);

/** What had been spent on the record before it failed, if it could be read at all. */
function spendOf(input: unknown): Spend {
  if (typeof input !== 'object' || input === null || !('calls' in input)) return noSpend;
  const { calls, generations, prompt_tokens, completion_tokens, tokens_estimated, cost } =
    // Every schema that has `calls` has the rest of a spend.
    input as unknown as Spend;
  return { calls, generations, prompt_tokens, completion_tokens, tokens_estimated, cost };
}

/** What had been saved on it, once there are votes. */
function savingsOf(input: unknown): Savings {
  if (typeof input !== 'object' || input === null || !('saved_children' in input)) return noSavings;
  // Every schema that has one of them has the others.
  const saved = input as unknown as Savings;
  return addSavings(noSavings, saved);
}

const idOf = (input: unknown): string | null =>
  typeof input === 'object' && input !== null && 'id' in input && typeof input.id === 'string'
    ? input.id
    : null;

const evaluatedOf = (input: unknown): number =>
  typeof input === 'object' && input !== null && 'evaluated' in input ? Number(input.evaluated) : 0;
