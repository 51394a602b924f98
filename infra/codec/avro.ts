import { readFileSync } from 'node:fs';
import avro from 'avsc';
import { messageOf } from '../text.ts';

/**
 * Avro, as strict as data from outside needs it: this file is the one that knows avsc.
 *
 * Nullable unions are plain values, bytes are Buffers, longs are numbers and must be safe integers. A type writes
 * only records that have every field: a default is for readers of old data, never for a writer that forgot one.
 */
export interface AvroType {
  /** The record's full name, such as `spar.Instruction`. */
  readonly name: string;
  /**
   * Writes into `target` from `position` on; returns the end, or minus the missing bytes if it does not fit.
   *
   * @throws Error that names the value that does not fit its type.
   */
  write(value: unknown, target: Buffer, position: number): number;
  /**
   * @throws Error if the bytes from `position` on are not exactly one such value; costs no more memory than
   *   a small multiple of the bytes, whatever they are.
   */
  read(bytes: Uint8Array, position: number): unknown;
  /**
   * Reads what `writer` wrote as a value of this type.
   *
   * @throws Error if the two do not fit together.
   */
  resolver(writer: AvroType): (bytes: Uint8Array, position: number) => unknown;
}

/** @throws Error if the text is not an Avro schema. */
export function parseSchema(text: string): AvroType {
  const schema: unknown = JSON.parse(text);
  const type = typeOf(schema);
  const strict = typeOf(withoutDefaults(schema));
  const walk = walker(type, new Map());
  const parsed: AvroType = {
    name: type.name ?? type.typeName,
    write: (value, target, position) => strict.encode(value, target, position),
    read: (bytes, position) => readWith(bytes, position, type, walk),
    resolver(writer) {
      const written = internals.get(writer);
      if (!written) throw new Error('the writer is not a type of this file');
      const resolver = type.createResolver(written.type);
      return (bytes, position) => readWith(bytes, position, type, written.walk, resolver);
    },
  };
  internals.set(parsed, { type, walk });
  return parsed;
}

/** The text in one form, so that blanks make no new schema. Docs stay: they are the data dictionary. */
export const normalised = (text: string): string => JSON.stringify(JSON.parse(text));

/** The text of `schemas/<name>.avsc`, beside this file's folder in the source as in the built package. */
export const schemaText = (name: string): string =>
  readFileSync(new URL(`../../schemas/${name}.avsc`, import.meta.url), 'utf8');

/** Why records written with `writer` cannot be read with `reader`; null if they can. */
export function unreadable(reader: AvroType, writer: AvroType): string | null {
  if (reader.name !== writer.name) return `${reader.name} is not ${writer.name}`;
  try {
    reader.resolver(writer);
    return null;
  } catch (error) {
    const [read, written] = [internals.get(reader)?.type, internals.get(writer)?.type];
    const place = read && written ? misfit(read, written).join('.') : '';
    return `${messageOf(error)}${place === '' ? '' : ` (in ${place})`}`;
  }
}

/** The names that lead to the field that does not fit, which avsc does not say; none if it is the whole. */
function misfit(reader: avro.Type, writer: avro.Type): readonly string[] {
  const { RecordType, ArrayType } = avro.types;
  if (reader instanceof ArrayType && writer instanceof ArrayType) {
    return misfit(reader.itemsType, writer.itemsType);
  }
  if (!(reader instanceof RecordType && writer instanceof RecordType)) return [];
  for (const { name, type } of reader.fields) {
    const theirs = writer.fields.find((field) => field.name === name);
    if (theirs && !fits(type, theirs.type)) return [name, ...misfit(type, theirs.type)];
  }
  return [];
}

function fits(reader: avro.Type, writer: avro.Type): boolean {
  try {
    reader.createResolver(writer);
    return true;
  } catch {
    return false;
  }
}

/**
 * Why the type and an older version of it do not read each other, a sentence for each direction; empty if they do, as
 * FULL compatibility wants it.
 */
export function misfits(
  type: AvroType,
  { version, schema }: { readonly version: number; readonly schema: string },
): readonly string[] {
  const before = parseSchema(schema);
  const [back, forth] = [unreadable(type, before), unreadable(before, type)];
  return [
    ...(back === null ? [] : [`cannot read version ${version}: ${back}`]),
    ...(forth === null ? [] : [`version ${version} cannot read it: ${forth}`]),
  ];
}

/** avsc's side of a type, kept out of the interface so that nobody else depends on it. */
const internals = new WeakMap<AvroType, { readonly type: avro.Type; readonly walk: Walk }>();

const typeOf = (schema: unknown): avro.Type =>
  // Parsed JSON: avsc checks it, and throws if it is no schema.
  avro.Type.forSchema(schema as avro.Schema, {
    wrapUnions: 'never',
    omitRecordMethods: true,
    typeHook: (inner) => (isLong(inner) ? long : undefined),
  });

/** `timestamp-millis` and its like are longs, too. */
const isLong = (schema: unknown): boolean =>
  schema === 'long' ||
  (typeof schema === 'object' && schema !== null && 'type' in schema && schema.type === 'long');

function withoutDefaults(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withoutDefaults);
  if (typeof schema !== 'object' || schema === null) return schema;
  return Object.fromEntries(
    Object.entries(schema)
      .filter(([name]) => name !== 'default')
      .map(([name, value]) => [name, withoutDefaults(value)]),
  );
}

function readWith(
  bytes: Uint8Array,
  position: number,
  type: avro.Type,
  walk: Walk,
  resolver?: ReturnType<avro.Type['createResolver']>,
): unknown {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = walk(buffer, position);
  if (end !== buffer.length) {
    throw new Error(`${buffer.length - end} bytes are left over after the record`);
  }
  return type.decode(buffer, position, resolver).value;
}

/** Goes over one value without making it: returns its end, or throws before anything large can be made. */
type Walk = (buffer: Buffer, position: number) => number;

/**
 * The bytes come from outside, and avsc believes them: six hostile bytes of `array<int>` cost 1.4 GB, and an
 * `array<null>` ends the process. So every count and every length is held against the bytes that are there.
 */
function walker(type: avro.Type, known: Map<avro.Type, Walk>): Walk {
  const before = known.get(type);
  if (before) return before;
  // A type may contain itself: the inner one finds this, and calls what is made below.
  let walk: Walk = () => {
    throw new Error('the schema is still being read');
  };
  known.set(type, (buffer, position) => walk(buffer, position));
  walk = makeWalker(type, known);
  return walk;
}

function makeWalker(type: avro.Type, known: Map<avro.Type, Walk>): Walk {
  const { types } = avro;
  if (type instanceof types.RecordType) {
    const fields = type.fields.map((field) => walker(field.type, known));
    return (buffer, position) => {
      let end = position;
      for (const field of fields) end = field(buffer, end);
      return end;
    };
  }
  if (type instanceof types.ArrayType) return blocks(walker(type.itemsType, known));
  if (type instanceof types.MapType) {
    // avsc declares the type of a map's values as any.
    const values = walker(type.valuesType as avro.Type, known);
    return blocks((buffer, position) => values(buffer, sized(buffer, position)));
  }
  if (type instanceof types.UnwrappedUnionType) {
    return chosen(type.types.map((branch) => walker(branch, known)));
  }
  if (type instanceof types.EnumType) return chosen(type.symbols.map(() => fixed(0)));
  if (type instanceof types.FixedType) return fixed(type.size);
  const primitive = primitives[type.typeName];
  if (!primitive) throw new Error(`a type this codec does not read: ${type.typeName}`);
  return primitive;
}

const fixed =
  (size: number): Walk =>
  (buffer, position) => {
    const end = position + size;
    if (end > buffer.length) throw cutOff(position);
    return end;
  };

const sized: Walk = (buffer, position) => {
  const start = varintEnd(buffer, position);
  const length = varint(buffer, position, start);
  if (length < 0 || length > buffer.length - start) {
    throw new Error(
      `a length of ${length} at byte ${position}, with ${buffer.length - start} left`,
    );
  }
  return start + length;
};

const chosen =
  (branches: readonly Walk[]): Walk =>
  (buffer, position) => {
    const start = varintEnd(buffer, position);
    const index = varint(buffer, position, start);
    const branch = branches[index];
    if (!branch) throw new Error(`choice ${index} of ${branches.length} at byte ${position}`);
    return branch(buffer, start);
  };

/** Items that take no bytes are counted as one each: none of our schemas has such an array. */
const blocks =
  (item: Walk): Walk =>
  (buffer, position) => {
    let at = position;
    for (;;) {
      const start = varintEnd(buffer, at);
      const count = varint(buffer, at, start);
      if (count === 0) return start;
      // A negative count is followed by the size of the block, which only a skipping reader needs.
      const items = count < 0 ? varintEnd(buffer, start) : start;
      if (Math.abs(count) > buffer.length - items) {
        throw new Error(
          `${Math.abs(count)} items at byte ${at}, with ${buffer.length - items} left`,
        );
      }
      at = items;
      for (let left = Math.abs(count); left > 0; left--) at = item(buffer, at);
    }
  };

/** Bytes of a 64-bit number in Avro's variable-length form, at the most. */
const varintBytesMax = 10;

function varintEnd(buffer: Buffer, position: number): number {
  let at = position;
  for (;;) {
    const byte = buffer[at++];
    if (byte === undefined) throw cutOff(position);
    if (byte < 0x80) return at;
    if (at - position >= varintBytesMax)
      throw new Error(`a number without end at byte ${position}`);
  }
}

function intEnd(buffer: Buffer, position: number): number {
  const end = varintEnd(buffer, position);
  const value = varint(buffer, position, end);
  // avsc would hand out whatever number the bytes come to.
  if (value !== (value | 0)) throw new Error(`${value} is no 32-bit number, at byte ${position}`);
  return end;
}

/** Exact up to 2^53; larger ones lose digits, which does not matter to a bound. */
function varint(buffer: Buffer, start: number, end: number): number {
  const first = buffer[start] ?? 0;
  let magnitude = (first & 0x7f) >> 1;
  let factor = 64;
  for (let at = start + 1; at < end; at++) {
    magnitude += ((buffer[at] ?? 0) & 0x7f) * factor;
    factor *= 128;
  }
  return first & 1 ? -magnitude - 1 : magnitude;
}

const cutOff = (position: number): Error =>
  new Error(`the bytes end within the value at ${position}`);

const primitives: Readonly<Record<string, Walk>> = {
  null: (_buffer, position) => position,
  boolean: fixed(1),
  float: fixed(4),
  double: fixed(8),
  int: intEnd,
  'abstract:long': varintEnd,
  string: sized,
  bytes: sized,
};

/**
 * Longs as numbers, exact or refused. avsc's own lose the sign below -2^52 and digits above 2^52: it computes with
 * twice the value.
 */
const long = avro.types.LongType.__with(
  {
    isValid: (value: unknown) => Number.isSafeInteger(value),
    compare: (one: number, other: number) => Math.sign(one - other),
    toJSON: (value: number) => value,
    fromJSON: (value: number) => value,
    fromBuffer(buffer: Buffer): number {
      const value = varint(buffer, 0, buffer.length);
      if (!Number.isSafeInteger(value)) throw new Error(`a long of about ${value}: too large`);
      return value;
    },
    toBuffer(value: number): Buffer {
      const bytes: number[] = [];
      let magnitude = value < 0 ? -value - 1 : value;
      bytes.push(((magnitude % 64) << 1) | (value < 0 ? 1 : 0));
      magnitude = Math.floor(magnitude / 64);
      while (magnitude > 0) {
        bytes.push((bytes.pop() ?? 0) | 0x80, magnitude % 128);
        magnitude = Math.floor(magnitude / 128);
      }
      return Buffer.from(bytes);
    },
  },
  true,
);
