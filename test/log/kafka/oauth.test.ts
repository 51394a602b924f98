import type { AuthenticationProviderArgs } from 'kafkajs';
import { expect, test } from 'vitest';
import { failureOf } from '../../../infra/log/kafka/failures.ts';
import { oauthBearer } from '../../../infra/log/kafka/oauth.ts';
import { kafkaError } from './fakes.ts';

/** A broker that takes the token `good`, and says what it read of any other. */
function brokerOf() {
  let nowMs = 0;
  let token: string | Error = 'good';
  let connection: Error | null = null;
  const { authenticationProvider } = oauthBearer(
    () => (typeof token === 'string' ? Promise.resolve(token) : Promise.reject(token)),
    () => nowMs,
  );
  const saslAuthenticate = async ({
    request,
    response,
  }: Parameters<AuthenticationProviderArgs['saslAuthenticate']>[0]) => {
    if (connection) throw connection;
    const bytes = Buffer.from(await request.encode());
    expect(bytes.readInt32BE(0)).toBe(bytes.length - 4);
    const isGood = bytes.subarray(4).toString() === 'n,,\u0001auth=Bearer good\u0001\u0001';
    const answer = isGood ? '' : '{"status":"invalid_token"}';
    return response!.parse(
      await response!.decode(Buffer.concat([Buffer.alloc(4, answer.length), Buffer.from(answer)])),
    );
  };
  return {
    pass: (ms: number) => (nowMs += ms),
    renew: (to: string | Error) => (token = to),
    broken: (error: Error | null) => (connection = error),
    /** What the connection comes to: null where the token is taken. */
    connect: () =>
      authenticationProvider({
        ...{ host: 'broker', port: 1, logger: null as never },
        saslAuthenticate: saslAuthenticate as AuthenticationProviderArgs['saslAuthenticate'],
      })
        .authenticate()
        .then(
          () => null,
          (error: unknown) => failureOf(error),
        ),
  };
}

test.each<[string, string | Error]>([
  ['a token that has ended', 'ended'],
  ['a file that is empty while it is written', new Error('the token_file is empty')],
])('%s: brokers are away for a while, and then they have refused it', async (_name, bad) => {
  const broker = brokerOf();
  expect(await broker.connect()).toBeNull();
  broker.renew(bad);
  broker.pass(86_400_000);
  expect(await broker.connect()).toBe('unavailable');
  broker.pass(60_000);
  expect(await broker.connect()).toBe('unavailable');
  broker.renew('good');
  expect(await broker.connect()).toBeNull();
  broker.renew(bad);
  expect(await broker.connect()).toBe('unavailable');
  broker.pass(121_000);
  expect(await broker.connect()).toBe('denied');
});

test('a token that never did is refused at once', async () => {
  const broker = brokerOf();
  broker.renew('wrong');
  expect(await broker.connect()).toBe('denied');
  broker.renew(new Error('there is no file'));
  expect(await broker.connect()).toBe('denied');
});

test('a refusal in the words of the protocol is one, and a connection that breaks is none', async () => {
  const broker = brokerOf();
  broker.broken(kafkaError('SASL_AUTHENTICATION_FAILED'));
  expect(await broker.connect()).toBe('denied');
  broker.broken(Object.assign(new Error('closed'), { name: 'KafkaJSConnectionClosedError' }));
  expect(await broker.connect()).toBe('unavailable');
});
