import kafkajs from 'kafkajs';
import { RunError } from '../../errors.ts';
import type { Logger } from '../../logger.ts';
import { messageOf, oneLine } from '../../text.ts';
import type { Time } from '../../time.ts';
import type { FoundTopic, FoundTopics, TopicAdmin } from '../../topics/admin.ts';
import { openClient, type Broker } from './client.ts';
import { causes, explained, failureOf } from './failures.ts';
import { quietTimers } from './quiet.ts';
import { createReader, forgetBroker } from './reader.ts';
import type { KafkaSettings } from './settings.ts';

export interface TopicAdminOptions {
  readonly settings: KafkaSettings;
  readonly time: Time;
  readonly logger: Logger;
}

/** As kafkajs has them; it is CommonJS, and Node finds only some of its names by itself. */
const { ConfigResourceTypes, ConfigSource } = kafkajs;
/** Tries of a question whose broker went away, or whose topic has no leader yet: with the waits about ten seconds. */
const triesMax = 8;
const pollMs = 50;

type Metadata = Awaited<ReturnType<Broker['metadata']>>;
type Configs = Readonly<Record<string, string>>;

/**
 * The topics of a Kafka cluster. Looking is one request for the topics and one for their configs, through any broker;
 * kafkajs's own way asks for every topic of the cluster, and fails if a stranger's has no leader.
 */
export function openTopicAdmin({ settings, time, logger }: TopicAdminOptions): TopicAdmin {
  quietTimers();
  const client = openClient(settings, logger);
  const cluster = client.cluster();
  const admin = client.admin();
  const reader = createReader(client, time);
  let connecting: Promise<void> | null = null;

  /** @param right what it takes, for whoever lacks it */
  async function ask<Answer>(
    tried: string,
    right: string,
    question: (broker: Broker) => Promise<Answer>,
  ): Promise<Answer> {
    for (let tries = 1; ; tries++) {
      try {
        // kafkajs has tries of its own until somebody lets us in; if nobody did, nobody will.
        await cluster.connect();
      } catch (error) {
        throw sentenceFor(error, tried, right, settings.brokers);
      }
      try {
        return await question(await cluster.brokerPool.findConnectedBroker());
      } catch (error) {
        const failure = failureOf(error);
        const passing = failure === 'unavailable' || failure === 'stale';
        if (!passing || tries >= triesMax) throw sentenceFor(error, tried, right, settings.brokers);
        logger.debug({ tried, tries, message: oneLine(messageOf(error), 300) }, 'question.retried');
        forgetBroker(cluster, error);
        await time.sleep(Math.min(2000, 50 * 2 ** tries));
      }
    }
  }

  /** What changes something is asked of the controller, which the client's admin finds; kafkajs tries again by itself. */
  async function change(tried: string, right: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await (connecting ??= admin.connect());
      await work();
    } catch (error) {
      throw sentenceFor(error, tried, right, settings.brokers);
    }
  }

  const metadataOf = (names: readonly string[]): Promise<Metadata> =>
    ask(`looking for ${listed(names)}`, rightTo('Describe', names), async (broker) => {
      try {
        return await broker.metadata(names);
      } catch (error) {
        if (failureOf(error) !== 'missing') throw error;
      }
      const topicMetadata: Metadata['topicMetadata'][number][] = [];
      let brokers: Metadata['brokers'] | null = null;
      for (const name of names) {
        try {
          const one = await broker.metadata([name]);
          brokers = one.brokers;
          topicMetadata.push(...one.topicMetadata);
        } catch (error) {
          if (failureOf(error) !== 'missing') throw error;
        }
      }
      return { brokers: brokers ?? (await broker.metadata([])).brokers, topicMetadata };
    });

  /** Null if we may not know. */
  async function configsOf(names: readonly string[]): Promise<ReadonlyMap<string, Entries> | null> {
    if (names.length === 0) return new Map();
    return ask(
      `reading the configs of ${listed(names)}`,
      rightTo('DescribeConfigs', names),
      async (broker) => {
        try {
          const { resources } = await broker.describeConfigs({
            resources: names.map((name) => ({ type: ConfigResourceTypes.TOPIC, name })),
          });
          return new Map(
            resources.map(({ resourceName, configEntries }) => [resourceName, configEntries]),
          );
        } catch (error) {
          if (!isForbidden(error)) throw error;
          logger.debug({ topics: listed(names) }, 'configs.forbidden');
          return null;
        }
      },
    );
  }

  async function find(names: readonly string[]): Promise<FoundTopics> {
    const { brokers, topicMetadata } = await metadataOf(names);
    const configs = await configsOf(topicMetadata.map(({ topic }) => topic));
    return {
      brokers: brokers.length,
      topics: new Map(
        topicMetadata.map(({ topic, partitionMetadata }): [string, FoundTopic] => [
          topic,
          {
            partitions: partitionMetadata.length,
            replication: Math.min(...partitionMetadata.map(({ replicas }) => replicas.length)),
            inSync: Math.min(...partitionMetadata.map(({ isr }) => isr.length)),
            configs: configs && valuesIn(configs.get(topic) ?? []),
          },
        ]),
      ),
    };
  }

  return {
    find,

    async create(topics) {
      const names = topics.map(({ name }) => name);
      await change(`making ${listed(names)}`, rightTo('Create', names), () =>
        admin.createTopics({
          topics: topics.map(({ name, partitions, replication, configs }) => ({
            topic: name,
            numPartitions: partitions,
            replicationFactor: replication,
            configEntries: entriesOf(configs),
          })),
          timeout: settings.timeouts.requestMs,
          // It would take a broker that has not heard of a topic yet for one that does not have it.
          waitForLeaders: false,
        }),
      );
      const deadline = time.monotonic() + settings.timeouts.requestMs;
      while ((await metadataOf(names)).topicMetadata.length < names.length) {
        if (time.monotonic() > deadline) {
          throw new RunError(
            `${listed(names)}: made, and not to be seen within ${settings.timeouts.requestMs} ms; ` +
              '`spar topics check` tells when they are there.',
          );
        }
        await time.sleep(pollMs);
      }
    },

    async configure(name, configs) {
      const right = `${rightTo('DescribeConfigs', [name])} and ${rightTo('AlterConfigs', [name])}`;
      const found = await configsOf([name]);
      if (!found) throw forbidden(`reading the configs of ${name}`, right, settings.brokers);
      // What is not sent along falls back to its default: kafkajs knows no change of a single one.
      const own = (found.get(name) ?? []).filter(
        ({ configSource }) => configSource === ConfigSource.TOPIC_CONFIG,
      );
      await change(`changing the configs of ${name}`, right, () =>
        admin.alterConfigs({
          validateOnly: false,
          resources: [
            {
              type: ConfigResourceTypes.TOPIC,
              name,
              configEntries: entriesOf({ ...valuesIn(own), ...configs }),
            },
          ],
        }),
      );
    },

    ends: (name) => reader.ends(name),

    async close() {
      await reader.close();
      await cluster.disconnect();
      await connecting?.then(() => admin.disconnect()).catch(() => undefined);
      client.close();
    },
  };
}

type Entries = Awaited<ReturnType<Broker['describeConfigs']>>['resources'][number]['configEntries'];

const valuesIn = (entries: Entries): Configs =>
  Object.fromEntries(
    entries.flatMap(({ configName, configValue }) =>
      configValue === null ? [] : [[configName, configValue]],
    ),
  );

const entriesOf = (configs: Configs): { name: string; value: string }[] =>
  Object.entries(configs).map(([name, value]) => ({ name, value }));

/** Topics of one pipeline, in as few words as a sentence bears. */
const listed = (names: readonly string[]): string => {
  const [first = '', second, ...others] = names;
  if (second === undefined) return first;
  return others.length === 0
    ? `${first} and ${second}`
    : `${first} and ${others.length + 1} others`;
};

const rightTo = (operation: string, names: readonly string[]): string => {
  const [first = ''] = names;
  return names.length === 1
    ? `${operation} on the topic ${first}`
    : `${operation} on the topics ${first.slice(0, first.indexOf('.') + 1)}*`;
};

/** Of many topics each has an error of its own. */
function typesOf(error: unknown): readonly string[] {
  const errors = (error as { readonly errors?: unknown }).errors;
  const all = Array.isArray(errors) ? (errors as readonly unknown[]) : [error];
  return all.flatMap((one) =>
    [...causes(one)].flatMap((cause) => {
      const { type } = cause as { readonly type?: unknown };
      return typeof type === 'string' ? [type] : [];
    }),
  );
}

const isForbidden = (error: unknown): boolean =>
  typesOf(error).some((type) => type.endsWith('_AUTHORIZATION_FAILED'));

const forbidden = (tried: string, right: string, brokers: readonly string[]): RunError =>
  new RunError(
    `${tried}: the brokers ${brokers.join(', ')} do not allow it. It takes ${right}; ` +
      '`spar topics acls` prints what each command needs.',
  );

/** What the broker has against it, as kafkajs tells: it keeps the broker's own words to itself. */
const reasons: Readonly<Record<string, string>> = {
  POLICY_VIOLATION:
    'a policy of the cluster forbids it; ask those who run it which numbers it takes, and see kafka.partitions and kafka.replication',
  INVALID_REPLICATION_FACTOR:
    'there are fewer brokers than copies are wanted; set kafka.replication',
  INVALID_PARTITIONS: 'the cluster does not take that many partitions; set kafka.partitions',
  INVALID_CONFIG: 'the cluster does not take one of the configs; is it older than Kafka 2.1?',
  INVALID_TOPIC_EXCEPTION: 'the cluster does not take such a name; see `pipeline`',
};

function sentenceFor(
  error: unknown,
  tried: string,
  right: string,
  brokers: readonly string[],
): unknown {
  if (isForbidden(error)) return forbidden(tried, right, brokers);
  const [type] = typesOf(error).filter((one) => one !== 'TOPIC_ALREADY_EXISTS');
  const reason = reasons[type ?? ''];
  if (reason !== undefined) return new RunError(`${tried}: ${reason}.`, { cause: error });
  return explained(error, tried, brokers);
}
