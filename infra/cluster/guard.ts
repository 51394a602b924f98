import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { createInterface } from 'node:readline';

/**
 * Nothing stays behind when this process is no more, however it ended: a second process, the guard, holds the other
 * end of a pipe. When the pipe closes, it ends what it was told to watch and removes what it was told to remove.
 *
 * It tells a process by its id and its `mark`, a text within its command line: ids are given out again.
 */
export interface Watched {
  readonly pid: number;
  readonly mark: string;
}

/** Watches the process until it is released. */
export function guard(watched: Watched): void {
  tell({ guard: watched });
}

export function release(watched: Watched): void {
  tell({ release: watched });
}

/** Removes the folder at the end, after the processes. */
export function guardFolder(folder: string): void {
  tell({ folder });
}

/** SIGKILL to each that is still what it was. */
export function endMarked(watched: Iterable<Watched>): void {
  for (const each of watched) if (isRunning(each)) process.kill(each.pid, 'SIGKILL');
}

/** Whether a process of that id runs, and is the one that was started with the mark. */
export const isRunning = ({ pid, mark }: Watched): boolean => commandOf(pid).includes(mark);

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

type Message =
  { readonly guard: Watched } | { readonly release: Watched } | { readonly folder: string };

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
  const watched = new Map<number, Watched>();
  const folders: string[] = [];
  for await (const line of createInterface({ input: process.stdin })) {
    // Our own lines.
    const message = JSON.parse(line) as Message;
    if ('guard' in message) watched.set(message.guard.pid, message.guard);
    else if ('release' in message) watched.delete(message.release.pid);
    else folders.push(message.folder);
  }
  endMarked(watched.values());
  for (const folder of folders) {
    // A JVM that is being killed may still make a file.
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}

if (import.meta.main) await watch();
