import { randomUUID } from 'node:crypto';
import { zstdCompressSync } from 'node:zlib';
import { CompressionCodecs, CompressionTypes, type Message } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { parseSchema } from '../../infra/codec/avro.ts';
import type { ClusterHome } from '../../infra/home/cluster.ts';
import { schemaText } from '../../infra/codec/avro.ts';
import type { DeadLetter } from '../../schemas/records.ts';
import { dataflow } from '../../topology/dataflow.ts';
import { partitionOf } from '../../topology/partition.ts';
import type { Step, TopicInfo } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { spar } from '../cli/support.ts';
import { recordBytes } from '../log/kafka/batches.ts';
import { instruction, outcome } from '../runtime/support.ts';
import {
  lagsOf,
  outcomesOf,
  pipelineOf,
  recordsOf,
  until,
  type Pipeline,
  type Worker,
} from './pipeline.ts';
import { kafkaAt } from './support.ts';

const mebibyte = 1024 * 1024;

interface Known {
  readonly home: ClusterHome;
  /** Of the topic's own schema. */
  readonly id: number;
}

interface Poison {
  readonly cause: string;
  readonly value: (known: Known) => Buffer | null;
  /** What the record has instead of a key and the header of its iteration. */
  readonly change?: Partial<Pick<Message, 'key' | 'headers'>>;
  /** Whether one can tell whose it was; true unless said otherwise. */
  readonly isNamed?: false;
}

/** What may lie in a topic and is no record of it; `cause` is what its dead letter says. */
const poisons: Readonly<Record<string, Poison>> = {
  'bad bytes': { cause: 'decode', value: () => Buffer.from('ff00fe13', 'hex') },
  'an unknown schema id': { cause: 'unknown-schema', value: () => wired(0x7ffffff0) },
  "the wrong topic's schema": {
    cause: 'decode',
    value: ({ home }) => Buffer.from(home.serde.encode(topics.outcomes, outcome('x'))),
  },
  // An empty id, and then a list or a text of two thousand million.
  'six hostile bytes': { cause: 'decode', value: ({ id }) => wired(id, '00feffffff0f') },
  'an empty value': { cause: 'decode', value: () => Buffer.alloc(0) },
  'a tombstone': { cause: 'decode', value: () => null },
  'JSON that is no UTF-8': {
    cause: 'decode',
    value: () => Buffer.from('{"prompt":"\xff\xfe"}', 'latin1'),
  },
  'hostile headers': {
    cause: 'decode',
    value: () => Buffer.from('junk'),
    change: { headers: { iteration: '1', trees: 'many', revision: '99999999999', order: 'x' } },
  },
  'no key': {
    cause: 'decode',
    value: () => Buffer.from('junk'),
    change: { key: null },
    isNamed: false,
  },
};

/** Accepted by the broker, and a byte larger than any record of ours. */
const large: Poison = {
  cause: 'too-large',
  value: ({ id }) => Buffer.concat([wired(id), Buffer.alloc(8 * mebibyte - 4)]),
};

const wired = (id: number, hex = ''): Buffer => {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(id, 1);
  return Buffer.concat([head, Buffer.from(hex, 'hex')]);
};

interface Sent {
  /** As the dead letter is called: topic, partition and offset. */
  readonly place: string;
  readonly topic: TopicInfo;
  readonly key: string | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly value: Buffer;
  readonly poison: Poison;
}

const steps: readonly (readonly [string, Step])[] = Object.entries(dataflow);
const nothingLeft = Object.fromEntries(steps.map(([name]) => [name, 0]));
const good = Array.from({ length: 8 }, (_, index) => `good-${index}`);

let pipeline: Pipeline;
let home: ClusterHome;
let worker: Worker;

beforeAll(async () => {
  const roomy = { 'max.message.bytes': String(12 * mebibyte) };
  pipeline = await pipelineOf({
    configs: Object.fromEntries(steps.map(([, { from }]) => [from.name, roomy])),
  });
  home = await pipeline.open();
  worker = await pipeline.worker();
});

afterAll(() => pipeline.close());

/** As any producer would, in whatever language; tells where each of them is. */
async function produce(
  topic: TopicInfo,
  messages: readonly (Message & { readonly partition: number })[],
  compression = CompressionTypes.None,
  /** How often each of them is in its batch. */
  times = 1,
): Promise<readonly string[]> {
  const producer = kafkaAt(inject('brokers')).producer();
  await producer.connect();
  const places: string[] = [];
  for (const message of messages) {
    const request = {
      topic: pipeline.topic(topic),
      messages: Array<Message>(times).fill(message),
      compression,
    };
    const [answer] = await producer.send(request);
    places.push(`${topic.name}/${message.partition}/${answer!.baseOffset}`);
  }
  await producer.disconnect();
  return places;
}

interface Codec {
  readonly compress: (encoder: { readonly buffer: Buffer }) => Promise<Buffer>;
  readonly decompress: (packed: Buffer) => Promise<Buffer>;
}

/** Batches with this text in them are sent with these records instead, however many they say that they hold. */
async function withZstd<Result>(
  text: string,
  packed: Buffer,
  work: () => Promise<Result>,
): Promise<Result> {
  // Its type does not say what a codec is.
  const usual = CompressionCodecs[CompressionTypes.ZSTD] as () => Codec;
  const { compress, decompress } = usual();
  CompressionCodecs[CompressionTypes.ZSTD] = () => ({
    compress: (encoder: Parameters<Codec['compress']>[0]) =>
      encoder.buffer.includes(text) ? Promise.resolve(packed) : compress(encoder),
    decompress,
  });
  try {
    return await work();
  } finally {
    CompressionCodecs[CompressionTypes.ZSTD] = usual;
  }
}

async function poison(
  [stage, { from, ends }]: readonly [string, Step],
  kinds: Readonly<Record<string, Poison>>,
): Promise<readonly Sent[]> {
  const { id } = (await pipeline.registry.latest(`${pipeline.topic(from)}-value`))!;
  const messages = Object.entries(kinds).map(([name, { value, change }], index) => {
    const named = `${stage}-${name.replaceAll(/\W/g, '-')}`;
    return {
      partition: index % 2,
      // In an internal topic only key and header tell whose it is.
      key: from.foreign ? named : `1/${named}${ends === 'tree' ? '/0' : ''}`,
      headers: from.foreign ? { source: 'a test' } : { iteration: '1', trees: '1' },
      value: value({ home, id }),
      ...change,
    };
  });
  const places = await produce(from, messages);
  return Object.values(kinds).map((one, index) => {
    const { key, headers, value } = messages[index]!;
    return {
      ...{ topic: from, poison: one, place: places[index]!, key: key as string | null },
      // The test sends texts alone.
      headers: headers as Readonly<Record<string, string>>,
      value: value ?? Buffer.alloc(0),
    };
  });
}

/** How what these keys name ended, or has ended so far: by id, all outcomes. */
const failedIds = async (): Promise<readonly string[]> =>
  (await outcomesOf(home)).flatMap(({ id, outcome: how }) => (how === 'failed' ? [id] : []));

/** Each has one dead letter, which is as it was; `letters` is what there is of them. */
function expectLetters(letters: readonly DeadLetter[], sent: readonly Sent[]): void {
  expect(letters.map(({ id }) => id).toSorted()).toEqual(sent.map(({ place }) => place).toSorted());
  const byPlace = new Map(letters.map((letter) => [letter.id, letter]));
  for (const { place, topic, key, headers, value, poison: kind } of sent) {
    const letter = byPlace.get(place)!;
    expect(letter, place).toMatchObject({
      ...{ topic: topic.name, key, headers: JSON.stringify(headers), cause: kind.cause },
      ...{ attempts: 1, revision: 0 },
    });
    expect(`${letter.topic}/${letter.partition}/${letter.offset}`).toBe(place);
    expect(Buffer.compare(letter.value, value), place).toBe(0);
  }
}

const letters = async (): Promise<readonly DeadLetter[]> =>
  (await recordsOf(home, topics.deadLetters)).map(({ row }) => row);

/** What is the same when it fails again. */
const contentOf = ({
  topic,
  key,
  value,
  cause,
}: Pick<DeadLetter, 'topic' | 'key' | 'value' | 'cause'>): string =>
  JSON.stringify([topic, key, Buffer.from(value).toString('base64'), cause]);

describe('what is no record', () => {
  let sent: readonly Sent[] = [];

  test('ends as one dead letter each, in whichever topic it lies, and stops nothing else', async () => {
    sent = (await Promise.all(steps.map((one) => poison(one, poisons)))).flat();
    await produce(
      topics.instructions,
      good.map((id) => ({
        partition: partitionOf(id, 2),
        key: id,
        value: JSON.stringify({ id, prompt: `Write about ${id}.` }),
      })),
    );
    await until(async () => {
      const ended = new Set((await outcomesOf(home)).map((one) => one.instruction_id));
      expect(good.filter((id) => !ended.has(id))).toEqual([]);
      expect(await letters()).toHaveLength(sent.length);
      // Every stage has read on behind all of it.
      expect(await lagsOf(home)).toEqual(nothingLeft);
    });
    expectLetters(await letters(), sent);
    const named = sent.filter(({ poison: { isNamed } }) => isNamed !== false);
    expect((await failedIds()).toSorted()).toEqual(
      named.map(({ topic, key }) => (topic.foreign ? `1/${key}` : key)).toSorted(),
    );
  });

  test('is listed and shown, and tried again as it came: what is still wrong fails once more', async () => {
    const listed = await spar('dead-letters', 'list', '--limit', '1000', ...pipeline.flags);
    for (const { place, poison: one } of sent) {
      expect(listed.out).toMatch(new RegExp(`^${place} .* ${one.cause} `, 'm'));
    }
    const junk = sent.find(
      ({ topic, poison: { isNamed } }) => topic === topics.expand && isNamed !== false,
    )!;
    const { out } = await spar('dead-letters', 'show', junk.place, '--json', ...pipeline.flags);
    expect(JSON.parse(out)).toMatchObject({
      ...{ id: junk.place, topic: 'search.expand', key: junk.key },
      value: { base64: junk.value.toString('base64') },
    });
    // Nor do those stumble who only look.
    const tapped = (await spar('tap', 'search.expand', ...pipeline.flags)).out.trim().split('\n');
    expect(tapped.map((line) => JSON.parse(line) as object)).toContainEqual(
      expect.objectContaining({ key: junk.key, value: { base64: junk.value.toString('base64') } }),
    );
    expect(await spar('status', ...pipeline.flags)).toMatchObject({ err: '' });
    const retry = (...which: readonly string[]) =>
      spar('dead-letters', 'retry', ...which, ...pipeline.flags);
    expect(await retry(junk.place)).toMatchObject({
      code: 0,
      out: '1 record is back in the stream. Workers process it.\n',
    });
    expect(await retry(junk.place)).toMatchObject({
      code: 1,
      err: expect.stringContaining('was retried already') as unknown,
    });
    await until(async () => expect(await letters()).toHaveLength(sent.length + 1));
    // All others, and what became of the first.
    expect(await retry('--all')).toMatchObject({
      code: 0,
      out: `${sent.length} records are back in the stream. Workers process them.\n`,
    });
    const again = await until(async () => {
      const found = (await letters()).filter(
        ({ key, revision }) => revision === (key === junk.key ? 2 : 1),
      );
      expect(found.length).toBeGreaterThanOrEqual(sent.length);
      expect(await lagsOf(home)).toEqual(nothingLeft);
      return found;
    });
    expect(again.map(contentOf).toSorted()).toEqual(
      sent
        .map(({ topic, key, value, poison: { cause } }) =>
          contentOf({ topic: topic.name, key, value, cause }),
        )
        .toSorted(),
    );
  });

  test('with a schema that is registered by now is an instruction like any other', async () => {
    // Apicurio counts on: the next id is one more than that of a schema which is nobody's.
    const nobodys = JSON.stringify({
      type: 'record',
      name: `X${randomUUID().slice(0, 8)}`,
      fields: [],
    });
    const id = 1 + (await pipeline.registry.register(`${pipeline.name}-nobody`, nobodys));
    const schema = JSON.parse(schemaText('instruction')) as { readonly fields: readonly object[] };
    const mood = { name: 'mood', type: ['null', 'string'], default: null };
    const text = JSON.stringify({ ...schema, fields: [...schema.fields, mood] });
    const value = Buffer.alloc(1000);
    const record = { ...instruction('late', 'Write about it.'), mood: 'fine' };
    const end = parseSchema(text).write(record, value, wired(id).copy(value));
    const partition = partitionOf('late', 2);
    const message = { partition, key: 'late', value: value.subarray(0, end) };
    const [place = ''] = await produce(topics.instructions, [message]);
    await until(async () => expect(await failedIds()).toContain('1/late'));

    expect(
      await pipeline.registry.register(`${pipeline.topic(topics.instructions)}-value`, text),
    ).toBe(id);
    expect(await spar('dead-letters', 'retry', place, ...pipeline.flags)).toMatchObject({
      code: 0,
    });
    await until(async () => {
      const late = (await outcomesOf(home)).filter((one) => one.instruction_id === 'late');
      expect(late.some(({ revision, outcome: how }) => revision === 1 && how !== 'failed')).toBe(
        true,
      );
      expect(late.some(({ revision, outcome: how }) => revision === 1 && how === 'failed')).toBe(
        false,
      );
    });
  });

  test('and is larger than a record may be ends so, too, though nobody has looked into it', async () => {
    const tooLarge = await Promise.all(steps.map((one) => poison(one, { large })));
    // Compressed, this is a small record for the broker; and no dead letter holds it.
    const value = JSON.stringify({ prompt: 'x'.repeat(20 * mebibyte) });
    const message = { partition: 0, key: 'huge', value };
    const [place = ''] = await produce(topics.instructions, [message], CompressionTypes.GZIP);
    await until(async () => expect(await failedIds()).toContain('1/huge'));
    await until(async () => expect(await lagsOf(home)).toEqual(nothingLeft));
    const found = (await letters()).filter(({ cause }) => cause === 'too-large');
    expectLetters(
      found.filter(({ key }) => key !== 'huge'),
      tooLarge.flat(),
    );
    expect(found.find(({ key }) => key === 'huge')).toMatchObject({
      id: place,
      value: Buffer.alloc(0),
      error: expect.stringContaining(
        'too large for a dead letter and stays where it was',
      ) as unknown,
    });
  });

  test('and unfolds to more than memory holds ends so, all of its batch in one, and after a restart, too', async () => {
    const [first, second, last] = [0, 1, 2].map((offset) =>
      recordBytes({ offset, value: Buffer.alloc(100 * mebibyte) }),
    );
    const bomb = zstdCompressSync(Buffer.concat([first!, second!, last!]));
    const places = await withZstd('a bomb', bomb, () =>
      produce(topics.instructions, [{ partition: 1, value: 'a bomb' }], CompressionTypes.ZSTD, 3),
    );
    const from = Number(places[0]!.split('/')[2]);
    const place = `instructions/1/${from + 2}`;
    const after = {
      partition: 1,
      key: 'after',
      value: '{"id":"after","prompt":"Write about it."}',
    };
    await produce(topics.instructions, [after]);
    const ended = async (id: string) =>
      (await outcomesOf(home)).some(({ instruction_id }) => instruction_id === id);
    await until(async () => expect(await ended('after')).toBe(true));
    await worker.stop();
    worker = await pipeline.worker();
    await produce(topics.instructions, [
      { ...after, key: 'later', value: '{"prompt":"Write on."}' },
    ]);
    await until(async () => expect(await ended('later')).toBe(true));
    await until(async () => expect(await lagsOf(home)).toEqual(nothingLeft));
    const error =
      `what is at offsets ${from} to ${from + 2} of partition 1 of ${pipeline.topic(topics.instructions)} ` +
      'cannot be read: a batch of more than 268435456 bytes, uncompressed';
    const unreadable = (await letters()).filter(({ cause }) => cause === 'unreadable');
    expect(unreadable).toEqual([
      expect.objectContaining({ id: place, key: null, value: Buffer.alloc(0), error, attempts: 1 }),
    ]);
    expect(await spar('dead-letters', 'retry', place, ...pipeline.flags)).toMatchObject({
      code: 1,
      err: expect.stringContaining(`cannot be tried again: ${error}`) as unknown,
    });
    const tapped = await spar('tap', 'instructions', '--partition', '1', ...pipeline.flags);
    expect(tapped.out).toContain(JSON.stringify({ unreadable: error }));
  });

  test('leaves the worker in good order', async () => {
    expect(await lagsOf(home)).toEqual(nothingLeft);
    await worker.stop();
    await worker.working;
  });
});
