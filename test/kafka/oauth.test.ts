import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { openClient } from '../../infra/log/kafka/client.ts';
import { failureOf } from '../../infra/log/kafka/failures.ts';
import { silentLogger } from '../../infra/logger.ts';
import { settingsOf } from './logs.ts';
import { ownBroker } from './support.ts';

/** Unsigned, as the broker of the tests takes it. */
const tokenOf = (endsInS: number): string => {
  const seconds = Math.floor(Date.now() / 1000);
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'none' })}.${part({ sub: 'carol', iat: seconds - 60, exp: seconds + endsInS })}.`;
};

test('a token that has ended is waited out once one was taken, and refused where none was', async () => {
  const broker = await ownBroker({
    users: [{ name: 'alice', password: 'alice-secret', mechanism: 'scram-sha-512' }],
  });
  let token = tokenOf(-30);
  const open = () =>
    openClient(
      settingsOf({
        brokers: [broker.brokers],
        tls: { ca: broker.security!.ca, cert: null, key: null },
        sasl: { mechanism: 'oauthbearer', token: () => Promise.resolve(token) },
      }),
      silentLogger,
    );
  const connected = async (client: ReturnType<typeof open>): Promise<string | null> => {
    const admin = client.admin();
    try {
      await admin.connect();
      await admin.listTopics();
      return null;
    } catch (error) {
      return failureOf(error);
    } finally {
      await admin.disconnect();
    }
  };

  const client = open();
  expect(await connected(client)).toBe('denied');
  token = tokenOf(3600);
  expect(await connected(client)).toBeNull();
  token = tokenOf(-30);
  const late = connected(client);
  await sleep(1000);
  token = tokenOf(3600);
  expect(await late).toBeNull();
  client.close();
});
