import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RunError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { messageOf } from '../text.ts';
import type { Time } from '../time.ts';

/** A partition of a consumer group, which one process at a time works on. */
export interface Place {
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
}

/** What a process can say of its own work. */
export interface Worker {
  /**
   * Gives the place up if it is held here: finished work is committed, nothing new begins, and what was asked of a
   * model goes on. Resolves with false if it is not held here.
   */
  release(place: Place): Promise<boolean>;
  /** Draws that a model is still being asked for, although the place that they were for was given up. */
  underWay(): readonly string[];
  /** Calls back with draws that have ended, in the journal or in vain; returns the way out. */
  onEnded(listener: (draws: readonly string[]) => void): () => void;
}

/**
 * The processes of one home. Who takes a partition over asks them for it first: so finished work is committed before
 * it would be fenced off, and calls that are under way elsewhere are waited for instead of paid for twice.
 */
export interface Siblings {
  /** Resolves with true if one of them had it; false if none did, or none answered in time. */
  takeOver(place: Place, signal: AbortSignal): Promise<boolean>;
  /**
   * Resolves when a draw that a sibling was asking for is no longer under way there: then the journal has it, or
   * nobody. Null if no sibling is known to be at it.
   */
  readonly awaited: (draw: string) => Promise<void> | null;
  close(): Promise<void>;
}

export interface SiblingsOptions {
  readonly folder: string;
  /** This process's own number among those of the home. */
  readonly slot: number;
  readonly worker: Worker;
  /** How long a sibling may take to give a place up. */
  readonly answerMs: number;
  /** How long a draw may be waited for: as long as a call may take. */
  readonly drawMs: number;
  readonly time: Time;
  readonly logger: Logger;
}

/** Characters that the path of a socket may have on all platforms. */
const pathMax = 100;
/** A draw is named by 32 letters, and an endpoint is asked for 100,000 at a time at most. */
const lineBytesMax = 8 * 1024 * 1024;
/** Those beyond are not waited for: at worst they are paid for twice. */
const drawsMax = 200_000;

/** One line of JSON each way. */
interface Request {
  readonly release: Place;
}
type Reply =
  /** At once: what is still under way for places that are, or are being, given up. */
  | { readonly draws: readonly string[] }
  /** When what was finished is committed. */
  | { readonly released: boolean }
  | { readonly ended: readonly string[] };

/** @throws RunError if no socket can be opened where the others would look for it */
export async function openSiblings(options: SiblingsOptions): Promise<Siblings> {
  const { slot, answerMs, drawMs, time, logger } = options;
  const { folder, prefix } = socketsOf(options.folder);
  const own = join(folder, `${prefix}${slot}.sock`);
  /** Connections to siblings that still work on something we wait for, and theirs to us. */
  const connections = new Set<Socket>();
  const awaited = new Map<string, PromiseWithResolvers<undefined>>();
  const server = await listen(own, (socket) => answer(socket, options, connections));

  function settle(draws: Iterable<string>): void {
    for (const draw of draws) {
      awaited.get(draw)?.resolve(undefined);
      awaited.delete(draw);
    }
  }

  /** Resolves when the sibling has answered; the connection stays open for as long as it works on something. */
  function ask(path: string, place: Place): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const socket = createConnection(path);
    const theirs = new Set<string>();
    const over = new AbortController();
    let answered = false;
    connections.add(socket);
    const end = () => {
      over.abort(new Error('the sibling has ended'));
      connections.delete(socket);
      socket.destroy();
      settle(theirs);
      theirs.clear();
      resolve(false);
    };
    socket.on('error', (error) => {
      logger.debug({ path, message: messageOf(error) }, 'sibling.gone');
    });
    socket.on('close', end);
    socket.on('connect', () => socket.write(`${JSON.stringify({ release: place })}\n`));
    onMessages(socket, logger, (message) => {
      const reply = message as Reply;
      if ('draws' in reply) {
        for (const draw of reply.draws) {
          if (!awaited.has(draw) && awaited.size >= drawsMax) break;
          theirs.add(draw);
          if (!awaited.has(draw)) awaited.set(draw, Promise.withResolvers());
        }
      } else if ('released' in reply) {
        answered = true;
        resolve(reply.released);
      } else {
        for (const draw of reply.ended) theirs.delete(draw);
        settle(reply.ended);
      }
      if (answered && theirs.size === 0) end();
    });
    time.sleep(answerMs, over.signal).then(
      () => resolve(false),
      () => undefined,
    );
    time.sleep(drawMs, over.signal).then(end, () => undefined);
    return promise;
  }

  return {
    async takeOver(place, signal) {
      const paths = namesIn(folder)
        .filter((name) => name.startsWith(prefix) && name.endsWith('.sock'))
        .map((name) => join(folder, name))
        .filter((path) => path !== own);
      const sinceMs = time.monotonic();
      const answers = await Promise.all(paths.map((path) => ask(path, place)));
      const waitedMs = Math.round(time.monotonic() - sinceMs);
      logger.debug(
        { ...place, slot, released: answers.includes(true), waitedMs, draws: awaited.size },
        'siblings.asked',
      );
      signal.throwIfAborted();
      return answers.includes(true);
    },
    awaited: (draw) => awaited.get(draw)?.promise ?? null,
    async close() {
      for (const socket of connections) socket.destroy();
      settle([...awaited.keys()]);
      const { promise, resolve } = Promise.withResolvers<undefined>();
      server.close(() => resolve(undefined));
      await promise;
      rmSync(own, { force: true });
    },
  };
}

/** Answers one request of a sibling, and tells it for as long as it stays what has ended meanwhile. */
function answer(
  socket: Socket,
  { worker, logger }: SiblingsOptions,
  connections: Set<Socket>,
): void {
  connections.add(socket);
  let leave = (): void => undefined;
  socket.on('error', (error) => {
    logger.debug({ message: messageOf(error) }, 'sibling.gone');
  });
  socket.on('close', () => {
    connections.delete(socket);
    leave();
  });
  const say = (reply: Reply) => socket.write(`${JSON.stringify(reply)}\n`);
  onMessages(socket, logger, (message) => {
    const { release } = message as Request;
    const releasing = worker.release(release);
    // In a later turn, when whoever asked for something there has heard that it is given up; and before the commit,
    // which may take its time. Of whatever place: this one may have been given up a while ago, and to another.
    setImmediate(() => {
      if (socket.destroyed) return;
      leave = worker.onEnded((ended) => say({ ended }));
      say({ draws: worker.underWay() });
      releasing.then(
        (released) => say({ released }),
        (error: unknown) => {
          logger.warn({ ...release, message: messageOf(error) }, 'release.failed');
          socket.destroy();
        },
      );
    });
    releasing.catch(() => undefined);
  });
}

/** A socket of this slot that is there already is one that was killed: the slot is ours alone. */
async function listen(path: string, onSocket: (socket: Socket) => void): Promise<Server> {
  const server = createServer(onSocket);
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  server.once('error', reject);
  try {
    rmSync(path, { force: true });
    server.listen(path, () => resolve(undefined));
    await promise;
  } catch (error) {
    throw new RunError(
      `the socket for the other processes of this home cannot be opened (${messageOf(error)}): ` +
        'use a home on a local disk (--home) that its user may write',
      { cause: error },
    );
  }
  server.off('error', reject);
  // Nobody waits for a process because a sibling might ask it for something.
  server.unref();
  return server;
}

/** Calls back with each line of JSON; whoever says anything else, or too much at once, is not one of us. */
function onMessages(socket: Socket, logger: Logger, onMessage: (message: unknown) => void): void {
  const parts: Buffer[] = [];
  let bytes = 0;
  const take = (line: Buffer) => {
    try {
      // Only who may write the home, or is this very user, can connect; and they are of this version.
      onMessage(JSON.parse(line.toString()));
    } catch (error) {
      refuse(messageOf(error));
    }
  };
  const refuse = (message: string) => {
    logger.warn({ message }, 'sibling.unreadable');
    socket.destroy();
  };
  socket.on('data', (chunk: Buffer) => {
    let rest = chunk;
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      const line = Buffer.concat([...parts.splice(0), rest.subarray(0, end)]);
      rest = rest.subarray(end + 1);
      bytes = 0;
      take(line);
      if (socket.destroyed) return;
    }
    parts.push(rest);
    bytes += rest.length;
    if (bytes > lineBytesMax) refuse(`a line has more than ${lineBytesMax} bytes`);
  });
}

/** None if the folder is gone, as old ones in the temporary folder go on some machines: then nobody is asked. */
function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/**
 * In the home; where its path is too long for a socket, in the temporary folder, where all processes of this user find
 * it that have the same one.
 */
function socketsOf(home: string): { readonly folder: string; readonly prefix: string } {
  const folder = realpathSync(home);
  if (join(folder, 'worker-9999.sock').length <= pathMax) return { folder, prefix: 'worker-' };
  const name = createHash('sha256').update(folder).digest('hex').slice(0, 16);
  const short = { folder: ownFolder(), prefix: `${name}-` };
  if (join(short.folder, `${short.prefix}9999.sock`).length <= pathMax) return short;
  throw new RunError(
    `${folder} is too long a path for a socket, and so is ${short.folder}: use a home with a shorter one (--home), or a ` +
      'shorter TMPDIR',
  );
}

/** Everybody may write the temporary folder: what is in there under our name may be anybody's. */
function ownFolder(): string {
  const user = process.getuid?.() ?? 0;
  const folder = join(realpathSync(tmpdir()), `spar-${user}`);
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const found = lstatSync(folder);
  if (found.isDirectory() && found.uid === user && (found.mode & 0o077) === 0) return folder;
  throw new RunError(
    `${folder} is not a folder that this user alone may enter, so it is not used for sockets: remove it, or use a home ` +
      'with a shorter path (--home)',
  );
}
