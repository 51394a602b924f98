/** What several benches do: processes of their own for each side that is compared, and middle values. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** A program of this folder in a process of its own. */
export interface Part {
  readonly child: ChildProcess;
  /** What it printed, line by line. */
  readonly lines: AsyncIterator<string>;
  readonly ended: Promise<unknown>;
}

export function startPart(file: string, args: readonly string[]): Part {
  const child = spawn(process.execPath, [join(import.meta.dirname, file), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  return {
    child,
    lines: createInterface({ input: child.stdout })[Symbol.asyncIterator](),
    ended: once(child, 'exit'),
  };
}

/** What the part printed, once it has ended. */
export async function resultOf<Result>(part: Part): Promise<Result> {
  const { value, done } = await part.lines.next();
  await part.ended;
  if (done === true) throw new Error(`a part of the bench ended without a word`);
  return JSON.parse(value) as Result;
}

const binary = join(import.meta.dirname, '../../infra/bin/spar.js');

/** The command as a user gives it; what it says is not kept. */
export function startSpar(args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [binary, ...args], { stdio: 'ignore' });
}

export interface BenchServer {
  readonly url: string;
  /** With `--tell`: each call, as it comes. */
  readonly calls: AsyncIterator<string>;
  stop(): Promise<void>;
}

export async function startServer(args: readonly string[] = []): Promise<BenchServer> {
  const part = startPart('server.ts', args);
  const { value, done } = await part.lines.next();
  if (done === true) throw new Error('the server did not start');
  return {
    url: value,
    calls: part.lines,
    async stop() {
      part.child.stdin?.end();
      await part.ended;
    },
  };
}

export const median = (numbers: readonly number[]): number =>
  numbers.toSorted((one, other) => one - other)[Math.floor(numbers.length / 2)] ?? Number.NaN;

export const rounded = (value: number, digits = 0): number => Number(value.toFixed(digits));
