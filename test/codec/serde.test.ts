import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test as propertyTest } from '@fast-check/vitest';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { schemaText } from '../../infra/codec/avro.ts';
import { Unavailable } from '../../infra/errors.ts';
import { createSerde, type Serde } from '../../infra/codec/serde.ts';
import { openSqliteRegistry, type SqliteRegistry } from '../../infra/codec/sqlite-registry.ts';
import { idOf } from '../../infra/input/identity.ts';
import { plainReaders } from '../../infra/input/instruction.ts';
import { StorageError } from '../../infra/sqlite.ts';
import { PermanentError } from '../../processors/processor.ts';
import { topics } from '../../topology/topics.ts';
import { topic, type TopicInfo } from '../../topology/topology.ts';
import { recordsOf } from '../schemas/records.ts';
import { outcome } from '../runtime/support.ts';

let folder: string;
let registry: SqliteRegistry;
let serde: Serde;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'spar-serde-'));
  registry = openSqliteRegistry({ file: join(folder, 'schemas.db') });
  serde = createSerde(registry, 'spar');
  await serde.prepare(Object.values(topics));
});
afterAll(async () => {
  registry.close();
  await rm(folder, { recursive: true });
});

const every: readonly TopicInfo[] = Object.values(topics);
const message = {
  id: 'a',
  messages: [{ role: 'user', content: 'Say hello.' }],
  constraints: [],
  judge_by: null,
  source: 'file.jsonl',
  extra: '{}',
  source_line: 1,
  responses: [],
  added_at: 1_800_000_000_000,
};

describe.each(every)('a record of $name', (of) => {
  propertyTest.prop([recordsOf(of.schema)], { numRuns: 25 })(
    'comes back as it was',
    async (record) => {
      expect(await serde.decode(of.schema, serde.encode(of, record))).toEqual(record);
    },
  );
});

test('is in the wire format: a zero byte, the schema id, Avro', async () => {
  const bytes = serde.encode(topics.instructions, message);
  const version = await registry.latest('spar.instructions-value');
  expect(bytes[0]).toBe(0);
  expect(Buffer.from(bytes).readUInt32BE(1)).toBe(version!.id);
  expect(Buffer.from(bytes.subarray(5, 7)).toString('latin1')).toBe('\u0002a');
});

test('asks the registry once, however many come before its answer', async () => {
  const bytes = serde.encode(topics.instructions, message);
  const byId = vi.fn(registry.byId.bind(registry));
  const fresh = createSerde({ ...registry, byId }, 'spar');
  const decoded = await Promise.all(
    Array.from({ length: 100 }, () => fresh.decode('instruction', bytes)),
  );
  expect(new Set(decoded.map((one) => JSON.stringify(one))).size).toBe(1);
  expect(byId).toHaveBeenCalledTimes(1);
});

test('asks it again where it did not answer', async () => {
  const bytes = serde.encode(topics.instructions, message);
  const byId = vi.fn(registry.byId.bind(registry));
  byId.mockRejectedValueOnce(new Error('away'));
  const fresh = createSerde({ ...registry, byId }, 'spar');
  await expect(fresh.decode('instruction', bytes)).rejects.toThrow('away');
  await expect(fresh.decode('instruction', bytes)).resolves.toEqual(message);
});

test('is there at once when its schema has been seen before', async () => {
  const bytes = serde.encode(topics.instructions, message);
  await serde.decode('instruction', bytes);
  expect(serde.decode('instruction', bytes)).not.toBeInstanceOf(Promise);
});

test('of one topic does not change the bytes of the one before', () => {
  const first = serde.encode(topics.instructions, message);
  const copy = Buffer.from(first);
  serde.encode(topics.instructions, { ...message, id: 'bbbb' });
  expect(copy.equals(first)).toBe(true);
});

describe('what is wrong has a code', () => {
  const decodeError = async (schema: string, bytes: Uint8Array) => {
    try {
      await serde.decode(schema, bytes);
    } catch (error) {
      return error;
    }
    return null;
  };
  const good = () => Buffer.from(serde.encode(topics.instructions, message));

  test.each([
    ['no bytes', () => Buffer.alloc(0), 'decode'],
    ['fewer bytes than a header', () => Buffer.from([0, 0, 0]), 'decode'],
    ['another magic byte', () => Buffer.concat([Buffer.from([1]), good().subarray(1)]), 'decode'],
    ['JSON', () => Buffer.from('{"id":"a"}'), 'decode'],
    ['an id that nobody gave out', () => Buffer.from([0, 0, 9, 9, 9, 2]), 'unknown-schema'],
    ['the end cut off', () => good().subarray(0, -1), 'decode'],
    ['bytes left over', () => Buffer.concat([good(), Buffer.alloc(1)]), 'decode'],
    [
      'an array that claims more than there is',
      () => Buffer.concat([good().subarray(0, 7), Buffer.from([0x80, 0x80, 0x80, 0x80, 0x01])]),
      'decode',
    ],
    [
      'another record',
      () =>
        Buffer.from(
          serde.encode(topics.iterations, {
            ...{ id: 'i', pipeline: 'p', mode: 'faithful', seed: 0, settings: '{}' },
            ...{ settings_hash: '', actor_model: '', judge_model: '', judge_prompt: '' },
            ...{
              refiner_model: '',
              refine_prompt: '',
              rules: '',
              opened_at: 0,
              unread_sources: [],
            },
          }),
        ),
      'decode',
    ],
  ])('%s', async (_name, bytes, code) => {
    expect(await decodeError('instruction', bytes())).toMatchObject({
      name: 'PermanentError',
      code,
    });
  });

  test.each([
    ['a record of another topic', { ...message, messages: undefined }],
    ['a field of the wrong type', { ...message, source_line: 'one' }],
    ['a field left out, although it has a default', { ...message, extra: undefined }],
    ['null', null],
  ])('%s is not written', (_name, wrong) => {
    expect(() => serde.encode(topics.instructions, wrong)).toThrow(
      expect.objectContaining({ code: 'encode' }),
    );
  });

  const narrow = topic('narrow', { schema: 'instruction', kept: 'forever', about: '' });

  test('a record over the limit of its topic is not written, wherever the scratch space stands', async () => {
    await serde.prepare([narrow]);
    const large = { ...message, extra: 'x'.repeat(2 * 1024 * 1024) };
    const letter = { name: 'small', schema: 'instruction' };
    for (let round = 0; round < 2; round++) {
      expect(() => serde.encode(narrow, large)).toThrow(
        expect.objectContaining({ code: 'too-large' }),
      );
    }
    expect(() => serde.encode(letter, message)).toThrow(/not prepared/);
  });

  test('one over it that others wrote is not read, though there is nothing else wrong with it', async () => {
    await serde.prepare([narrow, topics.instructions]);
    const bytes = serde.encode(topics.instructions, { ...message, extra: 'x'.repeat(1024 * 1024) });
    const from = (name: string) => ({ topic: `spar.${name}`, offset: 1, timestamp: 0, key: null });
    expect(() => serde.decode('instruction', bytes, from('narrow'))).toThrow(
      expect.objectContaining({
        code: 'too-large',
        message: `a record of ${bytes.length} bytes, at most 1048576 are allowed`,
      }),
    );
    expect(await serde.decode('instruction', bytes, from('instructions'))).toBeDefined();
  });

  test('a larger limit of the topic holds', async () => {
    const wide = topic('wide', {
      schema: 'instruction',
      kept: 'forever',
      maxBytes: 1 << 22,
      about: '',
    });
    await serde.prepare([wide, narrow]);
    const large = { ...message, extra: 'x'.repeat(2 * 1024 * 1024) };
    expect(await serde.decode('instruction', serde.encode(wide, large))).toEqual(large);
    // The scratch space is large now; the limit of the other topic still holds.
    expect(() => serde.encode(narrow, large)).toThrow(/at most/);
  });
});

describe('a schema that is not known yet', () => {
  const bytesOf = (id: number) => Buffer.from([0, 0, 0, 0, id, 2]);
  const decoding = (byId: (id: number) => Promise<string>) => {
    const of = createSerde({ ...registry, byId }, 'spar');
    return (id: number) => Promise.resolve(of.decode('instruction', bytesOf(id)));
  };

  test('is asked for once, however many records wait for it', async () => {
    const byId = vi.fn(() => Promise.resolve(schemaText('outcome')));
    const decode = decoding(byId);
    const asked = await Promise.allSettled([decode(5), decode(5), decode(5), decode(6)]);
    expect(asked.map(({ status }) => status)).not.toContain('fulfilled');
    expect(byId.mock.calls).toEqual([[5], [6]]);
    // What did not do is not remembered: it may be there the next time.
    await Promise.allSettled([decode(5)]);
    expect(byId).toHaveBeenCalledTimes(3);
  });

  test('and cannot be asked for is no fault of the record', async () => {
    const decode = decoding(() =>
      Promise.reject(new Unavailable('the registry cannot be reached')),
    );
    await expect(decode(5)).rejects.toMatchObject({
      name: 'Unavailable',
      message: 'the registry cannot be reached',
    });
  });

  test.each([
    ['the registry never gave out', new PermanentError('unknown-schema', 'no such')],
    ['is on a disk that is broken', new StorageError('other', 'broken')],
  ])('and %s says so itself', async (_name, error) => {
    await expect(decoding(() => Promise.reject(error))(5)).rejects.toBe(error);
  });
});

test('a record whose schema no parser of ours reads is lost for good, and says which it was', async () => {
  const foreign = createSerde(
    { ...registry, byId: () => Promise.resolve('{"type":"odd"}') },
    'spar',
  );
  await expect(
    Promise.resolve(foreign.decode('instruction', Buffer.from([0, 0, 0, 0, 5, 2]))),
  ).rejects.toMatchObject({
    code: 'decode',
    message: expect.stringContaining('schema 5') as unknown,
  });
});

test('a schema that does not fit what the log holds stops the start', async () => {
  await registry.register(
    'spar.other-value',
    '{"type":"record","name":"Instruction","namespace":"spar","fields":[{"name":"must","type":"int"}]}',
  );
  const other = topic('other', { schema: 'instruction', kept: 'forever', about: '' });
  await expect(serde.prepare([other])).rejects.toThrow(/spar\.other-value/);
});

test('whoever may not register finds the schema that this version writes, though another one is newer', async () => {
  const own = openSqliteRegistry({ file: ':memory:' });
  await createSerde(own, 'spar').prepare([topics.outcomes]);
  const schema = JSON.parse(schemaText('outcome')) as { fields: object[] };
  const newer = { ...schema, fields: [...schema.fields, { name: 'new', type: 'int', default: 0 }] };
  await own.register('spar.outcomes-value', JSON.stringify(newer));
  const registers = vi.spyOn(own, 'register');
  const worker = createSerde(own, 'spar');
  await worker.prepare([topics.outcomes], { register: false });
  expect(registers).not.toHaveBeenCalled();
  const bytes = worker.encode(topics.outcomes, outcome('i'));
  expect(await worker.decode('outcome', bytes)).toEqual(outcome('i'));
  await expect(worker.prepare([topics.pairs], { register: false })).rejects.toThrow(
    /spar\.preference-pairs-value .* `spar topics apply` registers it/,
  );
});

test('a record that an older version wrote gets the defaults of what is new', async () => {
  const id = await registry.register(
    'spar.old-value',
    JSON.stringify({
      type: 'record',
      name: 'Outcome',
      namespace: 'spar',
      fields: ['id', 'iteration', 'instruction_id'].map((name) => ({ name, type: 'string' })),
    }),
  );
  const bytes = Buffer.from([0, 0, 0, 0, id, 2, 97, 2, 98, 2, 99]);
  expect(await serde.decode('outcome', bytes)).toMatchObject({
    ...{ id: 'a', iteration: 'b', instruction_id: 'c' },
    ...{ tree: null, revision: 0 },
  });
});

describe('a producer without a registry', () => {
  const read = createSerde(registry, 'spar', plainReaders);
  const origin = { topic: 'spar.instructions', offset: 7, timestamp: 99, key: 'k' };
  const decode = (text: string | Uint8Array, from?: typeof origin) =>
    read.decode('instruction', typeof text === 'string' ? Buffer.from(text) : text, from);

  test('may write plain JSON, with the fields of a line of a file', () => {
    expect(decode('{"id":"a","prompt":"Say it.","constraints":[{"id":"c"}]}', origin)).toEqual({
      ...{ id: 'a', messages: [{ role: 'user', content: 'Say it.' }], responses: [], extra: '{}' },
      ...{ constraints: [{ id: 'c', arguments: '{}' }], judge_by: null },
      ...{ source: 'spar.instructions', source_line: 7, added_at: 99 },
    });
  });

  test.each([
    ['its own', '{"id":"a","prompt":"Say it."}', origin, 'a'],
    ["else the record's key", '{"prompt":"Say it."}', origin, 'k'],
    [
      'else a hash of its messages',
      '{"prompt":"Say it."}',
      { ...origin, key: null as never },
      idOf([{ role: 'user', content: 'Say it.' }]),
    ],
  ])('an id is %s', (_name, text, from, id) => {
    expect(decode(text, from)).toMatchObject({ id });
  });

  test.each([
    ['no JSON', 'hello', /not JSON/],
    ['no prompt', '{"text":"Say it."}', /needs `prompt` or `messages`/],
    ['no UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), /instruction/],
  ])('%s is refused, with what is wrong', (_name, text, words) => {
    expect(() => decode(text, origin)).toThrow(
      expect.objectContaining({ code: 'decode', message: expect.stringMatching(words) }),
    );
  });

  test('has that right for instructions alone', () => {
    expect(() => read.decode('outcome', Buffer.from('{"id":"a"}'))).toThrow(
      expect.objectContaining({ code: 'decode' }),
    );
  });
});
