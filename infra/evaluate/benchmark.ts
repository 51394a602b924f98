import type { Message } from '../../schemas/records.ts';
import type { Checker } from '../../processors/rules/constraints/check.ts';
import {
  InvalidConstraint,
  type Constraint,
  type Kwargs,
} from '../../processors/rules/constraints/constraint.ts';
import { readInstructions } from '../input/read.ts';
import { openSeen } from '../input/seen.ts';
import type { Source } from '../input/source.ts';
import { oneLine } from '../text.ts';

/** A row of a benchmark such as IFEval: a prompt with constraints that code can check. */
export interface Task {
  readonly line: number;
  readonly id: string;
  readonly messages: readonly Message[];
  readonly constraints: readonly Constraint[];
}

/** What a file holds, and what is wrong with it, a sentence each that begins with the file and the line. */
export interface Benchmark {
  readonly tasks: readonly Task[];
  readonly problems: readonly string[];
}

/** The text that answers are matched by: the last turn, which is the whole prompt of a benchmark's row. */
export const promptOf = ({ messages }: Pick<Task, 'messages'>): string =>
  messages.at(-1)?.content ?? '';

/** Reads the rows of a benchmark: `key`, `prompt`, `instruction_id_list` and `kwargs`, one object a line. */
export async function readBenchmark(
  source: Source,
  options: { readonly maxLineBytes: number; readonly limit: number | null },
  { describe }: Checker,
): Promise<Benchmark> {
  const seen = openSeen();
  const tasks: Task[] = [];
  const problems: string[] = [];
  const problem = (line: number, text: string) =>
    problems.push(`${oneLine(source.name, 300)}:${line}: ${text}`);
  try {
    const { maxLineBytes, limit } = options;
    for await (const item of readInstructions(source, { format: 'auto', maxLineBytes, seen })) {
      if (item.kind === 'rejected') {
        problems.push(item.message);
        continue;
      }
      if (item.kind === 'duplicate') {
        problem(item.line, `the same row as line ${item.first}; it would count twice.`);
        continue;
      }
      const { id, messages, constraints } = item.instruction;
      const task = {
        ...{ line: item.line, id, messages },
        // The record's arguments are the text of an object: the input was checked.
        constraints: constraints.map(({ id, arguments: text }) => ({
          id,
          kwargs: JSON.parse(text) as Kwargs,
        })),
      };
      if (constraints.length === 0) {
        problem(item.line, 'has no instruction_id_list, so there is nothing to check.');
      }
      for (const constraint of task.constraints) {
        const wrong = problemOf(constraint, describe);
        if (wrong !== null) problem(item.line, oneLine(`${wrong}.`, 500));
      }
      tasks.push(task);
      if (tasks.length === limit) break;
    }
  } finally {
    seen.close();
  }
  return { tasks, problems };
}

/** Why nobody can check it; null if one can. */
function problemOf(constraint: Constraint, describe: Checker['describe']): string | null {
  try {
    describe(constraint);
    return null;
  } catch (error) {
    if (!(error instanceof InvalidConstraint)) throw error;
    return error.message;
  }
}
