import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { UsageError } from '../errors.ts';

export const host = '127.0.0.1';

/**
 * Below 32768, from where systems take ports for outgoing connections: a broker that is started again finds its port
 * free. Above the numbers that people give to servers by habit.
 */
const range = { first: 20_000, end: 32_768 };
const tries = 100;

/**
 * The wanted port if it is free, or any free one for 0.
 *
 * @throws UsageError if the wanted one is taken
 */
export async function claimPort(wanted: number, user: string): Promise<number> {
  if (wanted !== 0) {
    if (await isFree(wanted)) return wanted;
    throw new UsageError(
      `${user} wants port ${wanted}, which is in use: stop what listens there, or choose another port`,
    );
  }
  for (let left = tries; left > 0; left--) {
    const port = randomInt(range.first, range.end);
    if (await isFree(port)) return port;
  }
  throw new UsageError(
    `${user} found none of ${tries} ports free between ${range.first} and ${range.end}`,
  );
}

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
