import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { resolveCluster } from '../../infra/config/cluster.ts';
import { UsageError } from '../../infra/errors.ts';
import { configOf } from '../run/support.ts';

const brokers = { kafka: { brokers: 'k1:9092,k2:9092' }, registry: { url: 'http://r:8081' } };

const clusterOf = (config: unknown, environment: NodeJS.ProcessEnv = {}) =>
  resolveCluster(configOf(config), environment);

function fileWith(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'spar-config-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'secret');
  writeFileSync(path, text);
  return path;
}

test('without brokers there is no cluster', () => {
  expect(clusterOf({})).toBeNull();
});

test('brokers may be a list or a text with commas; nothing is secret unless it is asked for', () => {
  const { kafka, registry, secrets } = clusterOf(brokers)!;
  expect(kafka).toMatchObject({ brokers: ['k1:9092', 'k2:9092'], tls: null, sasl: null });
  expect(registry).toEqual({ url: 'http://r:8081', timeoutMs: 10_000, tls: {} });
  expect(secrets).toEqual([]);
  const listed = clusterOf({ ...brokers, kafka: { brokers: ['k1:9092', 'k2:9092'] } })!;
  expect(listed.kafka.brokers).toEqual(['k1:9092', 'k2:9092']);
});

test('three heartbeats fit into a session', () => {
  const kafka = { brokers: 'k:9092', session_ms: 6000, heartbeat_ms: 5000 };
  expect(clusterOf({ ...brokers, kafka })!.kafka.timeouts).toMatchObject({
    sessionMs: 6000,
    heartbeatMs: 2000,
  });
});

describe('who we are', () => {
  const sasl = (settings: object) => ({ ...brokers, kafka: { brokers: 'k:9092', sasl: settings } });

  test.each(['plain', 'scram-sha-256', 'scram-sha-512'])(
    '%s has a user, and a password from the environment',
    (mechanism) => {
      const { kafka, secrets } = clusterOf(
        sasl({ mechanism, username: 'spar', password_env: 'KAFKA_PASSWORD' }),
        { KAFKA_PASSWORD: 'hush-hush' },
      )!;
      expect(kafka.sasl).toEqual({ mechanism, username: 'spar', password: 'hush-hush' });
      expect(secrets).toEqual(['hush-hush']);
    },
  );

  test('a password may be in a file, whose last line break is none of it', () => {
    const { kafka, secrets } = clusterOf(
      sasl({ mechanism: 'plain', username: 'spar', password_file: fileWith('in a file\n') }),
    )!;
    expect(kafka.sasl).toMatchObject({ password: 'in a file' });
    expect(secrets).toEqual(['in a file']);
  });

  test('a token in a file is read again each time, since tokens end', async () => {
    const path = fileWith('first\n');
    const { kafka, secrets } = clusterOf(sasl({ mechanism: 'oauthbearer', token_file: path }))!;
    if (kafka.sasl?.mechanism !== 'oauthbearer') throw new Error('no token');
    expect(secrets).toEqual(['first']);
    expect(await kafka.sasl.token()).toBe('first');
    writeFileSync(path, 'second\n');
    expect(await kafka.sasl.token()).toBe('second');
    expect(await kafka.sasl.token()).toBe('second');
    // Each must stay out of the log.
    expect(secrets).toEqual(['first', 'second']);
    writeFileSync(path, '\n');
    await expect(kafka.sasl.token()).rejects.toThrow(/is empty$/);
  });

  test.each([
    { named: 'no user', settings: { mechanism: 'plain' }, says: /plain needs a username/ },
    {
      named: 'a variable that is empty',
      settings: { mechanism: 'plain', username: 'spar', password_env: 'NONE' },
      says: /password should be in NONE, but that variable is empty or not set/,
    },
    {
      named: 'a file that is not there',
      settings: { mechanism: 'plain', username: 'spar', password_file: '/none/there' },
      says: /password_file cannot be read: ENOENT/,
    },
    {
      named: 'no token',
      settings: { mechanism: 'oauthbearer' },
      says: /oauthbearer needs token_env or token_file/,
    },
  ])('$named is named', ({ settings, says }) => {
    const attempt = () => clusterOf(sasl(settings));
    expect(attempt).toThrow(UsageError);
    expect(attempt).toThrow(says);
  });
});

describe('TLS', () => {
  test('takes certificates from files, and the key is a secret', () => {
    const [ca, cert, key] = ['authority', 'certificate', 'key'].map(fileWith);
    const { kafka, registry, secrets } = clusterOf({
      kafka: { brokers: 'k:9092', tls: { enabled: true, ca_file: ca } },
      registry: { url: 'https://r', cert_file: cert, key_file: key },
    })!;
    expect(kafka.tls).toEqual({ ca: 'authority', cert: null, key: null });
    expect(registry.tls).toEqual({ certificate: 'certificate', key: 'key' });
    expect(secrets).toEqual(['key']);
  });

  test('a certificate without its key is named', () => {
    const tls = { enabled: true, cert_file: fileWith('certificate') };
    expect(() => clusterOf({ ...brokers, kafka: { brokers: 'k:9092', tls } })).toThrow(
      /kafka\.tls: cert_file and key_file go together/,
    );
  });
});

describe('the registry', () => {
  const registry = (settings: object) => ({ ...brokers, registry: settings });

  test('is asked for, where there are brokers', () => {
    expect(() => clusterOf({ kafka: { brokers: 'k:9092' } })).toThrow(
      /give --registry, or registry\.url/,
    );
  });

  test.each([
    {
      named: 'a password',
      settings: { url: 'https://r', username: 'spar', password_env: 'SECRET' },
      auth: { user: 'spar', password: 'hush-hush' },
    },
    {
      named: 'a token',
      settings: { url: 'https://r', token_env: 'SECRET' },
      auth: { token: 'hush-hush' },
    },
  ])('knows us by $named', ({ settings, auth }) => {
    const cluster = clusterOf(registry(settings), { SECRET: 'hush-hush' })!;
    expect(cluster.registry.auth).toEqual(auth);
    expect(cluster.secrets).toEqual(['hush-hush']);
  });

  test.each([
    { settings: { url: 'https://r', username: 'spar' }, says: /go together/ },
    { settings: { url: 'https://r', password_env: 'SECRET' }, says: /go together/ },
    {
      settings: {
        ...{ url: 'https://r', username: 'spar' },
        ...{ password_env: 'SECRET', token_env: 'SECRET' },
      },
      says: /a password or a token, not both/,
    },
  ])('does not take half of it: $says', ({ settings, says }) => {
    expect(() => clusterOf(registry(settings), { SECRET: 'hush-hush' })).toThrow(says);
  });
});
