import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Summary } from '../../infra/run/summary.ts';
import { startSimulator, type Simulator } from '../../infra/simulator/server.ts';
import type { SimulatorSettings } from '../../infra/simulator/settings.ts';

const binary = join(import.meta.dirname, '../../infra/bin/spar.js');

/** A folder that goes when the test is over. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'spar-whole-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export async function simulator(settings: Partial<SimulatorSettings> = {}): Promise<Simulator> {
  const started = await startSimulator(settings);
  onTestFinished(() => started.close());
  return started;
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
}

/**
 * The command as a user gives it, in a process of its own.
 *
 * @param input what standard input says to its end; null leaves it open
 */
export function spar(args: readonly string[], input?: string | null, command = binary): Running {
  const child = spawn(process.execPath, [command, ...args], {
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], NO_COLOR: '1' },
  });
  if (input !== null) child.stdin?.end(input);
  let [stdout, stderr] = ['', ''];
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  return { process: child, ended };
}

export interface Place {
  readonly file: string;
  readonly home: string;
  readonly out: string;
  /** What every run of the place is given. */
  readonly args: readonly string[];
}

/** Somewhere to run: instructions of our own, a home and an output folder. */
export const placeWith = (
  count: number,
  server: Pick<Simulator, 'url'>,
  more: readonly string[] = [],
): Place => placeIn(temporaryFolder(), count, server, more);

/** The same in a folder that is there. */
export function placeIn(
  folder: string,
  count: number,
  { url }: Pick<Simulator, 'url'>,
  more: readonly string[] = [],
): Place {
  const file = join(folder, 'instructions.jsonl');
  writeFileSync(
    file,
    Array.from({ length: count }, (_, index) =>
      JSON.stringify({
        key: 1000 + index,
        prompt: `Describe ${subjects[index % subjects.length]} in exactly ${index + 10} words.`,
      }),
    ).join('\n'),
  );
  const [home, out] = [join(folder, 'home'), join(folder, 'out')];
  const args = [
    'run',
    file,
    '--home',
    home,
    '--out',
    out,
    '--model-url',
    url,
    '--model',
    'simulated',
    '--json',
    ...more,
  ];
  return { file, home, out, args };
}

const subjects = ['a lighthouse', 'the harvest', 'an empty station', 'winter bread', 'old maps'];

export function summaryIn({ stdout, stderr }: Ended): Summary {
  const last = stdout.trim().split('\n').at(-1) ?? '';
  try {
    return JSON.parse(last) as Summary;
  } catch (error) {
    throw new Error(`the last line is no summary: ${last}\n${stderr}`, { cause: error });
  }
}

/** Every file below a folder with its bytes. */
export function filesIn(folder: string): ReadonlyMap<string, string> {
  return new Map(
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .map((name) => join(folder, name))
      .filter((path) => statSync(path).isFile())
      .toSorted()
      .map((path) => [relative(folder, path), readFileSync(path, 'utf8')]),
  );
}

/** Every record of a topic, through `spar tap`. */
export async function tapped<Value>(
  home: string,
  topic: string,
): Promise<readonly Tapped<Value>[]> {
  const { code, stdout, stderr } = await spar(['tap', topic, '--home', home, '--json']).ended;
  if (code !== 0) throw new Error(stderr);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Tapped<Value>);
}

export interface Tapped<Value> {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly timestamp: number;
  readonly key: string;
  readonly value: Value;
}
