import { expect, test } from 'vitest';
import { createTopics, kafkaLogOf } from './logs.ts';
import { ownBroker } from './support.ts';

test('the first groups that a cluster ever hears of are where nothing was done', async () => {
  // The topic of their offsets is only being made: coordinators are elsewhere, or not ready, for a moment.
  const { brokers } = await ownBroker();
  await createTopics([{ name: 'a', keyed: false }], 1, brokers);
  const log = await kafkaLogOf([{ name: 'a', keyed: false }], { settings: { brokers: [brokers] } });
  const groups = Array.from({ length: 20 }, (_, index) => `group-${index}`);
  const stands = await Promise.all(groups.map((group) => log.committed(group, 'a')));
  expect(stands.flat().every(({ position }) => position === 0)).toBe(true);
});
