import { describe, expect, test } from 'vitest';
import type { FoundTopic, FoundTopics, WantedTopic } from '../../infra/topics/admin.ts';
import { topicDifferences, type Difference } from '../../infra/topics/plan.ts';
import { wantedTopics, type TopicsAsked } from '../../infra/topics/wanted.ts';
import { complaint, complaints, planned } from '../../infra/topics/words.ts';
import { nameOnLog } from '../../topology/topology.ts';
import { topics as declared } from '../../topology/topics.ts';

const topics = Object.values(declared);

const asked = (change: Partial<TopicsAsked> = {}): TopicsAsked => ({
  pipeline: 'spar',
  partitions: null,
  replication: null,
  compression: 'zstd',
  ...change,
});

const nothing = (brokers: number): FoundTopics => ({ brokers, topics: new Map() });

const asWanted = ({ partitions, replication, configs }: WantedTopic): FoundTopic => ({
  ...{ partitions, replication, inSync: replication, configs },
});

/** A cluster where all is as it should be, and then some of it is not. */
function cluster(
  brokers = 3,
  change: Readonly<Record<string, Partial<FoundTopic> | null>> = {},
  more: Partial<TopicsAsked> = {},
): FoundTopics {
  const found = new Map(
    wantedTopics(topics, asked(more), nothing(brokers)).map((topic) => [
      topic.name,
      asWanted(topic),
    ]),
  );
  for (const [name, changed] of Object.entries(change)) {
    const before = found.get(name)!;
    if (changed === null) found.delete(name);
    else {
      const configs = changed.configs === null ? null : { ...before.configs, ...changed.configs };
      found.set(name, { ...before, ...changed, configs });
    }
  }
  return { brokers, topics: found };
}

const differences = (found: FoundTopics, change: Partial<TopicsAsked> = {}) =>
  topicDifferences(topics, asked(change), found);

const levels = (all: readonly Difference[]) => all.map(({ level }) => level);

describe('what a topic should be', () => {
  const configsOf = (name: string, change: Partial<TopicsAsked> = {}, brokers = 3) =>
    wantedTopics(topics, asked(change), nothing(brokers)).find((topic) => topic.name === name)!
      .configs;

  test.each([
    ['spar.verdicts', { 'cleanup.policy': 'delete', 'retention.ms': '-1' }],
    ['spar.negatives', { 'cleanup.policy': 'delete', 'retention.ms': '2592000000' }],
    ['spar.search.expand', { 'cleanup.policy': 'delete', 'retention.ms': '604800000' }],
    ['spar.search.evaluate', { 'retention.bytes': '-1' }],
    ['spar.verdicts', { 'max.message.bytes': '8454144' }],
    ['spar.dead-letters', { 'max.message.bytes': '9502720' }],
    // One that says nothing: the codec's MiB, with room for key, headers and batch.
    ['spar.outcomes', { 'max.message.bytes': '1114112' }],
    ['spar.responses', { 'compression.type': 'producer', 'message.timestamp.type': 'CreateTime' }],
    // Others write it, and may do so with what kafkajs cannot read.
    ['spar.instructions', { 'compression.type': 'zstd' }],
  ])('%s: %j', (name, configs) => {
    expect(configsOf(name)).toMatchObject(configs);
  });

  test('the latest record of a key stays for ever, so no time is set', () => {
    expect(configsOf('spar.iterations')).toMatchObject({ 'cleanup.policy': 'compact' });
    expect(configsOf('spar.iterations')).not.toHaveProperty(['retention.ms']);
  });

  test.each([
    ['zstd', 'zstd'],
    ['gzip', 'gzip'],
    ['none', 'uncompressed'],
  ] as const)('with compression %s the broker packs instructions as %s', (compression, type) => {
    expect(configsOf('spar.instructions', { compression })['compression.type']).toBe(type);
    expect(configsOf('spar.responses', { compression })['compression.type']).toBe('producer');
  });

  test.each([
    ['one broker', 1, null, 1, '1'],
    ['two brokers', 2, null, 2, '1'],
    ['three brokers', 3, null, 3, '2'],
    ['more brokers than copies', 9, null, 3, '2'],
    ['as many as are asked for', 9, 5, 5, '2'],
    ['fewer than there could be', 3, 2, 2, '1'],
  ])('%s: copies and how many must acknowledge', (_name, brokers, replication, copies, least) => {
    for (const topic of wantedTopics(topics, asked({ replication }), nothing(brokers))) {
      expect(topic.replication).toBe(copies);
      expect(topic.configs['min.insync.replicas']).toBe(least);
    }
  });

  test.each([
    ['six where there is nothing', {}, null, 6],
    ['what is asked for', {}, 12, 12],
  ])('partitions: %s', (_name, _found, partitions, wanted) => {
    for (const topic of wantedTopics(topics, asked({ partitions }), nothing(3))) {
      expect(topic.partitions).toBe(wanted);
    }
  });

  test('has the name of its pipeline', () => {
    expect(
      wantedTopics(topics, asked({ pipeline: 'mine' }), nothing(1)).map(({ name }) => name),
    ).toEqual(topics.map((topic) => nameOnLog('mine', topic)));
  });
});

describe('the difference', () => {
  test('is none where all is as it should be', () => {
    expect(differences(cluster())).toEqual([]);
    expect(differences(cluster(1))).toEqual([]);
  });

  test('is every topic where nothing is', () => {
    const all = differences(nothing(3));
    expect(all.map(({ kind }) => kind)).toEqual(topics.map(() => 'missing'));
    expect(planned(all[2]!)).toBe('6 partitions × 3, kept for ever, 8.1 MiB');
    expect(planned(all[3]!)).toBe('6 partitions × 3, kept 30 d, 1.1 MiB');
    expect(planned(all.at(-1)!)).toBe('6 partitions × 3, only the latest of each key, 1.1 MiB');
    expect(complaints(all)).toEqual(['spar.instructions, spar.responses and 11 more: missing']);
  });

  test('is a missing topic, which gets as many partitions as the others have', () => {
    const found = cluster(3, { 'spar.outcomes': null }, { partitions: 12 });
    expect(differences(found)).toMatchObject([
      { level: 'change', kind: 'missing', wanted: { name: 'spar.outcomes', partitions: 12 } },
    ]);
  });

  test.each<[string, string, Record<string, string>, Difference['level'], string]>([
    [
      'a shorter time',
      'spar.negatives',
      { 'retention.ms': '604800000' },
      'change',
      'retention.ms: 7 d → 30 d',
    ],
    [
      'a time',
      'spar.verdicts',
      { 'retention.ms': '5400000' },
      'change',
      'retention.ms: 90 min → for ever',
    ],
    [
      'a longer time',
      'spar.negatives',
      { 'retention.ms': '7776000000' },
      'remark',
      'retention.ms: 90 d stays, though 30 d would do',
    ],
    [
      'no end',
      'spar.search.expand',
      { 'retention.ms': '-1' },
      'remark',
      'retention.ms: for ever stays, though 7 d would do',
    ],
    [
      'a limit of bytes',
      'spar.verdicts',
      { 'retention.bytes': '1073741824' },
      'change',
      'retention.bytes: 1 GiB → no limit',
    ],
    [
      'smaller records',
      'spar.verdicts',
      { 'max.message.bytes': '1048588' },
      'change',
      'max.message.bytes: 1.0 MiB → 8.1 MiB',
    ],
    [
      'larger records',
      'spar.outcomes',
      { 'max.message.bytes': '8454144' },
      'remark',
      'max.message.bytes: 8.1 MiB stays, though 1.1 MiB would do',
    ],
    [
      'records that vanish by key',
      'spar.verdicts',
      { 'cleanup.policy': 'compact' },
      'change',
      'cleanup.policy: compact → delete',
    ],
    [
      'manifests that vanish by time',
      'spar.iterations',
      { 'cleanup.policy': 'delete' },
      'change',
      'cleanup.policy: delete → compact',
    ],
    [
      'what foreign producers send',
      'spar.instructions',
      { 'compression.type': 'producer' },
      'change',
      'compression.type: producer → zstd',
    ],
    [
      'a codec that kafkajs lacks',
      'spar.responses',
      { 'compression.type': 'snappy' },
      'change',
      'compression.type: snappy → producer',
    ],
    [
      'another clock',
      'spar.outcomes',
      { 'message.timestamp.type': 'LogAppendTime' },
      'change',
      'message.timestamp.type: LogAppendTime → CreateTime',
    ],
    [
      'fewer acknowledgements',
      'spar.outcomes',
      { 'min.insync.replicas': '1' },
      'change',
      'min.insync.replicas: 1 → 2',
    ],
    [
      'more acknowledgements',
      'spar.outcomes',
      { 'min.insync.replicas': '3' },
      'remark',
      'min.insync.replicas: 3 stays, though 2 would do',
    ],
    [
      'more acknowledgements than there are copies',
      'spar.outcomes',
      { 'min.insync.replicas': '4' },
      'change',
      'min.insync.replicas: 4 → 2',
    ],
  ])('is %s, and apply takes nothing away', (_name, topic, configs, level, text) => {
    const all = differences(cluster(3, { [topic]: { configs } }));
    expect(all).toMatchObject([{ level, kind: 'config', topic }]);
    expect(planned(all[0]!)).toBe(text);
  });

  test('of a config is said in words when someone only looks', () => {
    const [one] = differences(
      cluster(3, { 'spar.negatives': { configs: { 'retention.ms': '1000' } } }),
    );
    expect(complaint(one!)).toBe('retention.ms is 1 s, and should be 30 d');
  });

  test('is not what others have set besides', () => {
    const configs = { 'segment.bytes': '1048576', 'local.retention.ms': '1000' };
    expect(differences(cluster(3, { 'spar.verdicts': { configs } }))).toEqual([]);
  });

  test('is not what we may not see', () => {
    expect(differences(cluster(3, { 'spar.verdicts': { configs: null } }))).toEqual([]);
    expect(
      differences(cluster(3, { 'spar.verdicts': { configs: null, partitions: 2 } })),
    ).toHaveLength(1);
  });

  test('is a topic with other partitions than the rest: nothing mends that', () => {
    const all = differences(cluster(3, { 'spar.outcomes': { partitions: 5 } }));
    expect(all).toMatchObject([
      { level: 'problem', kind: 'partitions', topic: 'spar.outcomes', is: 5, wanted: 6 },
    ]);
    expect(complaint(all[0]!)).toMatch(
      /5 partitions.*others? topics have 6.*keys would move.*another pipeline, or delete/,
    );
  });

  test('is another number than is asked for, said once of all topics', () => {
    const all = differences(cluster(), { partitions: 12 });
    expect(levels(all)).toEqual(topics.map(() => 'problem'));
    expect(complaints(all)).toEqual([
      expect.stringMatching(
        /^spar\.instructions, spar\.responses and 11 more: 6 partitions, and the settings say 12\..*set kafka\.partitions to 6, or name another pipeline$/,
      ),
    ]);
  });

  test.each([
    [
      'fewer than the settings say',
      1,
      3,
      'problem',
      /1 copy of each partition, and the settings say 3.*reassign.*or set kafka\.replication to 1/,
    ],
    [
      'more than the settings say',
      3,
      2,
      'remark',
      /3 copies of each partition; a new topic would have 2/,
    ],
    [
      'fewer than a new topic would have, and nobody asked',
      1,
      null,
      'remark',
      /a new topic would have 3/,
    ],
  ] as const)('is copies: %s', (_name, is, replication, level, text) => {
    const found = cluster(
      3,
      {
        'spar.outcomes': {
          replication: is,
          configs: { 'min.insync.replicas': is === 3 ? '2' : '1' },
        },
      },
      { replication },
    );
    const all = differences(found, { replication });
    expect(all).toMatchObject([{ level, kind: 'replication', topic: 'spar.outcomes', is }]);
    expect(complaint(all[0]!)).toMatch(text);
  });

  test('is not a broker that is down', () => {
    expect(differences({ ...cluster(3), brokers: 2 })).toEqual([]);
  });

  test('is too few brokers, said once and before anything is made', () => {
    const all = differences(nothing(2), { replication: 3 });
    expect(all[0]).toMatchObject({ level: 'problem', kind: 'brokers', is: 2, wanted: 3 });
    expect(complaint(all[0]!)).toMatch(/2 brokers are up.*set kafka\.replication to 2/);
    expect(levels(all).filter((level) => level === 'problem')).toHaveLength(1);
    // What is there was made when there were more.
    expect(differences({ ...cluster(3), brokers: 1 }, { replication: 3 })).toEqual([]);
  });

  test('comes in the order of the topics', () => {
    const found = cluster(3, {
      'spar.outcomes': null,
      'spar.instructions': { configs: { 'compression.type': 'producer' } },
      'spar.verdicts': { partitions: 7 },
    });
    expect(differences(found).map(({ kind }) => kind)).toEqual(['config', 'partitions', 'missing']);
  });
});
