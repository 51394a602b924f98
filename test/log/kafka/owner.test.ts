import { expect, test } from 'vitest';
import { silentLogger } from '../../../infra/logger.ts';
import { takeOwnership } from '../../../infra/log/kafka/owner.ts';
import { createOutages } from '../../../infra/log/kafka/outages.ts';
import { createStamps } from '../../../infra/log/kafka/send.ts';
import { PartitionLost, TooLarge, type Transaction } from '../../../infra/log/log.ts';
import { instantTime } from '../../support/time.ts';
import { fakeCluster, kafkaError, type Mishap } from './fakes.ts';

const id = 'group-topic-3';

async function ownerOf(
  change: {
    readonly confirmed?: (signal: AbortSignal) => Promise<void>;
    readonly cluster?: ReturnType<typeof fakeCluster>;
  } = {},
) {
  const cluster = change.cluster ?? fakeCluster();
  const over = new AbortController();
  const time = instantTime();
  const owner = await takeOwnership({
    client: cluster.client,
    group: 'group',
    topic: 'topic',
    partition: 3,
    time,
    stamps: createStamps(time),
    logger: silentLogger,
    outages: createOutages([], time),
    committed: () => cluster.committed(3),
    confirmed: change.confirmed ?? (() => Promise.resolve()),
    signal: over.signal,
  });
  return { cluster, owner, over };
}

const moving = (position: number, ...outputs: readonly string[]): Transaction => ({
  position,
  metadata: '',
  outputs: outputs.map((text) => ({
    topic: 'out',
    partition: 3,
    key: null,
    headers: {},
    value: Buffer.from(text),
  })),
});

test('takes the right to publish, and only then asks where the group stands', async () => {
  const { cluster, owner } = await ownerOf();
  expect(cluster.events).toEqual([`${id} is taken`, '3 is asked for']);
  expect(owner.committed).toEqual({ partition: 3, known: false, position: 0, metadata: '' });
});

test('publishes one transaction after the other', async () => {
  const { cluster, owner } = await ownerOf();
  await Promise.all([owner.commit(moving(1, 'a', 'b')), owner.commit(moving(2, 'c'))]);
  expect(cluster.published).toEqual(['a', 'b', 'c']);
  expect(await cluster.committed(3)).toMatchObject({ position: 2 });
});

test('leaves no producer behind', async () => {
  const { cluster, owner } = await ownerOf();
  cluster.mishaps.push({ when: 'before', error: kafkaError('REQUEST_TIMED_OUT') });
  await owner.commit(moving(1, 'a'));
  await owner.close();
  expect(cluster.open()).toBe(0);
});

test.each<[string, Mishap['when'], string]>([
  ['was not carried out is sent again', 'before', 'REQUEST_TIMED_OUT'],
  ['was carried out is not sent again', 'after', 'REQUEST_TIMED_OUT'],
  ['the broker undid is sent again', 'before', 'INVALID_TXN_STATE'],
])('a commit of unknown outcome that %s', async (_name, when, type) => {
  const { cluster, owner } = await ownerOf();
  await owner.commit(moving(1, 'before'));
  cluster.mishaps.push({ when, error: kafkaError(type) });
  await owner.commit(moving(2, 'a', 'b'));
  await owner.commit(moving(3, 'after'));
  expect(cluster.published).toEqual(['before', 'a', 'b', 'after']);
});

test('outcomes that stay unknown are asked for again and again', async () => {
  const { cluster, owner } = await ownerOf();
  const error = kafkaError('REQUEST_TIMED_OUT');
  for (let times = 0; times < 5; times++) cluster.mishaps.push({ when: 'before', error });
  cluster.mishaps.push({ when: 'after', error });
  await owner.commit(moving(1, 'a'));
  expect(cluster.published).toEqual(['a']);
});

test('one that was fenced off, and whose place nobody has moved, takes the right back', async () => {
  const { cluster, owner } = await ownerOf();
  cluster.takenBy(id);
  await owner.commit(moving(1, 'a'));
  expect(cluster.published).toEqual(['a']);
});

test('one that was fenced off by an owner who went on has lost the partition, and publishes nothing', async () => {
  const { cluster, owner } = await ownerOf();
  cluster.takenBy(id, { partition: 3, known: true, position: 7, metadata: '' });
  await expect(owner.commit(moving(1, 'a'))).rejects.toBeInstanceOf(PartitionLost);
  expect(cluster.published).toEqual([]);
});

test('one that the group has given up while it was fenced off does not fence in its turn', async () => {
  const lost = new AbortController();
  const { cluster, owner, over } = await ownerOf({
    confirmed: (signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error));
        lost.abort();
      }),
  });
  lost.signal.addEventListener('abort', () => over.abort(new Error('given to another')));
  cluster.takenBy(id);
  await expect(owner.commit(moving(1, 'a'))).rejects.toBeInstanceOf(PartitionLost);
  expect(cluster.events.filter((event) => event.endsWith('taken'))).toHaveLength(1);
});

test('what it may not do is said, and not tried again', async () => {
  const { cluster, owner } = await ownerOf();
  cluster.mishaps.push({ when: 'before', error: kafkaError('TOPIC_AUTHORIZATION_FAILED') });
  await expect(owner.commit(moving(1, 'a'))).rejects.toThrow(
    /publishing for group on topic\/3.*credentials/s,
  );
  expect(cluster.events.filter((event) => event.endsWith('taken'))).toHaveLength(1);
});

test('a batch that is too large is sent record by record', async () => {
  const { cluster, owner } = await ownerOf();
  cluster.takes(4);
  await owner.commit(moving(1, 'aaa', 'bbb', 'ccc'));
  await owner.commit(moving(2, 'd'));
  expect(cluster.published).toEqual(['aaa', 'bbb', 'ccc', 'd']);
  // kafkajs does not know which of a request's batches were taken: the next one must not be held for a repeat.
  expect(cluster.events.filter((event) => event.endsWith('taken'))).toHaveLength(2);
});

test('records that are too large by themselves are named, and the others may be committed without', async () => {
  const { cluster, owner } = await ownerOf();
  cluster.takes(4);
  const transaction = moving(1, 'a', 'too large', 'b', 'too long');
  const error: unknown = await owner.commit(transaction).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(TooLarge);
  expect(error).toMatchObject({
    records: [transaction.outputs[1], transaction.outputs[3]],
    message: expect.stringMatching(/publishing for group on topic\/3: larger than the topic takes/),
  });
  expect(cluster.published).toEqual([]);
  await owner.commit(moving(1, 'a', 'b'));
  expect(cluster.published).toEqual(['a', 'b']);
  await owner.close();
  expect(cluster.open()).toBe(0);
});
