import { createServer } from 'node:http';
import { UsageError } from '../errors.ts';
import { messageOf } from '../text.ts';

/** How a process is, for whoever keeps it running. */
export interface Health {
  /** Why it is not ready to work, in sentences; empty if it is. */
  notReady(): readonly string[];
}

export interface HealthServer {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * `/healthz` answers 200 for as long as the process can answer at all; `/readyz` answers 200 while it works, and 503
 * with the reasons while it does not.
 *
 * @param port 0 picks a free one
 * @throws UsageError if the address cannot be used
 */
export async function serveHealth(
  health: Health,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<HealthServer> {
  const server = createServer((request, response) => {
    const say = (status: number, body: object) => {
      response.writeHead(status, {
        'content-type': 'application/json',
        'cache-control': 'no-store',
      });
      response.end(`${JSON.stringify(body)}\n`);
    };
    const path = request.url?.split('?')[0];
    if (path === '/healthz') say(200, { alive: true });
    else if (path === '/readyz') {
      const reasons = health.notReady();
      say(reasons.length === 0 ? 200 : 503, { ready: reasons.length === 0, reasons });
    } else say(404, { error: 'ask for /healthz or /readyz' });
  });
  // A probe asks and goes.
  server.keepAliveTimeout = 1000;
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  server.once('error', (error) => {
    reject(
      new UsageError(`health cannot be told at ${host}:${port}: ${messageOf(error)}`, {
        cause: error,
      }),
    );
  });
  server.listen(port, host, () => resolve(undefined));
  await promise;
  const address = server.address();
  return {
    port: typeof address === 'object' && address ? address.port : port,
    async close() {
      const closed = Promise.withResolvers<undefined>();
      server.close(() => closed.resolve(undefined));
      server.closeAllConnections();
      await closed.promise;
    },
  };
}
