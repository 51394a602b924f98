import { PermanentError } from '../../processors/processor.ts';
import { UsageError } from '../errors.ts';
import { nameOnLog, type TopicInfo } from '../../topology/topology.ts';
import type { LogRecord } from '../log/log.ts';
import { parseSchema, schemaText, unreadable, type AvroType } from './avro.ts';
import type { SchemaRegistry } from './registry.ts';

/**
 * Records to bytes and back, in the wire format that every schema registry's tools read: a zero byte, the id of
 * the writer's schema (4 bytes, big-endian), the record in Avro. Types and resolvers are kept by schema id.
 */
export interface Serde {
  /**
   * Registers the schema of each topic under `<name on the log>-value`, or with `register: false` only looks for it
   * there; needed once before `encode`.
   *
   * @throws Error if a schema could not read, or be read by, all that the log already holds; UsageError if one is
   *   not there and may not be registered.
   */
  prepare(topics: readonly TopicInfo[], options?: { readonly register?: boolean }): Promise<void>;
  /**
   * @throws PermanentError with the code `encode` if it is no such record, or `too-large`.
   */
  encode(topic: Pick<TopicInfo, 'name'>, record: unknown): Uint8Array;
  /**
   * The record, as `schemas/<schema>.avsc` has it today; a promise of it only where the registry has to be asked.
   *
   * @param origin where the bytes come from, for what producers without a registry leave unsaid
   * @throws PermanentError with the code `decode`, `unknown-schema`, or `too-large` if its topic was prepared and takes
   *   no such record from us; Unavailable if the schema is not known here and the registry cannot be asked.
   */
  decode(schema: string, bytes: Uint8Array, origin?: RecordOrigin): unknown;
}

export type RecordOrigin = Pick<LogRecord, 'topic' | 'offset' | 'timestamp' | 'key'>;

/**
 * Reads what is not in the wire format at all, such as the JSON of a producer that has no registry.
 *
 * @throws Error if it is no such record; its message says why
 */
export type PlainReader = (text: string, origin: RecordOrigin | null) => unknown;

/** Like the brokers' own default. */
const bytesMaxDefault = 1024 * 1024;
const headerBytes = 5;
const magic = 0;

/** @param plain readers of plain values, by schema */
export function createSerde(
  registry: SchemaRegistry,
  pipeline: string,
  plain: Readonly<Record<string, PlainReader>> = {},
): Serde {
  const writers = new Map<string, Writer>();
  const readers = new Map<string, AvroType>();
  /** By the reader's schema and the writer's id: as many as the registry has, since others never get in. */
  const decoders = new Map<string, Decoder>();
  /** Those that the registry is being asked for: however many records wait for a schema, it is asked once. */
  const learning = new Map<string, Promise<Decoder>>();
  /** By the topic's name on the log. */
  const bytesMax = new Map<string, number>();
  let scratch = Buffer.alloc(64 * 1024);

  const readerOf = (schema: string): AvroType => {
    const reader = readers.get(schema) ?? parseSchema(schemaText(schema));
    readers.set(schema, reader);
    return reader;
  };

  async function learn(schema: string, id: number): Promise<Decoder> {
    const writer = writerOf(id, await registry.byId(id));
    const reader = readerOf(schema);
    const problem = unreadable(reader, writer);
    if (problem !== null) {
      throw new PermanentError('decode', `schema ${id} cannot be read as ${schema}: ${problem}`);
    }
    const decoder = reader.resolver(writer);
    decoders.set(`${schema}/${id}`, decoder);
    return decoder;
  }

  const learnOnce = (schema: string, id: number): Promise<Decoder> => {
    const key = `${schema}/${id}`;
    const asked = learning.get(key) ?? learn(schema, id).finally(() => learning.delete(key));
    learning.set(key, asked);
    return asked;
  };

  async function registered(subject: string, text: string): Promise<number> {
    const problems = await registry.incompatibilities(subject, text);
    if (problems.length === 0) return registry.register(subject, text);
    throw new Error(`the schema does not fit what ${subject} holds: ${problems.join('; ')}`);
  }

  /** Whoever only works needs no right to register; the version that this program knows need not be the latest. */
  async function lookedUp(subject: string, text: string): Promise<number> {
    const id = await registry.idOf(subject, text);
    if (id !== null) return id;
    throw new UsageError(
      `the registry does not hold the schema of ${subject} that this version writes: ` +
        '`spar topics apply` registers it',
    );
  }

  return {
    async prepare(topics, { register = true } = {}) {
      await Promise.all(
        topics.map(async (topic) => {
          const name = nameOnLog(pipeline, topic);
          const subject = `${name}-value`;
          const text = schemaText(topic.schema);
          const id = await (register ? registered(subject, text) : lookedUp(subject, text));
          writers.set(topic.name, {
            id,
            type: readerOf(topic.schema),
            bytesMax: topic.maxBytes ?? bytesMaxDefault,
          });
          bytesMax.set(name, topic.maxBytes ?? bytesMaxDefault);
        }),
      );
    },

    encode(topic, record) {
      const writer = writers.get(topic.name);
      if (!writer) throw new Error(`${topic.name} was not prepared`);
      let end = tryWrite(topic.name, writer, record, scratch);
      const bytes = end > 0 ? end : scratch.length - end;
      if (bytes > writer.bytesMax) {
        throw new PermanentError(
          'too-large',
          `a record for ${topic.name} has ${bytes} bytes, at most ${writer.bytesMax} are allowed`,
        );
      }
      if (end <= 0) {
        scratch = Buffer.alloc(bytes * 2);
        end = tryWrite(topic.name, writer, record, scratch);
      }
      return new Uint8Array(scratch.subarray(0, end));
    },

    decode(schema, bytes, origin) {
      const limit = bytesMax.get(origin?.topic ?? '') ?? Infinity;
      if (bytes.length > limit) {
        throw new PermanentError(
          'too-large',
          `a record of ${bytes.length} bytes, at most ${limit} are allowed`,
        );
      }
      const reader = plain[schema];
      if (reader && bytes.length > 0 && bytes[0] !== magic) {
        return decodePlain(reader, schema, bytes, origin ?? null);
      }
      const id = schemaIdOf(bytes);
      const decoder = decoders.get(`${schema}/${id}`);
      if (decoder) return decodeWith(decoder, schema, bytes);
      return learnOnce(schema, id).then((learnt) => decodeWith(learnt, schema, bytes));
    },
  };
}

interface Writer {
  readonly id: number;
  readonly type: AvroType;
  readonly bytesMax: number;
}

/** A registry takes schemas of others, too, and not all that one parser reads the next one does. */
function writerOf(id: number, text: string): AvroType {
  try {
    return parseSchema(text);
  } catch (error) {
    throw new PermanentError('decode', `schema ${id} cannot be read: ${textOf(error)}`, {
      cause: error,
    });
  }
}

type Decoder = (bytes: Uint8Array, position: number) => unknown;

/** The end of what was written, or minus the bytes that are missing. */
function tryWrite(topic: string, { id, type }: Writer, record: unknown, target: Buffer): number {
  target[0] = magic;
  target.writeUInt32BE(id, 1);
  try {
    return type.write(record, target, headerBytes);
  } catch (error) {
    throw new PermanentError('encode', `not a record of ${topic}: ${textOf(error)}`, {
      cause: error,
    });
  }
}

function schemaIdOf(bytes: Uint8Array): number {
  if (bytes.length < headerBytes || bytes[0] !== magic) {
    throw new PermanentError('decode', `not in the wire format: ${bytes.length} bytes`);
  }
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(1);
}

function decodePlain(
  reader: PlainReader,
  schema: string,
  bytes: Uint8Array,
  origin: RecordOrigin | null,
): unknown {
  try {
    return reader(utf8.decode(bytes), origin);
  } catch (error) {
    throw new PermanentError('decode', `not a ${schema}: ${textOf(error)}`, { cause: error });
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function decodeWith(decoder: Decoder, schema: string, bytes: Uint8Array): unknown {
  try {
    return decoder(bytes, headerBytes);
  } catch (error) {
    throw new PermanentError('decode', `not a ${schema}: ${textOf(error)}`, { cause: error });
  }
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
