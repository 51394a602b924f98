import {
  AclOperationTypes,
  AclPermissionTypes,
  AclResourceTypes,
  Kafka,
  logLevel,
  ResourcePatternTypes,
  type Admin,
  type KafkaConfig,
} from 'kafkajs';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { startBroker, type Broker, type BrokerOptions } from '../../infra/cluster/broker.ts';
import { startRegistry, type RegistryServer } from '../../infra/cluster/registry.ts';
import type { Acl } from '../../infra/topics/acls.ts';

/** A broker of the test's own, to be killed and paused; gone when the test is over. */
export async function ownBroker(options: BrokerOptions = {}): Promise<Broker> {
  const broker = await startBroker(options);
  onTestFinished(() => broker.stop());
  return broker;
}

/** A registry of the test's own. */
export async function ownRegistry(
  options: Parameters<typeof startRegistry>[0] = {},
): Promise<RegistryServer> {
  const registry = await startRegistry(options);
  onTestFinished(() => registry.stop());
  return registry;
}

export const kafkaAt = (brokers: string, more: Partial<KafkaConfig> = {}): Kafka =>
  new Kafka({ clientId: 'test', brokers: [brokers], logLevel: logLevel.NOTHING, ...more });

export async function adminOf(kafka: Kafka): Promise<Admin> {
  const admin = kafka.admin();
  onTestFinished(() => admin.disconnect());
  await admin.connect();
  return admin;
}

/** Values that are acknowledged when this resolves. */
export async function send(kafka: Kafka, topic: string, values: readonly string[]): Promise<void> {
  const producer = kafka.producer();
  await producer.connect();
  // One by one: of a topic that was made just now one partition may refuse, and the client would send what the others
  // took once more.
  for (const value of values) await producer.send({ topic, acks: -1, messages: [{ value }] });
  await producer.disconnect();
}

/** How many records the topic's partitions hold. */
export async function countOf(admin: Admin, topic: string): Promise<number> {
  const offsets = await admin.fetchTopicOffsets(topic);
  return offsets.reduce((sum, { high, low }) => sum + Number(high) - Number(low), 0);
}

const resourceTypes = {
  topic: AclResourceTypes.TOPIC,
  group: AclResourceTypes.GROUP,
  'transactional-id': AclResourceTypes.TRANSACTIONAL_ID,
};

const operationTypes = {
  AlterConfigs: AclOperationTypes.ALTER_CONFIGS,
  Create: AclOperationTypes.CREATE,
  Describe: AclOperationTypes.DESCRIBE,
  DescribeConfigs: AclOperationTypes.DESCRIBE_CONFIGS,
  Read: AclOperationTypes.READ,
  Write: AclOperationTypes.WRITE,
};

/** Gives a user exactly these rights besides those that it has. */
export async function allow(admin: Admin, user: string, acls: readonly Acl[]): Promise<void> {
  await admin.createAcls({
    acl: acls.flatMap(({ resource, pattern, name, operations }) =>
      operations.map((operation) => ({
        principal: `User:${user}`,
        host: '*',
        resourceType: resourceTypes[resource],
        resourceName: name,
        resourcePatternType:
          pattern === 'prefixed' ? ResourcePatternTypes.PREFIXED : ResourcePatternTypes.LITERAL,
        operation: operationTypes[operation],
        permissionType: AclPermissionTypes.ALLOW,
      })),
    ),
  });
}

/** Waits for what comes about by itself, such as the end of a process; throws if it does not. */
export async function until(what: string, holds: () => boolean, withinMs = 10_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`);
    await sleep(20);
  }
}

export const untilGone = (path: string): Promise<void> =>
  until(`${path} is gone`, () => !existsSync(path));
