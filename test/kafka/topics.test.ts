import { ConfigResourceTypes, ConfigSource, type Admin } from 'kafkajs';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, inject, onTestFinished, test, vi } from 'vitest';
import { schemaText } from '../../infra/codec/avro.ts';
import { openTopicAdmin } from '../../infra/log/kafka/topics.ts';
import { silentLogger, type Logger } from '../../infra/logger.ts';
import { systemTime } from '../../infra/time.ts';
import { aclsOf } from '../../infra/topics/acls.ts';
import { assertTopics } from '../../infra/topics/assert.ts';
import type { TopicsAsked } from '../../infra/topics/wanted.ts';
import { dataflow } from '../../topology/dataflow.ts';
import { nameOnLog } from '../../topology/topology.ts';
import { topics as declared } from '../../topology/topics.ts';
import { folder, spar, type Ran } from '../cli/support.ts';
import { freshPrefix, settingsOf } from './logs.ts';
import { adminOf, allow, kafkaAt, ownBroker, send } from './support.ts';

const topics = Object.values(declared);

/** Commands on a pipeline of its own, and what a stranger sees of it. */
async function pipeline() {
  const name = freshPrefix();
  const admin = await adminOf(kafkaAt(inject('brokers')));
  const run = (...args: readonly string[]): Promise<Ran> =>
    spar(
      ...['topics', ...args, '--pipeline', name],
      ...['--brokers', inject('brokers'), '--registry', inject('registryUrl')],
    );
  return { name, admin, run, on: (topic: string) => `${name}.${topic}` };
}

/** The configs that were set for the topic itself. */
async function ownConfigs(admin: Admin, topic: string): Promise<Readonly<Record<string, string>>> {
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [{ type: ConfigResourceTypes.TOPIC, name: topic }],
  });
  return Object.fromEntries(
    resources[0]!.configEntries
      .filter(({ configSource }) => configSource === ConfigSource.TOPIC_CONFIG)
      .map(({ configName, configValue }) => [configName, configValue]),
  );
}

/** Changes these configs of the topic as an administrator would, and leaves the others. */
async function setConfigs(
  admin: Admin,
  topic: string,
  configs: Readonly<Record<string, string>>,
): Promise<void> {
  const all = { ...(await ownConfigs(admin, topic)), ...configs };
  await admin.alterConfigs({
    validateOnly: false,
    resources: [
      {
        type: ConfigResourceTypes.TOPIC,
        name: topic,
        configEntries: Object.entries(all).map(([name, value]) => ({ name, value })),
      },
    ],
  });
  await told(async () => expect(await ownConfigs(admin, topic)).toMatchObject(configs));
}

/** While a broker is making the partitions of new topics, it hears of nothing else. */
const told = (look: () => Promise<void>): Promise<void> => vi.waitFor(look, { timeout: 15_000 });

async function deleteTopic(admin: Admin, topic: string): Promise<void> {
  await admin.deleteTopics({ topics: [topic] });
  await told(async () => expect(await admin.listTopics()).not.toContain(topic));
}

async function partitionsOf(admin: Admin, topic: string): Promise<number> {
  const { topics: found } = await admin.fetchTopicMetadata({ topics: [topic] });
  return found[0]!.partitions.length;
}

/** What the registry itself says, without what our adapter knows. */
async function registry(method: string, path: string, body?: object): Promise<unknown> {
  const response = await fetch(`${inject('registryUrl')}${path}`, {
    method,
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    ...(body && { body: JSON.stringify(body) }),
  });
  return response.json();
}

const fine = /^All 13 topics of \S+ and their schemas are as they should be\.\n$/;

describe('on an empty cluster', () => {
  test('plan shows every topic and schema, and makes none', async () => {
    const { admin, run, on } = await pipeline();
    const { code, out } = await run('plan');
    expect(code).toBe(0);
    expect(out).toMatch(/^\+ \S+\.verdicts +6 partitions × 1, kept for ever, 8\.1 MiB$/m);
    expect(out).toMatch(/^\+ \S+\.verdicts-value +schema$/m);
    expect(out.match(/^\+/gm)).toHaveLength(26);
    expect(out).toMatch(/^13 topics, 13 schemas to make or change: spar topics apply --brokers /m);
    expect(await admin.listTopics()).not.toContain(on('verdicts'));
    expect(await registry('GET', `/subjects/${on('verdicts')}-value/versions`)).toMatchObject({
      error_code: 40_401,
    });
  });

  test('apply makes them as they were declared, and again does nothing', async () => {
    const { admin, run, on } = await pipeline();
    const { code, out } = await run('apply', '--partitions', '3');
    expect(code).toBe(0);
    expect(out).toMatch(/^13 topics, 13 schemas made or changed\.$/m);
    for (const topic of topics) {
      expect(await partitionsOf(admin, on(topic.name))).toBe(3);
      const subject = `${on(topic.name)}-value`;
      expect(await registry('GET', `/subjects/${subject}/versions`)).toEqual([1]);
      expect(await registry('GET', `/config/${subject}`)).toEqual({
        compatibilityLevel: 'FULL_TRANSITIVE',
      });
    }
    const own = (topic: string) => ownConfigs(admin, on(topic));
    expect(await own('verdicts')).toEqual({
      'cleanup.policy': 'delete',
      'retention.ms': '-1',
      'retention.bytes': '-1',
      'max.message.bytes': '8454144',
      'min.insync.replicas': '1',
      'compression.type': 'producer',
      'message.timestamp.type': 'CreateTime',
    });
    expect(await own('instructions')).toMatchObject({ 'compression.type': 'zstd' });
    expect(await own('negatives')).toMatchObject({ 'retention.ms': '2592000000' });
    expect(await own('iterations')).toMatchObject({ 'cleanup.policy': 'compact' });
    // Without a number it is the one that there is.
    const again = await run('apply');
    expect(again).toMatchObject({ code: 0, err: '' });
    expect(again.out).toMatch(fine);
    expect((await run('plan')).out).toMatch(fine);
  });

  test('two may apply at the same time', async () => {
    const { name, run } = await pipeline();
    const admins = [1, 2].map(() =>
      openTopicAdmin({ settings: settingsOf(), time: systemTime, logger: silentLogger }),
    );
    for (const admin of admins) onTestFinished(() => admin.close());
    const wanted = topics.map((topic) => ({
      name: nameOnLog(name, topic),
      partitions: 2,
      replication: 1,
      configs: {},
    }));
    await Promise.all(admins.map((admin) => admin.create(wanted)));
    for (const admin of admins) {
      expect((await admin.find(wanted.map((topic) => topic.name))).topics.size).toBe(13);
    }
    expect((await run('apply')).code).toBe(0);
  });

  test('check and describe say so, with the command that makes them', async () => {
    const { name, run } = await pipeline();
    const check = await run('check');
    expect(check.code).toBe(1);
    expect(check.err).toMatch(/instructions, \S+\.responses and 11 more: missing\n/);
    expect(check.err).toContain(`spar topics apply --brokers ${inject('brokers')} --registry `);
    expect(check.err).toContain(` --pipeline ${name} mends`);
    const describe = await run('describe');
    expect(describe.code).toBe(1);
    expect(describe.err).toMatch(/no topics there: spar topics apply --brokers/);
  });

  test('more copies than brokers are refused before anything is made', async () => {
    const { admin, run, on } = await pipeline();
    const { code, err } = await run('apply', '--replication', '3');
    expect(code).toBe(1);
    expect(err).toMatch(/nothing was changed.*\n.*1 broker is up, and 3 copies .*replication to 1/);
    expect(await admin.listTopics()).not.toContain(on('verdicts'));
    expect(await registry('GET', `/subjects/${on('verdicts')}-value/versions`)).toMatchObject({
      error_code: 40_401,
    });
  });
});

describe('where something has drifted', () => {
  test('check and plan tell, apply mends it, and what others have set stays', async () => {
    const { admin, run, on } = await pipeline();
    await run('apply');
    await setConfigs(admin, on('negatives'), {
      'retention.ms': '604800000',
      'max.message.bytes': '1048588',
      'segment.bytes': '16777216',
      'min.cleanable.dirty.ratio': '0.9',
    });
    const check = await run('check');
    expect(check.code).toBe(1);
    expect(check.err).toMatch(/negatives: retention\.ms is 7 d, and should be 30 d\n/);
    expect(check.err).toMatch(
      /negatives: max\.message\.bytes is 1\.0 MiB, and should be 1\.1 MiB\n/,
    );
    const plan = await run('plan');
    expect(plan.code).toBe(0);
    expect(plan.out).toMatch(/^~ \S+\.negatives +retention\.ms: 7 d → 30 d$/m);
    expect(await ownConfigs(admin, on('negatives'))).toMatchObject({ 'retention.ms': '604800000' });

    const apply = await run('apply');
    expect(apply.code).toBe(0);
    expect(apply.out).toMatch(/^2 configs made or changed\.$/m);
    // All of them, and no default made into one that someone has set.
    expect(await ownConfigs(admin, on('negatives'))).toEqual({
      'retention.ms': '2592000000',
      'max.message.bytes': '1114112',
      'segment.bytes': '16777216',
      'min.cleanable.dirty.ratio': '0.9',
      'cleanup.policy': 'delete',
      'retention.bytes': '-1',
      'min.insync.replicas': '1',
      'compression.type': 'producer',
      'message.timestamp.type': 'CreateTime',
    });
    expect((await run('check')).out).toMatch(fine);
  });

  test('what the broker does by default counts, too', async () => {
    const { admin, run, on } = await pipeline();
    await admin.createTopics({ topics: [{ topic: on('verdicts'), numPartitions: 6 }] });
    const { out } = await run('plan');
    // The broker's own week would take verdicts away.
    expect(out).toMatch(/^~ \S+\.verdicts +retention\.ms: 7 d → for ever$/m);
    await run('apply');
    expect(await ownConfigs(admin, on('verdicts'))).toMatchObject({ 'retention.ms': '-1' });
    expect((await run('check')).code).toBe(0);
  });

  test('a topic that was lost is made again, with as many partitions as the others have', async () => {
    const { admin, run, on } = await pipeline();
    await run('apply', '--partitions', '5');
    await deleteTopic(admin, on('outcomes'));
    const { out } = await run('apply');
    expect(out).toMatch(/^\+ \S+\.outcomes +5 partitions × 1/m);
    expect(await partitionsOf(admin, on('outcomes'))).toBe(5);
  });

  test('nothing is lowered: records that are kept for longer or may be larger stay so', async () => {
    const { admin, run, on } = await pipeline();
    await run('apply');
    const more = { 'retention.ms': '-1', 'max.message.bytes': '16777216' };
    await setConfigs(admin, on('search.expand'), more);
    for (const command of ['plan', 'apply', 'check']) {
      const { code, out, err } = await run(command);
      expect({ code, err }).toEqual({ code: 0, err: '' });
      expect(out).toMatch(/^· \S+\.search\.expand: retention\.ms: for ever stays, though 7 d /m);
      expect(out).toMatch(
        /^· \S+\.search\.expand: max\.message\.bytes: 16 MiB stays, though 8\.1/m,
      );
      expect(out).toMatch(/as they should be\.$/m);
    }
    expect(await ownConfigs(admin, on('search.expand'))).toMatchObject(more);
  });

  test.each([
    ['than the settings say', ['--partitions', '12'], /6 partitions, and the settings say 12/],
    ['than the settings say, fewer', ['--partitions', '2'], /6 partitions, and the settings say 2/],
  ])('other partitions %s are refused: keys would move', async (_name, args, reason) => {
    const { admin, run, on } = await pipeline();
    await run('apply');
    await setConfigs(admin, on('negatives'), { 'retention.ms': '1000' });
    const plan = await run('plan', ...args);
    expect(plan.code).toBe(0);
    expect(plan.out).toMatch(/^! .*The number never changes, since keys would move/m);
    expect(plan.out).toMatch(/^Nothing is changed until that is mended\.$/m);
    for (const command of ['apply', 'check']) {
      const { code, err } = await run(command, ...args);
      expect(code).toBe(1);
      expect(err).toMatch(reason);
      expect(err).toMatch(/set kafka\.partitions to 6, or name another pipeline/);
    }
    expect(await partitionsOf(admin, on('negatives'))).toBe(6);
    expect(await ownConfigs(admin, on('negatives'))).toMatchObject({ 'retention.ms': '1000' });
  });

  test('a topic with other partitions than the rest is refused', async () => {
    const { admin, run, on } = await pipeline();
    await run('apply', '--partitions', '2');
    await admin.createPartitions({ topicPartitions: [{ topic: on('outcomes'), count: 4 }] });
    await told(async () => expect(await partitionsOf(admin, on('outcomes'))).toBe(4));
    const { code, err } = await run('apply');
    expect(code).toBe(1);
    expect(err).toMatch(/outcomes: 4 partitions, and the pipeline's other topics have 2\./);
    expect(await partitionsOf(admin, on('outcomes'))).toBe(4);
  });
});

describe('schemas', () => {
  const outcome = JSON.parse(schemaText('outcome')) as { readonly fields: readonly object[] };
  const register = (subject: string, fields: readonly object[]) =>
    registry('POST', `/subjects/${subject}/versions`, {
      schema: JSON.stringify({ ...outcome, fields }),
    });

  test('one that does not fit is refused before anything is made, with the reason', async () => {
    const { admin, run, on } = await pipeline();
    const subject = `${on('outcomes')}-value`;
    await register(subject, [{ name: 'must', type: 'int' }]);
    const plan = await run('plan');
    expect(plan.code).toBe(0);
    expect(plan.out).toMatch(/^! \S+\.outcomes-value: the schema .* does not fit .*\bmust\b/m);
    const { code, err } = await run('apply');
    expect(code).toBe(1);
    expect(err).toMatch(/nothing was changed.*\n {2}\S+\.outcomes-value: .*version 1.*\bmust\b/);
    expect(await admin.listTopics()).not.toContain(on('verdicts'));
    expect(await registry('GET', `/subjects/${subject}/versions`)).toEqual([1]);
    expect(await registry('GET', `/subjects/${on('verdicts')}-value/versions`)).toMatchObject({
      error_code: 40_401,
    });
  });

  test('one that fits becomes a new version; until then check fails', async () => {
    const { run, on } = await pipeline();
    const subject = `${on('outcomes')}-value`;
    await register(subject, [...outcome.fields, { name: 'old', type: 'int', default: 0 }]);
    expect((await run('plan')).out).toMatch(/^~ \S+\.outcomes-value +schema: a new version$/m);
    await run('apply');
    expect(await registry('GET', `/subjects/${subject}/versions`)).toEqual([1, 2]);
    expect((await run('check')).out).toMatch(fine);
    await registry('DELETE', `/subjects/${subject}/versions/2`);
    const check = await run('check');
    expect(check.code).toBe(1);
    expect(check.err).toMatch(/outcomes-value: only other versions are in the registry/);
  });
});

test('describe shows what there is', async () => {
  const { admin, run, on } = await pipeline();
  await run('apply', '--partitions', '2');
  await send(kafkaAt(inject('brokers')), on('instructions'), ['a', 'b', 'c']);
  await setConfigs(admin, on('verdicts'), {
    'retention.bytes': '1073741824',
    'retention.ms': '3600000',
  });
  await deleteTopic(admin, on('outcomes'));
  const { code, out } = await run('describe');
  expect(code).toBe(0);
  expect(out).toMatch(/^\S+\.instructions +2 +1 +8\.1 MiB +3 +for ever$/m);
  expect(out).toMatch(/^\S+\.verdicts +2 +1 +8\.1 MiB +0 +1 h, 1 GiB a partition$/m);
  expect(out).toMatch(/^\S+\.iterations +2 +1 +1\.1 MiB +0 +latest of each key$/m);
  expect(out).toMatch(/^\S+\.outcomes +missing$/m);
  const { topics: rows } = JSON.parse((await run('describe', '--json')).out) as {
    topics: readonly object[];
  };
  expect(rows).toHaveLength(13);
  expect(rows[0]).toMatchObject({ name: on('instructions'), partitions: 2, records: 3 });
});

test('machines get the same as JSON', async () => {
  const { run, on } = await pipeline();
  const json = async (command: string) => {
    const { code, out } = await run(command, '--json');
    return { code, ...(JSON.parse(out) as object) };
  };
  expect(await json('plan')).toMatchObject({ code: 0, ok: false });
  expect(await json('check')).toMatchObject({
    ...{ code: 1, ok: false },
    differences: expect.arrayContaining([
      expect.objectContaining({ level: 'change', kind: 'missing', subject: on('verdicts') }),
    ]) as unknown,
  });
  expect(await json('apply')).toMatchObject({ remarks: [], done: { length: 26 } });
  expect(await json('check')).toMatchObject({ code: 0, ok: true, differences: [] });
});

describe('whoever is about to work', () => {
  const asked = (name: string, change: Partial<TopicsAsked> = {}): TopicsAsked => ({
    ...{ pipeline: name, partitions: null, replication: null, compression: 'zstd' },
    ...change,
  });
  const assertOn = (name: string, change: Partial<TopicsAsked> = {}) =>
    assertTopics({
      topics,
      asked: asked(name, change),
      remedy: 'spar topics apply',
      settings: settingsOf(),
      time: systemTime,
      logger: silentLogger,
    });

  test('is refused where there are no topics, or wrong ones, and let in where all is well', async () => {
    const { name, admin, run, on } = await pipeline();
    await expect(assertOn(name)).rejects.toThrow(/has no topics on .*`spar topics apply` makes/);
    await run('apply');
    await assertOn(name);
    await expect(assertOn(name, { partitions: 7 })).rejects.toThrow(/the settings say 7/);
    await setConfigs(admin, on('verdicts'), { 'retention.ms': '-1', 'max.message.bytes': '1000' });
    await expect(assertOn(name)).rejects.toThrow(
      /not as they should be:\n {2}\S+\.verdicts: max\.message\.bytes is 1000 B, and should be 8\.1 MiB\n`spar topics apply` mends/,
    );
    await setConfigs(admin, on('verdicts'), { 'max.message.bytes': '9000000' });
    await assertOn(name);
  });

  test.each([
    ['worker', '--model-url', 'http://localhost:1/v1', '--model', 'm'],
    ['ingest', 'instructions.jsonl'],
    ['run', 'instructions.jsonl', '--model-url', 'http://localhost:1/v1', '--model', 'm'],
  ])('%s is told the command', async (...args) => {
    const place = await folder();
    const file = join(place, 'instructions.jsonl');
    writeFileSync(file, 'Say hello.\n');
    const { code, err } = await spar(
      ...args.map((one) => (one === 'instructions.jsonl' ? file : one)),
      ...['--home', place, '--pipeline', freshPrefix()],
      ...['--brokers', inject('brokers'), '--registry', inject('registryUrl')],
    );
    expect(code).toBe(1);
    expect(err).toContain(`spar topics apply --brokers ${inject('brokers')} --registry`);
  });
});

describe('what is away is said in a sentence', () => {
  test('no broker', async () => {
    const { code, err } = await spar(
      ...['topics', 'check', '--brokers', '127.0.0.1:1', '--registry', inject('registryUrl')],
    );
    expect(code).toBe(1);
    expect(err).toMatch(
      /^spar: looking for .*: the brokers 127\.0\.0\.1:1 do not answer \(.*\)\n$/,
    );
  });

  test('no registry, and nothing is made', async () => {
    const { name, admin, on } = await pipeline();
    const { code, err } = await spar(
      ...['topics', 'apply', '--pipeline', name],
      ...['--brokers', inject('brokers'), '--registry', 'http://127.0.0.1:1'],
    );
    expect(code).toBe(1);
    expect(err).toMatch(/the schema registry http:\/\/127\.0\.0\.1:1 cannot be reached/);
    expect(await admin.listTopics()).not.toContain(on('verdicts'));
  });

  test('no cluster at all', async () => {
    const { code, err } = await spar('topics', 'plan');
    expect(code).toBe(2);
    expect(err).toMatch(/give --brokers and --registry/);
  });
});

describe('on a broker that lets nobody do anything without a right', () => {
  test('each command works with its own rights, and says which one is missing', async () => {
    const broker = await ownBroker({
      users: [
        { name: 'maker', password: 'maker-secret', mechanism: 'plain' },
        { name: 'looker', password: 'looker-secret', mechanism: 'scram-sha-512' },
        { name: 'worker', password: 'worker-secret', mechanism: 'plain' },
      ],
    });
    const { ca, admin: root } = broker.security!;
    const admin = await adminOf(
      kafkaAt(broker.brokers, {
        ssl: { ca },
        sasl: { mechanism: 'plain', username: root.name, password: root.password },
      }),
    );
    const place = await folder();
    writeFileSync(join(place, 'ca.pem'), ca);
    const name = freshPrefix();
    const sasl = (user: string) =>
      ({
        mechanism: user === 'looker' ? 'scram-sha-512' : 'plain',
        username: user,
        password: `${user}-secret`,
      }) as const;
    const as = (user: string, ...args: readonly string[]) => {
      const config = join(place, `${user}.yaml`);
      writeFileSync(join(place, `${user}.password`), sasl(user).password);
      writeFileSync(
        config,
        [
          `pipeline: ${name}`,
          'kafka:',
          `  brokers: ${broker.brokers}`,
          `  tls: { enabled: true, ca_file: ${join(place, 'ca.pem')} }`,
          `  sasl: { mechanism: ${sasl(user).mechanism}, username: ${user}, password_file: ${join(place, `${user}.password`)} }`,
          `registry: { url: ${inject('registryUrl')} }`,
        ].join('\n'),
      );
      return spar('topics', ...args, '--config', config);
    };
    const rightsOf = (command: string) =>
      aclsOf({ dataflow, pipeline: name, iteration: null, stages: null }).find(({ commands }) =>
        commands.includes(command),
      )!.acls;

    const stranger = await as('maker', 'apply');
    expect(stranger.code).toBe(1);
    expect(stranger.err).toMatch(
      /do not allow it\. It takes Describe on the topics \S+\.\*; `spar topics acls`/,
    );

    await allow(admin, 'looker', rightsOf('topics plan'));
    const plan = await as('looker', 'plan');
    expect(plan.code).toBe(0);
    expect(plan.out.match(/^\+/gm)).toHaveLength(26);
    const refused = await as('looker', 'apply');
    expect(refused.code).toBe(1);
    expect(refused.err).toMatch(
      /making \S+ and 12 others: .*It takes Create on the topics \S+\.\*/,
    );

    await allow(admin, 'maker', rightsOf('topics apply'));
    expect(await as('maker', 'apply')).toMatchObject({ code: 0, err: '' });
    await setConfigs(admin, `${name}.negatives`, { 'retention.ms': '1000' });
    const unable = await as('looker', 'apply');
    expect(unable.code).toBe(1);
    expect(unable.err).toMatch(
      /changing the configs of .*AlterConfigs on the topic \S+\.negatives;/,
    );
    expect(await as('maker', 'apply')).toMatchObject({ code: 0, err: '' });
    for (const command of ['check', 'describe', 'plan']) {
      expect(await as('looker', command)).toMatchObject({ code: 0, err: '' });
    }

    // Whoever may not see configs takes them on trust, and says so to those who ask.
    const said: string[] = [];
    const logger: Logger = {
      ...silentLogger,
      debug: (...parameters: readonly unknown[]) => void said.push(String(parameters[1])),
    };
    const assertAs = (user: string) =>
      assertTopics({
        topics,
        asked: { pipeline: name, partitions: null, replication: null, compression: 'zstd' },
        remedy: 'spar topics apply',
        settings: {
          ...settingsOf(),
          brokers: [broker.brokers],
          tls: { ca, cert: null, key: null },
          sasl: sasl(user),
        },
        time: systemTime,
        logger,
      });
    const trusting = {
      ...rightsOf('worker').find((acl) => acl.operations.includes('DescribeConfigs'))!,
    };
    await allow(admin, 'worker', [{ ...trusting, operations: ['Describe'] }]);
    await setConfigs(admin, `${name}.negatives`, { 'retention.ms': '1000' });
    await assertAs('worker');
    expect(said).toContain('configs.forbidden');
    await allow(admin, 'worker', [trusting]);
    await expect(assertAs('worker')).rejects.toThrow(/negatives: retention\.ms is 1 s/);
  });
});
