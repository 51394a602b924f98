import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, fstatSync, mkdirSync, mkdtempSync, openSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../text.ts';
import { guard, guardFolder, release, type Watched } from './guard.ts';

/**
 * A server in a JVM of its own, and what a test may do to it.
 *
 * It runs, is paused (alive for the system, silent for its clients), or is down. `kill` and `restart` lead from one
 * to the other; after `stop` there is nothing left to restart if its folder was a temporary one.
 */
export interface Service {
  /** The process; null while it is down. */
  readonly process: Watched | null;
  /** Holds its data and its log. */
  readonly folder: string;
  readonly logFile: string;
  /** SIGKILL, in the midst of whatever it does; resolves when the process is gone. */
  kill(): Promise<void>;
  /** Ends it in good order if it runs, and starts it on the same data and port; resolves when it is ready. */
  restart(): Promise<void>;
  /** Ends it in good order, and removes its folder if that was a temporary one. May be called again. */
  stop(): Promise<void>;
  /** SIGSTOP: connections stay open, and nobody answers. */
  pause(): void;
  resume(): void;
  /** From now on it outlives this process: for a laptop, never for a test. */
  detach(): void;
}

export interface Plan {
  /** `the broker`, for messages. */
  readonly name: string;
  readonly java: string;
  /** What java is given, a class or jar included. */
  readonly args: readonly string[];
  readonly place: Place;
  /** Asks it something that only a server ready for work answers; rejects until then. */
  readonly ready: () => Promise<void>;
}

/** A cold start on a busy machine of two cores took 8 s. */
const readyMsMax = 60_000;
const readyEveryMs = 50;
/** Kafka hands its partitions over first, which takes a second or two. */
const stopMsMax = 15_000;

/** @throws Error with the end of its log if it does not become ready within a minute */
export async function startService(plan: Plan): Promise<Service> {
  const { place } = plan;
  const logFile = join(place.folder, 'output.log');
  let running: Running | null = null;

  async function start(): Promise<void> {
    running = launch(plan, logFile);
    try {
      await untilReady(plan, running);
    } catch (error) {
      await end('SIGKILL');
      throw error;
    }
  }

  async function end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    if (!running) return;
    const { child, ended } = running;
    // A stopped process takes no other signal than this one.
    if (signal !== 'SIGKILL') child.kill('SIGCONT');
    child.kill(signal);
    const impatience = setTimeout(() => child.kill('SIGKILL'), stopMsMax);
    await ended;
    clearTimeout(impatience);
    running = null;
  }

  try {
    await start();
  } catch (error) {
    await place.remove();
    throw error;
  }
  return {
    get process() {
      return running?.how() === null ? running.watched : null;
    },
    folder: place.folder,
    logFile,
    kill: () => end('SIGKILL'),
    async restart() {
      await end('SIGTERM');
      await start();
    },
    async stop() {
      await end('SIGTERM');
      await place.remove();
    },
    pause() {
      running?.child.kill('SIGSTOP');
    },
    resume() {
      running?.child.kill('SIGCONT');
    },
    detach() {
      if (running) release(running.watched);
    },
  };
}

/** A folder to run in. */
export interface Place {
  readonly folder: string;
  /** Removes it if it is a temporary one. */
  readonly remove: () => Promise<void>;
}

/** The named folder, which stays; or a temporary one, which is gone when this process is. */
export function placeAt(named: string | undefined): Place {
  if (named !== undefined) {
    const folder = resolve(named);
    mkdirSync(folder, { recursive: true });
    return { folder, remove: () => Promise.resolve() };
  }
  const temporary = mkdtempSync(join(tmpdir(), 'spar-cluster-'));
  guardFolder(temporary);
  return {
    folder: temporary,
    remove: () => rm(temporary, { recursive: true, force: true, maxRetries: 10 }),
  };
}

interface Running {
  readonly child: ReturnType<typeof spawn>;
  readonly watched: Watched;
  /** Resolves when the process is gone. */
  readonly ended: Promise<void>;
  /** How it ended; null while it runs. */
  readonly how: () => string | null;
  /** What it has written so far, not what one before it wrote into the same log. */
  readonly output: () => string;
}

function launch({ name, java, args, place }: Plan, logFile: string): Running {
  const mark = `-Dspar.started=${randomUUID()}`;
  const log = openSync(logFile, 'a');
  const from = fstatSync(log).size;
  const child = spawn(java, [mark, ...args], {
    cwd: place.folder,
    stdio: ['ignore', log, log],
    // Ctrl-C on the terminal is for whoever started it, who then ends it in good order.
    detached: true,
  });
  closeSync(log);
  child.unref();
  let how: string | null = null;
  const ended = new Promise<void>((resolve) => {
    const end = (text: string): void => {
      how = text;
      release(watched);
      resolve();
    };
    child.once('error', (error) => end(messageOf(error)));
    child.once('exit', (code, signal) => end(`exit ${code ?? signal ?? ''}`));
  });
  // Without an id it did not start, which `ended` tells.
  const watched = { pid: child.pid ?? 0, mark };
  if (child.pid !== undefined) guard(watched);
  if (child.pid === undefined) how = `${name} did not start`;
  return {
    child,
    watched,
    ended,
    how: () => how,
    output: () => readFileSync(logFile).toString('utf8', from),
  };
}

async function untilReady(plan: Plan, running: Running): Promise<void> {
  const deadline = performance.now() + readyMsMax;
  for (;;) {
    let problem: unknown;
    try {
      await plan.ready();
    } catch (error) {
      problem = error;
    }
    const how = running.how();
    // It is looked at after the question: somebody else may have answered.
    if (how !== null) {
      throw new Error(
        `${plan.name} ended before it was ready (${how}):\n${endOf(running.output())}`,
      );
    }
    if (problem === undefined) return;
    if (performance.now() > deadline) {
      const waited = `${plan.name} was not ready within ${readyMsMax / 1000} s`;
      throw new Error(`${waited} (${messageOf(problem)}):\n${endOf(running.output())}`, {
        cause: problem,
      });
    }
    await sleep(readyEveryMs);
  }
}

const shownLines = 15;

/** The lines that say what is wrong, or the last ones. */
function endOf(output: string): string {
  const lines = output.trimEnd().split('\n');
  const telling = lines.filter((line) => /\b(?:ERROR|FATAL)\b|Exception/.test(line));
  return (telling.length > 0 ? telling : lines).slice(-shownLines).join('\n');
}
