import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import {
  AclOperationTypes,
  AclPermissionTypes,
  AclResourceTypes,
  ResourcePatternTypes,
  type SASLOptions,
} from 'kafkajs';
import { describe, expect, inject, onTestFinished, test, vi } from 'vitest';
import { startBroker } from '../../infra/cluster/broker.ts';
import { isRunning, type Marked } from '../../infra/cluster/guard.ts';
import type { User } from '../../infra/cluster/security.ts';
import { adminOf, countOf, kafkaAt, ownBroker, send, until, untilGone } from './support.ts';

describe('the shared broker', () => {
  test('takes records and gives them back', async () => {
    const kafka = kafkaAt(inject('brokers'));
    const topic = randomUUID();
    const admin = await adminOf(kafka);
    await admin.createTopics({ topics: [{ topic, numPartitions: 3 }] });
    await send(kafka, topic, ['a', 'b']);
    expect(await countOf(admin, topic)).toBe(2);
  });

  test('makes no topic by itself', async () => {
    const kafka = kafkaAt(inject('brokers'), { retry: { retries: 1 } });
    await expect(send(kafka, randomUUID(), ['a'])).rejects.toThrow(/does not host this topic/);
  });
});

describe('a broker of its own', () => {
  test('has on its port, after SIGKILL and after an ordinary end, what it acknowledged', async () => {
    const broker = await ownBroker();
    const kafka = kafkaAt(broker.brokers);
    const before = await adminOf(kafka);
    await before.createTopics({ topics: [{ topic: 'kept' }] });
    await send(kafka, 'kept', ['a']);
    const first = broker.process;
    await broker.kill();
    expect(broker.process).toBeNull();
    expect(isRunning(first!)).toBe(false);
    await broker.restart();
    await send(kafka, 'kept', ['b']);
    await broker.restart();
    expect(broker.process!.pid).not.toBe(first!.pid);
    expect(await countOf(await adminOf(kafka), 'kept')).toBe(2);
    const { folder } = broker;
    await broker.stop();
    expect(existsSync(folder)).toBe(false);
  });

  test('that is paused answers nobody, and goes on where it was', async () => {
    const broker = await ownBroker();
    const kafka = kafkaAt(broker.brokers, { requestTimeout: 1000, retry: { retries: 0 } });
    broker.pause();
    const admin = kafka.admin();
    onTestFinished(() => admin.disconnect());
    await expect(admin.connect()).rejects.toThrow(/time/i);
    broker.resume();
    await expect(admin.connect()).resolves.toBeUndefined();
  });

  test('ends also while it is paused', async () => {
    const broker = await ownBroker();
    const { process } = broker;
    broker.pause();
    await broker.stop();
    expect(isRunning(process!)).toBe(false);
  });

  test('takes properties, which win over ours', async () => {
    const broker = await ownBroker({ properties: { 'auto.create.topics.enable': 'true' } });
    await expect(send(kafkaAt(broker.brokers), 'made', ['a'])).resolves.toBeUndefined();
  });

  test.each([
    ['cannot make its folder', { 'node.id': 'first' }, /Invalid value first/],
    ['cannot come up', { 'authorizer.class.name': 'no.such.Class' }, /no\.such\.Class/],
  ])('that %s says why, and leaves nothing behind', async (_name, properties, reason) => {
    const temporary = mkdtempSync(join(tmpdir(), 'spar-nothing-'));
    onTestFinished(() => rmSync(temporary, { recursive: true }));
    vi.stubEnv('TMPDIR', temporary);
    onTestFinished(() => void vi.unstubAllEnvs());
    await expect(startBroker({ properties })).rejects.toThrow(reason);
    expect(readdirSync(temporary)).toEqual([]);
  });

  test('does not take a port that is in use', async () => {
    const server = createServer();
    onTestFinished(() => void server.close());
    const port = await new Promise<number>((resolve) => {
      server.listen(0, '127.0.0.1', () => {
        const address = server.address();
        resolve(typeof address === 'object' && address ? address.port : 0);
      });
    });
    await expect(startBroker({ port })).rejects.toThrow(`wants port ${port}, which is in use`);
  });
});

describe('a secured broker', () => {
  const users: readonly User[] = [
    { name: 'alice', password: 'alice-secret', mechanism: 'scram-sha-512' },
    { name: 'bob', password: 'bob-secret', mechanism: 'plain' },
  ];
  const sasl = (mechanism: User['mechanism'], username: string, password: string): SASLOptions => ({
    // kafkajs has a type for each mechanism.
    ...({ mechanism, username, password } as SASLOptions),
  });

  test('lets in who it knows, refuses all others, and allows only what ACLs allow', async () => {
    const broker = await ownBroker({ users });
    const { ca, certificate, key, admin: root } = broker.security!;
    const as = (who: SASLOptions, ssl: object | boolean = { ca }) =>
      kafkaAt(broker.brokers, { ssl, sasl: who, retry: { retries: 0 } });
    const [alice, bob] = [
      sasl('scram-sha-512', 'alice', 'alice-secret'),
      sasl('plain', 'bob', 'bob-secret'),
    ];

    for (const kafka of [
      as(alice),
      as(bob),
      as(bob, { ca, cert: certificate, key }),
      as({ mechanism: 'oauthbearer', oauthBearerProvider: () => Promise.resolve(token('carol')) }),
    ]) {
      const admin = await adminOf(kafka);
      await expect(admin.listTopics()).resolves.toEqual([]);
      await expect(admin.createTopics({ topics: [{ topic: 'own' }] })).rejects.toThrow();
    }
    for (const [kafka, reason] of [
      [as(sasl('scram-sha-512', 'alice', 'wrong')), /authentication failed/i],
      [as(sasl('plain', 'bob', 'wrong')), /authentication failed/i],
      [as(sasl('plain', 'alice', 'alice-secret')), /authentication failed/i],
      [as(sasl('scram-sha-512', 'mallory', 'mallory-secret')), /authentication failed/i],
      [as(bob, true), /certificate/],
      [kafkaAt(broker.brokers, { retry: { retries: 0 } }), /./],
    ] as const) {
      await expect(kafka.admin().connect()).rejects.toThrow(reason);
    }

    const admin = await adminOf(as(sasl('plain', root.name, root.password)));
    await admin.createTopics({ topics: [{ topic: 'own' }, { topic: 'other' }] });
    await admin.createAcls({
      acl: [
        {
          principal: 'User:alice',
          host: '*',
          resourceType: AclResourceTypes.TOPIC,
          resourceName: 'own',
          resourcePatternType: ResourcePatternTypes.LITERAL,
          operation: AclOperationTypes.WRITE,
          permissionType: AclPermissionTypes.ALLOW,
        },
      ],
    });
    const patient = (who: SASLOptions) => kafkaAt(broker.brokers, { ssl: { ca }, sasl: who });
    await send(patient(alice), 'own', ['a']);
    expect(await countOf(admin, 'own')).toBe(1);
    for (const [who, topic] of [
      [alice, 'other'],
      [bob, 'own'],
    ] as const) {
      await expect(send(as(who), topic, ['a'])).rejects.toThrow(/not authorized/i);
    }

    // Users made when the cluster was are still there when it has been killed.
    await broker.kill();
    await broker.restart();
    await send(patient(alice), 'own', ['b']);
  });

  /** One that nobody signed, which is what the broker is set up to believe. */
  const token = (name: string): { readonly value: string } => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const now = Math.floor(Date.now() / 1000);
    return {
      value: `${part({ alg: 'none' })}.${part({ sub: name, iat: now, exp: now + 600 })}.`,
    };
  };
});

describe('what a process started is gone when the process is', () => {
  test.each([
    ['by SIGKILL', 'wait', 'SIGKILL'],
    ['by SIGTERM', 'wait', 'SIGTERM'],
    ['by itself', 'end', null],
  ] as const)('%s', async (_name, argument, signal) => {
    const owner = spawn(
      process.execPath,
      [fileURLToPath(new URL('./owner.ts', import.meta.url)), argument],
      {
        stdio: ['ignore', 'pipe', 'ignore'],
      },
    );
    const ended = new Promise((resolve) => owner.once('exit', resolve));
    const [line] = (await once(createInterface({ input: owner.stdout }), 'line')) as [string];
    const started = JSON.parse(line) as readonly {
      readonly process: Marked;
      readonly folder: string;
    }[];
    expect(started).toHaveLength(2);
    if (signal) {
      expect(started.every(({ process }) => isRunning(process))).toBe(true);
      owner.kill(signal);
    }
    await ended;
    for (const { process, folder } of started) {
      await until(`${process.pid} has ended`, () => !isRunning(process));
      await untilGone(folder);
    }
  });
});
