import { expect, onTestFinished, test } from 'vitest';
import { serveHealth, type Health } from '../../infra/health/server.ts';

async function serving(health: Health, port = 0) {
  const server = await serveHealth(health, { host: '127.0.0.1', port });
  onTestFinished(() => server.close());
  return server;
}

const get = async (port: number, path: string) => {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return { status: response.status, body: await response.json() };
};

test('it is alive for as long as it answers, and ready once it works', async () => {
  let reasons: readonly string[] = ['joining the groups'];
  const { port } = await serving({ notReady: () => reasons });
  expect(await get(port, '/healthz')).toEqual({ status: 200, body: { alive: true } });
  expect(await get(port, '/readyz')).toEqual({
    status: 503,
    body: { ready: false, reasons: ['joining the groups'] },
  });
  reasons = [];
  expect(await get(port, '/readyz?verbose')).toEqual({
    status: 200,
    body: { ready: true, reasons: [] },
  });
});

test('whoever asks for something else is told what there is', async () => {
  const { port } = await serving({ notReady: () => [] });
  expect(await get(port, '/')).toMatchObject({
    status: 404,
    body: { error: expect.stringContaining('/readyz') as string },
  });
});

test('a port that is taken is named', async () => {
  const { port } = await serving({ notReady: () => [] });
  await expect(serving({ notReady: () => [] }, port)).rejects.toThrow(
    new RegExp(`health cannot be told at 127\\.0\\.0\\.1:${port}: .*EADDRINUSE`),
  );
});
