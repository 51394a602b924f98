import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, fstatSync, mkdirSync, mkdtempSync, openSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../text.ts';
import { guard, guardFolder, release, type Marked } from './guard.ts';

/**
 * A server in a JVM of its own, and what a test may do to it.
 *
 * It runs, is paused (alive for the system, silent for its clients), or is down. `kill` and `restart` lead from one
 * to the other; after `stop` there is nothing left to restart if its folder was a temporary one.
 */
export interface Service {
  /** The process; null while it is down. */
  readonly process: Marked | null;
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

  await start();
  return {
    get process() {
      return running?.how() === null ? running.marked : null;
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
      if (running) release(running.marked.mark);
    },
  };
}

/** A folder to run in. */
export interface Place {
  readonly folder: string;
  /** Removes it if it is a temporary one. */
  readonly remove: () => Promise<void>;
}

/**
 * Starts something in the named folder, which stays; or in a temporary one, which goes if it does not start, when it is
 * stopped, or when this process is gone.
 */
export async function startIn<Started>(
  named: string | undefined,
  start: (place: Place) => Promise<Started>,
): Promise<Started> {
  const place = placeAt(named);
  try {
    return await start(place);
  } catch (error) {
    await place.remove();
    throw error;
  }
}

function placeAt(named: string | undefined): Place {
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
  readonly marked: Marked;
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
  const temporary = join(place.folder, 'tmp');
  mkdirSync(temporary, { recursive: true });
  // Unpacked libraries and counters would stay in the system's folder after SIGKILL.
  const tidy = [`-Djava.io.tmpdir=${temporary}`, '-XX:-UsePerfData'];
  guard(mark);
  const child = spawn(java, [mark, ...tidy, ...args], {
    cwd: place.folder,
    stdio: ['ignore', log, log],
    // Ctrl-C on the terminal is for whoever started it, who then ends it in good order.
    detached: true,
  });
  closeSync(log);
  child.unref();
  // Without an id it did not start, which is an error of its own below.
  let how = child.pid === undefined ? `${name} did not start` : null;
  const ended = new Promise<void>((resolve) => {
    const end = (text: string): void => {
      how = text;
      release(mark);
      resolve();
    };
    child.once('error', (error) => end(messageOf(error)));
    child.once('exit', (code, signal) => end(`exit ${code ?? signal ?? ''}`));
  });
  return {
    child,
    marked: { pid: child.pid ?? 0, mark },
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
        `${plan.name} ended before it was ready (${how}):\n${tellingLines(running.output())}`,
      );
    }
    if (problem === undefined) return;
    if (performance.now() > deadline) {
      const waited = `${plan.name} was not ready within ${readyMsMax / 1000} s`;
      throw new Error(`${waited} (${messageOf(problem)}):\n${tellingLines(running.output())}`, {
        cause: problem,
      });
    }
    await sleep(readyEveryMs);
  }
}

const shownLines = 15;

/** The lines that say what is wrong, or the last ones. */
export function tellingLines(output: string): string {
  const lines = output.trimEnd().split('\n');
  const telling = lines.filter((line) => /\b(?:ERROR|FATAL)\b|Exception/.test(line));
  return (telling.length > 0 ? telling : lines).slice(-shownLines).join('\n');
}
