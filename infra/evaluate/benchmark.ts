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

/** A line that is no task, and why, in one sentence. */
export interface BadLine {
  readonly line: number;
  readonly problem: string;
}

/** The text that answers are matched by: the last turn, which is the whole prompt of a benchmark's row. */
export const promptOf = ({ messages }: Pick<Task, 'messages'>): string =>
  messages.at(-1)?.content ?? '';

/** Reads rows as they come: `key`, `prompt`, `instruction_id_list` and `kwargs`, one object a line. */
export async function* tasksIn(
  source: Source,
  maxLineBytes: number,
): AsyncGenerator<Task | BadLine> {
  const seen = openSeen();
  try {
    for await (const item of readInstructions(source, { format: 'auto', maxLineBytes, seen })) {
      const { line } = item;
      if (item.kind === 'rejected') {
        yield { line, problem: item.message.slice(place(source, line).length) };
      } else if (item.kind === 'duplicate') {
        yield { line, problem: `the same row as line ${item.first}.` };
      } else {
        const { id, messages, constraints } = item.instruction;
        const read = constraints.map(({ id, arguments: text }) => ({
          id,
          // The record's arguments are the text of an object: the input was checked.
          kwargs: JSON.parse(text) as Kwargs,
        }));
        yield { line, id, messages, constraints: read };
      }
    }
  } finally {
    seen.close();
  }
}

/** As messages about a line begin. */
export const place = ({ name }: Pick<Source, 'name'>, line: number): string =>
  `${oneLine(name, 300)}:${line}: `;

/** A whole benchmark, and what is wrong with it. */
export async function readBenchmark(
  source: Source,
  { maxLineBytes, limit }: { readonly maxLineBytes: number; readonly limit: number | null },
  { describe }: Pick<Checker, 'describe'>,
): Promise<{ readonly tasks: readonly Task[]; readonly problems: readonly string[] }> {
  const tasks: Task[] = [];
  const problems: string[] = [];
  const problem = (line: number, text: string) =>
    problems.push(place(source, line) + oneLine(text, 500));
  for await (const item of tasksIn(source, maxLineBytes)) {
    if ('problem' in item) {
      problem(item.line, item.problem);
      continue;
    }
    const { line, constraints } = item;
    if (constraints.length === 0) {
      problem(line, 'has no instruction_id_list, so there is nothing to check.');
    }
    for (const constraint of constraints) {
      const wrong = problemOf(constraint, describe);
      if (wrong !== null) problem(line, `${wrong}.`);
    }
    tasks.push(item);
    if (tasks.length === limit) break;
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
