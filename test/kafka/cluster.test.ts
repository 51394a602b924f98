import { randomUUID } from 'node:crypto';
import { Kafka, logLevel } from 'kafkajs';
import { expect, inject, onTestFinished, test } from 'vitest';

const kafkaAt = (brokers: string): Kafka =>
  new Kafka({ clientId: 'test', brokers: [brokers], logLevel: logLevel.NOTHING });

test('the shared broker takes a record and gives it back', async () => {
  const kafka = kafkaAt(inject('brokers'));
  const topic = randomUUID();
  const admin = kafka.admin();
  await admin.connect();
  onTestFinished(() => admin.disconnect());
  await admin.createTopics({ topics: [{ topic, numPartitions: 3 }] });
  expect(await admin.fetchTopicOffsets(topic)).toHaveLength(3);
});

test('the shared registry answers', async () => {
  const response = await fetch(`${inject('registryUrl')}/subjects`);
  expect(await response.json()).toBeInstanceOf(Array);
});
