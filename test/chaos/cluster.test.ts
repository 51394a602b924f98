import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { adminOf, kafkaAt, ownBroker } from '../kafka/support.ts';

test('a broker killed in the midst of sending has what it acknowledged, each time', async () => {
  const broker = await ownBroker();
  const kafka = kafkaAt(broker.brokers);
  const admin = await adminOf(kafka);
  await admin.createTopics({ topics: [{ topic: 'numbers' }] });

  const over = new AbortController();
  const acknowledged: number[] = [];
  const sender = (async () => {
    const producer = kafka.producer({ allowAutoTopicCreation: false });
    await producer.connect();
    for (let number = 0; !over.signal.aborted; number++) {
      try {
        await producer.send({ topic: 'numbers', acks: -1, messages: [{ value: `${number}` }] });
        acknowledged.push(number);
      } catch {
        // Not acknowledged: nobody promised anything.
        await sleep(50);
      }
    }
    await producer.disconnect();
  })();
  for (let round = 0; round < 3; round++) {
    const before = acknowledged.length;
    while (acknowledged.length < before + 100) await sleep(20);
    await broker.kill();
    await broker.restart();
  }
  over.abort();
  await sender;

  const stored = new Set<number>();
  const consumer = kafka.consumer({ groupId: 'reader' });
  await consumer.connect();
  await consumer.subscribe({ topic: 'numbers', fromBeginning: true });
  await consumer.run({
    eachMessage: ({ message }) => {
      stored.add(Number(message.value?.toString()));
      return Promise.resolve();
    },
  });
  const last = acknowledged.at(-1) ?? -1;
  while (!stored.has(last)) await sleep(50);
  await consumer.disconnect();
  expect(acknowledged.length).toBeGreaterThan(300);
  expect(acknowledged.filter((number) => !stored.has(number))).toEqual([]);
});
