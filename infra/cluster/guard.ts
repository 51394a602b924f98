import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';

/**
 * Nothing stays behind when this process is no more, however it ended: a second process, the guard, holds the other
 * end of a pipe. When the pipe closes, it ends the processes that it was told of and removes the folders.
 *
 * A process is told by its mark, a text of its own within its command line: ids are given out again, and a mark can be
 * told before there is an id, so there is no moment in which a process runs and nobody knows it.
 */
export function guard(mark: string): void {
  tell({ guard: mark });
}

/** From now on the process may outlive this one, or it has ended. */
export function release(mark: string): void {
  tell({ release: mark });
}

/** Removes the folder at the end, after the processes. */
export function guardFolder(folder: string): void {
  tell({ folder });
}

/** A process that was started with the mark. */
export interface Marked {
  readonly pid: number;
  readonly mark: string;
}

/** Whether it still runs; another process that has got its id is not it. */
export const isRunning = ({ pid, mark }: Marked): boolean => commandOf(pid).includes(mark);

/** The command line; empty if there is no such process, or only what is left of one until its parent asks. */
function commandOf(pid: number): string {
  try {
    return process.platform === 'linux'
      ? readFileSync(`/proc/${pid}/cmdline`, 'utf8')
      : execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' });
  } catch {
    return '';
  }
}

function everyPid(): readonly number[] {
  const names =
    process.platform === 'linux'
      ? readdirSync('/proc')
      : execFileSync('ps', ['-axo', 'pid='], { encoding: 'utf8' }).split('\n');
  return names.map((name) => Number(name)).filter((pid) => pid > 0);
}

type Message =
  { readonly guard: string } | { readonly release: string } | { readonly folder: string };

let child: ChildProcess | null = null;

function tell(message: Message): void {
  child ??= start();
  child.stdin?.write(`${JSON.stringify(message)}\n`);
}

function start(): ChildProcess {
  // A group of its own: Ctrl-C on the terminal is for us, and we tell the guard by ending.
  const started = spawn(process.execPath, [import.meta.filename], {
    stdio: ['pipe', 'ignore', 'inherit'],
    detached: true,
  });
  started.unref();
  // Without a guard there is still `stop`.
  started.stdin.on('error', () => undefined);
  // Node's types call it a stream; it is a socket, and must not keep us alive.
  (started.stdin as unknown as { unref(): void }).unref();
  return started;
}

async function watch(): Promise<void> {
  const marks = new Set<string>();
  const folders: string[] = [];
  for await (const line of createInterface({ input: process.stdin })) {
    // Our own lines.
    const message = JSON.parse(line) as Message;
    if ('guard' in message) marks.add(message.guard);
    else if ('release' in message) marks.delete(message.release);
    else folders.push(message.folder);
  }
  for (const pid of marks.size > 0 ? everyPid() : []) {
    const command = commandOf(pid);
    if ([...marks].some((mark) => command.includes(mark))) end(pid);
  }
  for (const folder of folders) {
    // A JVM that is being killed may still make a file.
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself between the look and the kill.
  }
}

if (import.meta.main) await watch();
