import { fc } from '@fast-check/vitest';
import { schemaText } from '../../infra/codec/avro.ts';

export interface AvroField {
  readonly name: string;
  readonly type: AvroSchema;
  readonly doc?: string;
  readonly default?: unknown;
}

export type AvroSchema =
  | string
  | readonly AvroSchema[]
  | {
      readonly type: AvroSchema;
      readonly name?: string;
      readonly doc?: string;
      readonly fields?: readonly AvroField[];
      readonly items?: AvroSchema;
      readonly logicalType?: string;
    };

export const schemaOf = (name: string): AvroSchema => JSON.parse(schemaText(name)) as AvroSchema;

/** Any record that `schemas/<name>.avsc` allows. */
export const recordsOf = (name: string): fc.Arbitrary<unknown> => valuesOf(schemaOf(name));

function valuesOf(schema: AvroSchema): fc.Arbitrary<unknown> {
  if (typeof schema === 'string') return primitives[schema]!;
  if (Array.isArray(schema)) return fc.oneof(...(schema as readonly AvroSchema[]).map(valuesOf));
  const { type, fields, items } = schema as Exclude<AvroSchema, string | readonly AvroSchema[]>;
  if (fields) {
    return fc.record(
      Object.fromEntries(fields.map((field) => [field.name, valuesOf(field.type)])),
      {
        noNullPrototype: true,
      },
    );
  }
  if (items) return fc.array(valuesOf(items), { maxLength: 3 });
  return valuesOf(type);
}

// Well-formed text of all planes: a lone half of a surrogate pair has no bytes in UTF-8.
const text = fc.string({ unit: 'binary', maxLength: 20 });

const primitives: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  null: fc.constant(null),
  boolean: fc.boolean(),
  int: fc.integer(),
  long: fc.maxSafeInteger(),
  double: fc.double({ noNaN: true }),
  string: text,
  bytes: fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
};
