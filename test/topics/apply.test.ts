import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { schemaText } from '../../infra/codec/avro.ts';
import { openSqliteRegistry } from '../../infra/codec/sqlite-registry.ts';
import { systemTime } from '../../infra/time.ts';
import type { FoundTopic, TopicAdmin } from '../../infra/topics/admin.ts';
import type { Difference } from '../../infra/topics/plan.ts';
import { applyTopics, planTopics, type WithRegistry } from '../../infra/topics/topics.ts';
import { subjectOf } from '../../infra/topics/words.ts';
import { nameOnLog } from '../../topology/topology.ts';
import { topics as declared } from '../../topology/topics.ts';

const topics = Object.values(declared);
const pipeline = 'spar';

/** A cluster of one broker that remembers what was asked of it, in order. */
function memoryCluster() {
  const found = new Map<string, FoundTopic>();
  const asked: string[] = [];
  const admin: TopicAdmin = {
    find: () => Promise.resolve({ brokers: 1, topics: new Map(found) }),
    create(wanted) {
      asked.push(`create ${wanted.length}`);
      for (const { name, partitions, replication, configs } of wanted) {
        found.set(name, { partitions, replication, inSync: replication, configs });
      }
      return Promise.resolve();
    },
    configure(name, configs) {
      asked.push(`configure ${name} ${JSON.stringify(configs)}`);
      const before = found.get(name)!;
      found.set(name, { ...before, configs: { ...before.configs, ...configs } });
      return Promise.resolve();
    },
    ends: () => Promise.resolve([]),
    close: () => Promise.resolve(),
  };
  return { found, asked, admin };
}

function pipelineOn(cluster: ReturnType<typeof memoryCluster>) {
  const registry = openSqliteRegistry({ file: ':memory:' });
  onTestFinished(() => registry.close());
  const options: WithRegistry = {
    topics,
    asked: { pipeline, partitions: null, replication: null, compression: 'zstd' },
    admin: cluster.admin,
    registry,
  };
  const done: Difference[] = [];
  const report = (difference: Difference) => {
    done.push(difference);
    return Promise.resolve();
  };
  const apply = (more: Partial<Parameters<typeof applyTopics>[0]> = {}) =>
    applyTopics({ ...options, time: systemTime, report, ...more });
  return { registry, options, apply, done };
}

/** Another record than any of ours, so no version of ours ever fits it. */
const stranger = JSON.stringify({
  type: 'record',
  name: 'Stranger',
  namespace: 'spar',
  fields: [],
});

describe('apply', () => {
  test('makes every topic and registers every schema, and then there is nothing to do', async () => {
    const cluster = memoryCluster();
    const { registry, options, apply, done } = pipelineOn(cluster);
    expect(await apply()).toEqual([]);
    expect(done).toHaveLength(2 * topics.length);
    expect([...cluster.found.keys()]).toEqual(topics.map((topic) => nameOnLog(pipeline, topic)));
    for (const topic of topics) {
      const subject = `${nameOnLog(pipeline, topic)}-value`;
      expect(await registry.idOf(subject, schemaText(topic.schema))).not.toBeNull();
    }
    expect(await planTopics(options)).toEqual([]);
    const before = [...cluster.asked];
    done.length = 0;
    expect(await apply()).toEqual([]);
    expect(done).toEqual([]);
    expect(cluster.asked).toEqual(before);
  });

  test('does what plan says, and says what it has done', async () => {
    const cluster = memoryCluster();
    const { options, apply, done } = pipelineOn(cluster);
    const plan = await planTopics(options);
    await apply();
    const subjects = (all: readonly Difference[]) => all.map(subjectOf).toSorted();
    expect(subjects(done)).toEqual(subjects(plan));
  });

  test('mends all configs of a topic at once, and leaves what is more than enough', async () => {
    const cluster = memoryCluster();
    const { apply } = pipelineOn(cluster);
    await apply();
    const change = (name: string, configs: Record<string, string>) => {
      const before = cluster.found.get(name)!;
      cluster.found.set(name, { ...before, configs: { ...before.configs, ...configs } });
    };
    change('spar.negatives', { 'retention.ms': '1000', 'max.message.bytes': '2000' });
    change('spar.search.expand', { 'retention.ms': '-1' });
    cluster.asked.length = 0;
    expect(await apply()).toMatchObject([{ level: 'remark', topic: 'spar.search.expand' }]);
    expect(cluster.asked).toEqual([
      'configure spar.negatives {"retention.ms":"2592000000","max.message.bytes":"1114112"}',
    ]);
    expect(cluster.found.get('spar.search.expand')?.configs).toMatchObject({
      'retention.ms': '-1',
    });
  });

  test('has the schemas there before the topics, for whoever waits for these', async () => {
    const cluster = memoryCluster();
    const { registry, apply } = pipelineOn(cluster);
    vi.spyOn(registry, 'register').mockRejectedValue(new Error('the registry is away'));
    await expect(apply()).rejects.toThrow('the registry is away');
    expect(cluster.asked).toEqual([]);
  });

  test('changes nothing where it finds other partitions', async () => {
    const cluster = memoryCluster();
    for (const [name, partitions] of [
      ['spar.verdicts', 6],
      ['spar.responses', 6],
      ['spar.outcomes', 7],
    ] as const) {
      cluster.found.set(name, { partitions, replication: 1, inSync: 1, configs: {} });
    }
    const { registry, apply, done } = pipelineOn(cluster);
    await expect(apply()).rejects.toThrow(
      /nothing was changed.*\n {2}spar\.outcomes: 7 partitions.*keys would move/,
    );
    expect(cluster.asked).toEqual([]);
    expect(done).toEqual([]);
    expect(await registry.latest('spar.verdicts-value')).toBeNull();
  });

  test('changes nothing where a schema does not fit, and gives the reason', async () => {
    const cluster = memoryCluster();
    const { registry, apply, done } = pipelineOn(cluster);
    await registry.register('spar.outcomes-value', stranger);
    await expect(apply()).rejects.toThrow(
      /nothing was changed.*\n {2}spar\.outcomes-value: .*spar\.Outcome is not spar\.Stranger/,
    );
    expect(cluster.asked).toEqual([]);
    expect(done).toEqual([]);
    expect(await registry.latest('spar.verdicts-value')).toBeNull();
  });

  test('registers a new version where the registry has another', async () => {
    const cluster = memoryCluster();
    const { registry, options, apply } = pipelineOn(cluster);
    const ours = JSON.parse(schemaText('outcome')) as { fields: readonly object[] };
    const before = { ...ours, fields: [...ours.fields, { name: 'old', type: 'int', default: 0 }] };
    await registry.register('spar.outcomes-value', JSON.stringify(before));
    const [one] = (await planTopics(options)).filter(
      (difference) => subjectOf(difference) === 'spar.outcomes-value',
    );
    expect(one).toMatchObject({ level: 'change', kind: 'schema', another: true });
    await apply();
    expect(await registry.latest('spar.outcomes-value')).toMatchObject({ version: 2 });
  });

  test('waits until the brokers tell of what was changed', async () => {
    const cluster = memoryCluster();
    const { apply } = pipelineOn(cluster);
    let looks = 0;
    const late: TopicAdmin = {
      ...cluster.admin,
      // The second look is the first after the change.
      find: async (names) => {
        const found = await cluster.admin.find(names);
        return ++looks === 2 ? { ...found, topics: new Map() } : found;
      },
    };
    expect(await apply({ admin: late })).toEqual([]);
    expect(looks).toBe(3);
  });

  test('tells of others who change the same topics', async () => {
    const cluster = memoryCluster();
    const { apply } = pipelineOn(cluster);
    const contested: TopicAdmin = {
      ...cluster.admin,
      find: async (names) => {
        const { brokers, topics: found } = await cluster.admin.find(names);
        const there = new Map(found);
        there.delete('spar.outcomes');
        return { brokers, topics: there };
      },
    };
    let now = 0;
    const time = {
      ...systemTime,
      monotonic: () => now,
      sleep: (delayMs: number) => {
        now += delayMs;
        return Promise.resolve();
      },
    };
    await expect(apply({ admin: contested, time })).rejects.toThrow(
      /somebody else changes these topics, too:\n {2}spar\.outcomes: missing/,
    );
  });
});
