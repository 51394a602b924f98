import { lines } from '../input/pieces.ts';
import type { Source } from '../input/source.ts';
import { oneLine } from '../text.ts';
import { promptOf, type Task } from './benchmark.ts';

/** Answers that are there already, each for the task of the same place; null where there is none. */
export interface Responses {
  readonly responses: readonly (string | null)[];
  /** Prompts without or with several answers, and answers without a prompt: a sentence each. */
  readonly gaps: readonly string[];
  /** Lines that cannot be read. */
  readonly problems: readonly string[];
}

/**
 * Reads a file of answers in the benchmark's format, `prompt` and `response` on each line, and finds the answer to
 * every task by its prompt. Of several answers to a prompt the last counts, as it does for the benchmark.
 */
export async function readResponses(
  source: Source,
  tasks: readonly Task[],
  /** What the tasks were read from. */
  benchmark: string,
  maxLineBytes: number,
): Promise<Responses> {
  const name = oneLine(source.name, 300);
  const prompts = new Set(tasks.map(promptOf));
  const answers = new Map<string, { readonly line: number; readonly response: string }>();
  const gaps: string[] = [];
  const problems: string[] = [];
  for await (const { line, bytes } of lines(source.chunks, maxLineBytes)) {
    const place = `${name}:${line}`;
    const answer = bytes === null ? 'longer than limits.max_line_bytes' : answerIn(bytes);
    if (answer === null) continue;
    if (typeof answer === 'string') {
      problems.push(`${place}: ${answer}.`);
      continue;
    }
    if (!prompts.has(answer.prompt)) {
      gaps.push(`${place}: answers no prompt of ${oneLine(benchmark, 300)}; it is not counted.`);
      continue;
    }
    const before = answers.get(answer.prompt);
    if (before) gaps.push(`${place}: answers the prompt of line ${before.line} again; it counts.`);
    answers.set(answer.prompt, { line, response: answer.response });
  }
  for (const task of tasks) {
    if (answers.has(promptOf(task))) continue;
    const place = `${oneLine(benchmark, 300)}:${task.line}`;
    gaps.push(`${place}: has no answer in ${name}; it counts as not followed.`);
  }
  return {
    responses: tasks.map((task) => answers.get(promptOf(task))?.response ?? null),
    gaps,
    problems,
  };
}

/** An answer, why there is none that one can read, or null for a line that is blank. */
function answerIn(
  bytes: Uint8Array,
): { readonly prompt: string; readonly response: string } | string | null {
  let value: unknown;
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    if (text.trim() === '') return null;
    value = JSON.parse(text);
  } catch {
    return 'not JSON in UTF-8; every line must be an object with prompt and response';
  }
  const { prompt, response } = (value ?? {}) as { prompt?: unknown; response?: unknown };
  if (typeof prompt === 'string' && typeof response === 'string') return { prompt, response };
  return 'needs the texts prompt and response';
}
