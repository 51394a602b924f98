import type { Admin } from 'kafkajs';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { startBroker, type Broker } from '../../infra/cluster/broker.ts';
import { startSimulator, type Simulator } from '../../infra/simulator/server.ts';
import { aclsOf, type Acl } from '../../infra/topics/acls.ts';
import { dataflow } from '../../topology/dataflow.ts';
import { placeIn, spar, type Ended, type Place } from '../whole/support.ts';
import { allow, kafkaAt } from './support.ts';

/**
 * A broker with TLS, SCRAM and an authorizer that lets nobody do anything without a right. Each command has a user of
 * its own, who may do what `spar topics acls` says of it, and nothing else.
 */
const pipeline = 'secured';
const commands = [
  'topics apply',
  'topics check',
  'doctor',
  'ingest',
  'worker',
  'run',
  'status',
  'dead-letters retry',
  'copy',
  'reject',
] as const;
type Command = (typeof commands)[number];
const nobody = 'nobody';
const half = ['no-group', 'no-transactions', 'no-topic'] as const;
const users = [...commands.map(nameOf), nobody, ...half];

/** Names of users are letters and dashes. */
function nameOf(command: string): string {
  return command.replaceAll(' ', '-');
}

const rightsOf = (command: string, of = pipeline): readonly Acl[] =>
  aclsOf({ dataflow, pipeline: of, iteration: null, stages: null }).find((one) =>
    one.commands.includes(command),
  )?.acls ?? [];

let broker: Broker;
let simulator: Simulator;
let folder: string;
let place: Place;
let admin: Admin;
let model: readonly string[];

beforeAll(async () => {
  broker = await startBroker({
    users: users.map((name) => ({
      ...{ name, password: `${name}-secret`, mechanism: 'scram-sha-512' as const },
    })),
  });
  simulator = await startSimulator({});
  folder = mkdtempSync(join(tmpdir(), 'spar-secured-'));
  place = placeIn(folder, 10, simulator);
  model = ['--model-url', simulator.url, '--model', 'simulated'];
  const { ca, admin: root } = broker.security!;
  writeFileSync(join(folder, 'ca.pem'), ca);
  for (const user of users) {
    writeFileSync(join(folder, `${user}.password`), `${user}-secret\n`);
    writeFileSync(join(folder, `${user}.yaml`), configOf(user));
  }
  admin = kafkaAt(broker.brokers, {
    ssl: { ca },
    sasl: { mechanism: 'plain', username: root.name, password: root.password },
  }).admin();
  await admin.connect();
  for (const command of commands) await allow(admin, nameOf(command), rightsOf(command));
  return async () => {
    await admin.disconnect();
    await broker.stop();
    await simulator.close();
    rmSync(folder, { recursive: true, force: true });
  };
});

const configOf = (user: string): string =>
  [
    `pipeline: ${pipeline}`,
    'kafka:',
    `  brokers: ${broker.brokers}`,
    `  tls: { enabled: true, ca_file: ${join(folder, 'ca.pem')} }`,
    '  sasl:',
    '    mechanism: scram-sha-512',
    `    username: ${user}`,
    `    password_file: ${join(folder, `${user}.password`)}`,
    '  session_ms: 6000',
    `registry: { url: ${inject('registryUrl')} }`,
  ].join('\n');

const as = (user: string, ...args: readonly string[]) =>
  spar([...args, '--config', join(folder, `${user}.yaml`)]);

const homeOf = (user: string): readonly string[] => ['--home', join(folder, `home-${user}`)];

async function done(command: Command, ...args: readonly string[]): Promise<Ended> {
  const ended = await as(nameOf(command), ...args).ended;
  expect(ended.stderr).not.toMatch(/do not allow/);
  expect(ended.code, ended.stderr).toBe(0);
  return ended;
}

describe('with the rights that are documented, and no other', () => {
  test('topics are made and checked', async () => {
    await done('topics apply', 'topics', 'apply', '--partitions', '2');
    for (const command of ['check', 'plan', 'describe']) {
      await done('topics check', 'topics', command);
    }
    const { stdout } = await done('doctor', 'doctor', ...model, ...homeOf('doctor'));
    expect(stdout).toMatch(/✓ brokers \S+: the topics are as they should be/);
  });

  test('instructions come in, and a worker turns them into pairs', async () => {
    await done('ingest', 'ingest', place.file, '--limit', '6', ...homeOf('ingest'));
    const worker = as('worker', 'worker', ...model, ...homeOf('worker'));
    onTestFinished(async () => {
      worker.process.kill('SIGKILL');
      await worker.ended;
    });
    for (let tries = 0; ; tries++) {
      const { code, stdout } = await as('status', 'status', '--json', ...homeOf('status')).ended;
      if (code === 0 && (JSON.parse(stdout) as { readonly complete: boolean }).complete) break;
      if (tries > 100 || worker.process.exitCode !== null) throw new Error(stdout);
      await sleep(300);
    }
    worker.process.kill('SIGTERM');
    expect(await worker.ended).toMatchObject({ code: 0 });
  });

  test('everything can be looked at', async () => {
    for (const args of [
      ['status', '--partitions'],
      ['pair'],
      ['tree'],
      ['tap', 'outcomes', '--json'],
      ['export', '--out', join(folder, 'exported')],
    ]) {
      await done('status', ...args, ...homeOf('status'));
    }
    // There is none, and finding that out takes every right that listing some would.
    const none = await as('status', 'dead-letters', 'list', ...homeOf('status')).ended;
    expect(none.stderr).toContain('there are no dead letters');
  });

  test('a whole run goes on', async () => {
    const args = ['run', place.file, ...model, ...homeOf('run'), '--out', join(folder, 'out')];
    const { stdout } = await done('run', ...args, '--json');
    expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({
      complete: true,
      admitted: 10,
    });
  });

  test('a dead letter is tried again', async () => {
    const none = await as(
      'dead-letters-retry',
      'dead-letters',
      'retry',
      '--all',
      ...homeOf('retry'),
    ).ended;
    expect(none.stderr).toContain('there is nothing to retry');
  });

  test('a pair and an instruction are taken out of exports', async () => {
    const { stdout } = await done('status', 'pair', '--json', ...homeOf('status'));
    const { id, instruction_id } = JSON.parse(stdout) as Record<'id' | 'instruction_id', string>;
    await done('reject', 'reject', id, '--why', 'wrong', ...homeOf('reject'));
    await done('reject', 'purge', instruction_id, '--why', 'private', ...homeOf('reject'));
  });

  test('a home is copied', async () => {
    const moved = 'moved';
    await spar([...place.args, '--pipeline', moved, '--limit', '4']).ended;
    await allow(admin, 'topics-apply', rightsOf('topics apply', moved));
    await allow(admin, 'copy', rightsOf('copy', moved));
    await done('topics apply', 'topics', 'apply', '--pipeline', moved);
    const { stdout } = await done('copy', 'copy', '--home', place.home, '--pipeline', moved);
    expect(stdout).toContain('6 groups stand where they stood');
  });
});

describe('without them', () => {
  test.each([
    { args: ['topics', 'apply'] },
    { args: ['topics', 'check'] },
    { args: ['ingest', 'FILE'] },
    { args: ['worker'] },
    { args: ['run', 'FILE'] },
    { args: ['status'] },
    { args: ['tap', 'outcomes'] },
    { args: ['export'] },
    { args: ['dead-letters', 'retry', '--all'] },
    { args: ['reject', '1/a/0', '--why', 'wrong'] },
    { args: ['purge', 'a', '--why', 'private'] },
  ])('spar $args says which right is missing, and where they are listed', async ({ args }) => {
    const given = args.map((word) => (word === 'FILE' ? place.file : word));
    const asks = ['worker', 'run'].includes(args[0] ?? '') ? model : [];
    const home = args[0] === 'topics' ? [] : homeOf(nobody);
    const { code, stderr } = await as(nobody, ...given, ...asks, ...home).ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/(do not allow|refuse) it.*spar topics acls/);
    expect(stderr).not.toContain('-secret');
    expect(stderr.trim().split('\n').at(-1)).toMatch(/^spar: /);
  });

  test.each([
    {
      user: 'no-group',
      named: 'its groups',
      without: (acl: Acl) => acl.resource !== 'group',
      says: /where secured2\.sample\.1 stands: .* refuse it .*spar topics acls/,
    },
    {
      user: 'no-transactions',
      named: 'its transactional ids',
      without: (acl: Acl) => acl.resource !== 'transactional-id',
      says: /taking secured2\.\S+ on \S+: .* refuse it .*spar topics acls/,
    },
    {
      user: 'no-topic',
      named: 'what it writes',
      without: (acl: Acl) => !acl.name.endsWith('.responses'),
      says: /refuse it .*spar topics acls/,
    },
  ])('a worker without $named stops, and says so', async ({ user, without, says }) => {
    const other = 'secured2';
    await allow(admin, 'topics-apply', rightsOf('topics apply', other));
    await allow(admin, 'ingest', rightsOf('ingest', other));
    await done('topics apply', 'topics', 'apply', '--pipeline', other, '--partitions', '1');
    await done('ingest', 'ingest', place.file, '--pipeline', other, ...homeOf('ingest'));
    await allow(admin, user, rightsOf('worker', other).filter(without));
    const worker = as(user, 'worker', '--pipeline', other, ...model, ...homeOf(user));
    onTestFinished(async () => {
      worker.process.kill('SIGKILL');
      await worker.ended;
    });
    const { code, stderr } = await worker.ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(says);
  });

  test.each([
    { named: 'a wrong password', user: 'worker', password: 'wrong' },
    { named: 'a user that nobody knows', user: 'stranger', password: 'stranger-secret' },
  ])('$named is said at once', async ({ user, password }) => {
    const config = join(folder, 'wrong.yaml');
    writeFileSync(join(folder, 'wrong.password'), password);
    const text = configOf(user).replace(
      join(folder, `${user}.password`),
      join(folder, 'wrong.password'),
    );
    writeFileSync(config, text);
    const { code, stderr } = await spar(['status', '--config', config, ...homeOf(nobody)]).ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/password|authenticat/i);
    expect(stderr).not.toContain(password);
  });
});
