import { fullId, partsOf } from '../../processors/rules/ids.ts';
import { noSpend } from '../../processors/rules/spend.ts';
import type { DeadLetter, Outcome, Spend } from '../../schemas/records.ts';
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
 */
export function deadLetter(
  where: Where,
  record: LogRecord,
  input: unknown,
  failure: Failure,
): readonly NewRecord[] {
  const { step, pipeline, serde, name } = where;
  const iteration = iterationOf(record) ?? where.iteration;
  const revision = revisionOf(record);
  const write = (topic: TopicInfo, output: { readonly id: string }): NewRecord => ({
    topic: nameOnLog(pipeline, topic),
    partition: record.partition,
    key: output.id,
    headers: headersFor(record, output, iteration),
    value: serde.encode(topic, output),
  });
  const letter: DeadLetter = {
    id: `${step.from.name}/${record.partition}/${record.offset}`,
    topic: step.from.name,
    partition: record.partition,
    offset: record.offset,
    key: record.key,
    headers: JSON.stringify(record.headers),
    value: Buffer.from(record.value),
    stage: name,
    iteration,
    cause: failure.code,
    error: oneLine(failure.message, 1000),
    attempts: failure.attempts,
    revision,
  };
  const outcome = failedOutcome(where, record, input, failure.code, revision);
  return [write(topics.deadLetters, letter), ...(outcome ? [write(topics.outcomes, outcome)] : [])];
}

function failedOutcome(
  { step, iteration: own }: Where,
  record: LogRecord,
  input: unknown,
  cause: string,
  revision: number,
): Outcome | null {
  const iteration = iterationOf(record) ?? own;
  const parts = partsOf(record.key ?? '');
  // Before `sample` a record is the instruction alone, under whatever key; afterwards a key starts with the iteration.
  const instruction = step.from.foreign === true ? (idOf(input) ?? record.key) : parts[1];
  const tree = step.ends === 'tree' ? Number(parts[2]) : null;
  if (iteration === null || instruction == null || (tree !== null && !Number.isSafeInteger(tree)))
    return null;
  const trees = Number(record.headers['trees'] ?? 1);
  return {
    id:
      tree === null ? fullId(iteration, instruction) : fullId(iteration, instruction, String(tree)),
    iteration,
    instruction_id: instruction,
    tree,
    trees: tree === null ? 0 : trees,
    outcome: 'failed',
    cause,
    revision,
    evaluated: evaluatedOf(input),
    ...spendOf(input),
  };
}

/** What had been spent on the record before it failed, if it could be read at all. */
function spendOf(input: unknown): Spend {
  if (typeof input !== 'object' || input === null || !('calls' in input)) return noSpend;
  const { calls, generations, prompt_tokens, completion_tokens, tokens_estimated, cost } =
    // Every schema that has `calls` has the rest of a spend.
    input as unknown as Spend;
  return { calls, generations, prompt_tokens, completion_tokens, tokens_estimated, cost };
}

const idOf = (input: unknown): string | null =>
  typeof input === 'object' && input !== null && 'id' in input && typeof input.id === 'string'
    ? input.id
    : null;

const evaluatedOf = (input: unknown): number =>
  typeof input === 'object' && input !== null && 'evaluated' in input ? Number(input.evaluated) : 0;
