import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';

const binary = join(import.meta.dirname, '../../infra/bin/spar.js');
const environment = { PATH: process.env['PATH'], HOME: process.env['HOME'], NO_COLOR: '1' };

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** `spar` as a process of its own. Whatever becomes of the test, none of them outlives it. */
export interface Process {
  readonly name: string;
  readonly ended: Promise<Ended>;
  /** Null while it runs. */
  readonly how: Ended | null;
  send(signal: NodeJS.Signals): void;
  /** The end of what it has said. */
  said(): string;
}

export function spar(
  name: string,
  args: readonly string[],
  { folder, log: logName }: { readonly folder: string; readonly log: string },
): Process {
  const logFile = join(folder, logName);
  const log = openSync(logFile, 'a');
  const child = spawn(process.execPath, [binary, ...args], {
    cwd: folder,
    stdio: ['ignore', log, log],
    env: environment,
  });
  closeSync(log);
  return watched(name, child, () => readFileSync(logFile, 'utf8').slice(-2000));
}

/** The simulator, once it listens. */
export async function startSimulator(
  args: readonly string[],
): Promise<{ readonly process: Process; readonly url: string }> {
  const child = spawn(process.execPath, [binary, 'simulate', '--port', '0', '--json', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: environment,
  });
  const started = watched('the simulator', child, () => '');
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  createInterface({ input: child.stdout }).once('line', resolve);
  child.once('close', () => reject(new Error('the simulator did not start')));
  const { url } = JSON.parse(await promise) as { url: string };
  return { process: started, url };
}

function watched(name: string, child: ChildProcess, said: () => string): Process {
  let how: Ended | null = null;
  const ended = new Promise<Ended>((resolve) => {
    child.once('exit', (code, signal) => {
      how = { code, signal };
      resolve(how);
    });
  });
  onTestFinished(async () => {
    if (how === null) child.kill('SIGKILL');
    await ended;
  });
  return {
    name,
    ended,
    get how() {
      return how;
    },
    send: (signal) => void child.kill(signal),
    said,
  };
}
