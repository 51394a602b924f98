import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { silentLogger } from '../../../infra/logger.ts';
import { openClient } from '../../../infra/log/kafka/client.ts';
import { createReader } from '../../../infra/log/kafka/reader.ts';
import { kafkaDefaults } from '../../../infra/log/kafka/settings.ts';
import { systemTime } from '../../../infra/time.ts';

/** Takes connections and says nothing, like a broker that is being started. */
async function deafBroker() {
  const open = new Set<Socket>();
  let taken = 0;
  const server = createServer((socket) => {
    taken++;
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    socket.on('error', () => undefined).resume();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  return { brokers: [`127.0.0.1:${port}`], open, taken: () => taken };
}

test('whatever is under way when a log is closed ends at once, and no connection is opened afterwards', async () => {
  const broker = await deafBroker();
  const client = openClient({ ...kafkaDefaults, brokers: broker.brokers }, silentLogger);
  const reader = createReader(client, systemTime);
  const asked = [reader.ends('topic'), reader.clusterId(), reader.fetch('topic', 0, 0, 1000)];
  const said = Promise.allSettled(asked);
  await expect.poll(() => broker.open.size).toBeGreaterThan(0);
  const startedMs = performance.now();
  void reader.close();
  client.close();
  expect((await said).map(({ status }) => status)).toEqual(asked.map(() => 'rejected'));
  expect(performance.now() - startedMs).toBeLessThan(1000);
  await expect.poll(() => broker.open.size).toBe(0);
  const taken = broker.taken();
  await sleep(500);
  expect(broker.taken()).toBe(taken);
});
