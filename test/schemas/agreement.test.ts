import { readdirSync } from 'node:fs';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { topics } from '../../topology/topics.ts';
import { schemaOf, type AvroField, type AvroSchema } from './records.ts';

/**
 * The records as TypeScript has them and as Avro has them, both written down in one notation:
 * `string`, `number`, `boolean`, `bytes`, `T | null`, `T[]`, and the name of a record.
 */
const folder = new URL('../../schemas/', import.meta.url);
const program = ts.createProgram([new URL('records.ts', folder).pathname], { strict: true });
const checker = program.getTypeChecker();
const source = program.getSourceFile(new URL('records.ts', folder).pathname)!;

interface Property {
  readonly type: string;
  /** The values of a union of literals, empty for others. */
  readonly literals: readonly string[];
}

const interfaces = new Map(
  source.statements.filter(ts.isInterfaceDeclaration).map((declaration) => {
    const type = checker.getTypeAtLocation(declaration);
    const properties = type
      .getProperties()
      .map((property) => [property.name, propertyOf(checker.getTypeOfSymbol(property))] as const);
    return [declaration.name.text, new Map(properties)] as const;
  }),
);

function propertyOf(type: ts.Type): Property {
  const parts = type.isUnion() ? type.types : [type];
  const literals = parts.filter((part) => part.isStringLiteral()).map((part) => part.value);
  const names = new Set(parts.map(nameOfType));
  const nullable = names.delete('null');
  return { type: [...names].join(' or ') + (nullable ? ' | null' : ''), literals };
}

function nameOfType(type: ts.Type): string {
  if (type.flags & ts.TypeFlags.Null) return 'null';
  if (type.flags & ts.TypeFlags.StringLike) return 'string';
  if (type.flags & ts.TypeFlags.NumberLike) return 'number';
  if (type.flags & ts.TypeFlags.BooleanLike) return 'boolean';
  if (checker.isArrayType(type)) {
    const [items] = checker.getTypeArguments(type as ts.TypeReference);
    return `${propertyOf(items!).type}[]`;
  }
  const name = type.symbol.name;
  return name === 'Uint8Array' ? 'bytes' : name;
}

function nameOfSchema(schema: AvroSchema): string {
  if (typeof schema === 'string') {
    return ['int', 'long', 'double'].includes(schema) ? 'number' : schema;
  }
  if (Array.isArray(schema)) {
    const [first, second, ...more] = schema as readonly AvroSchema[];
    if (first !== 'null' || !second || more.length > 0) return 'a union other than ["null", T]';
    return `${nameOfSchema(second)} | null`;
  }
  const { type, name, items } = schema as Exclude<AvroSchema, string | readonly AvroSchema[]>;
  if (items) return `${nameOfSchema(items)}[]`;
  return name ?? nameOfSchema(type);
}

/** A record of a schema file, or one within it. */
interface AvroRecord {
  readonly file: string;
  readonly name: string;
  readonly doc: string;
  readonly fields: readonly AvroField[];
}

function recordsIn(file: string, schema: AvroSchema): AvroRecord[] {
  if (typeof schema === 'string') return [];
  if (Array.isArray(schema)) {
    return (schema as readonly AvroSchema[]).flatMap((branch) => recordsIn(file, branch));
  }
  const {
    name = '',
    doc = '',
    fields,
    items,
  } = schema as Exclude<AvroSchema, string | readonly AvroSchema[]>;
  const inner = [
    ...(items === undefined ? [] : [items]),
    ...(fields ?? []).map(({ type }) => type),
  ];
  const own = fields ? [{ file, name, doc, fields }] : [];
  return [...own, ...inner.flatMap((type) => recordsIn(file, type))];
}

const files = readdirSync(folder)
  .filter((name) => name.endsWith('.avsc'))
  .map((name) => name.replace('.avsc', ''));
const records = files.flatMap((file) => recordsIn(file, schemaOf(file)));

test('every topic has its schema, and every schema its topic', () => {
  expect(files.toSorted()).toEqual(
    [...new Set(Object.values(topics).map(({ schema }) => schema))].toSorted(),
  );
});

test('every interface is a record of some schema, and every record an interface', () => {
  const names = new Set(records.map(({ name }) => name));
  // These are what several records have in common; Avro has no such thing.
  const expected = [...interfaces.keys()].filter((name) => !['Spend', 'Savings'].includes(name));
  expect([...names].toSorted()).toEqual(expected.toSorted());
});

describe.each(records)('$name in $file.avsc', ({ file, name, doc, fields }) => {
  const properties = interfaces.get(name) ?? new Map<string, Property>();

  test('has the fields of the interface, with the same types', () => {
    expect(
      Object.fromEntries(fields.map((field) => [field.name, nameOfSchema(field.type)])),
    ).toEqual(Object.fromEntries([...properties].map(([field, { type }]) => [field, type])));
  });

  test('says what every field means, and the values of those that have few', () => {
    expect(doc).not.toBe('');
    for (const field of fields) {
      expect(field.doc, field.name).toMatch(/\S.*\.$/);
      for (const literal of properties.get(field.name)?.literals ?? []) {
        expect(field.doc, field.name).toContain(`\`${literal}\``);
      }
    }
  });

  test('has a default for every field but ids and messages', () => {
    const must = fields.filter((field) => !('default' in field)).map((field) => field.name);
    const allowed = ['id', 'node_id', 'parent_id', 'iteration', 'instruction_id', 'messages'];
    const message = name === 'Message' ? ['role', 'content'] : [];
    expect(must.filter((field) => ![...allowed, ...message].includes(field))).toEqual([]);
  });

  test('is named so that every reader takes it', () => {
    expect(file).toMatch(/^[a-z]+(_[a-z]+)*$/);
    for (const field of fields) expect(field.name).toMatch(/^[a-z]+(_[a-z]+)*$/);
  });
});

test('a record within several schemas is the same in each', () => {
  for (const [name, same] of Object.entries(Object.groupBy(records, (record) => record.name))) {
    const texts = new Set(same!.map(({ fields }) => JSON.stringify(fields)));
    expect(texts.size, name).toBe(1);
  }
});

test('moments are timestamp-millis', () => {
  const moments = records.flatMap(({ fields }) =>
    fields.filter(({ name }) => name.endsWith('_at')),
  );
  expect(moments.length).toBeGreaterThan(0);
  for (const { type } of moments) expect(type).toMatchObject({ logicalType: 'timestamp-millis' });
});
