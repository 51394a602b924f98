import { fc, test as propertyTest } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { parseSchema, unreadable, type AvroType } from '../../infra/codec/avro.ts';

const parse = (schema: unknown): AvroType => parseSchema(JSON.stringify(schema));
const bytes = (...values: readonly number[]) => Uint8Array.from(values);
const record = (type: unknown, more: object = {}) =>
  parse({ type: 'record', name: 'R', fields: [{ name: 'x', type, ...more }] });

const write = (type: AvroType, value: unknown): Uint8Array => {
  const target = Buffer.alloc(1 << 16);
  return new Uint8Array(target.subarray(0, type.write(value, target, 0)));
};

/** 2^62 in Avro's variable-length form. */
const huge = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01] as const;
const array = (items: unknown) => ({ type: 'array', items });

describe('hostile bytes are refused before anything is made of them', () => {
  test.each([
    [
      'six bytes of array<int> that claim 2^27 items',
      array('int'),
      [0x80, 0x80, 0x80, 0x80, 0x01, 0],
    ],
    ['array<null>, whose items take no bytes', array('null'), [0x80, 0x80, 0x80, 0x80, 0x01, 0]],
    ['a block of minus 2^27 items', array('int'), [0xff, 0xff, 0xff, 0x7f, 0x00, 0x00]],
    ['a count of 2^62', array('int'), [...huge, 0]],
    ['a map with more entries than bytes', { type: 'map', values: 'null' }, [0x7e, 0x00, 0x00]],
    ['an array within an array', array(array('null')), [0x02, 0xfe, 0x01, 0x00, 0x00]],
    ['a string beyond the end', 'string', [0x08, 0x61]],
    ['a string of a negative length', 'string', [0x01]],
    ['bytes of 2^62', 'bytes', [...huge]],
    ['a number that never ends', 'long', Array.from({ length: 40 }, () => 0xff)],
    ['a number cut off', 'int', [0x80]],
    ['an int of more than 32 bits', 'int', [0x80, 0x80, 0x80, 0x80, 0x10]],
    ['a double cut off', 'double', [0, 0, 0]],
    ['a union branch that is not there', ['null', 'string'], [0x04]],
    ['a negative union branch', ['null', 'string'], [0x01]],
    ['an enum symbol that is not there', { type: 'enum', name: 'E', symbols: ['A'] }, [0x02]],
    ['a fixed value cut off', { type: 'fixed', name: 'F', size: 4 }, [1, 2]],
    ['nothing at all', 'boolean', []],
    ['bytes left over', 'int', [0x02, 0x00]],
    ['an array without its end', array('int'), [0x02, 0x02]],
  ])('%s', (_name, schema, hostile) => {
    expect(() => record(schema).read(bytes(...hostile), 0)).toThrow(/./);
  });

  test('a type that contains itself is refused without end, not followed', () => {
    const list = parse({
      type: 'record',
      name: 'List',
      fields: [{ name: 'next', type: ['null', 'List'] }],
    });
    expect(write(list, { next: { next: null } })).toEqual(bytes(2, 0));
    expect(list.read(bytes(2, 2, 0), 0)).toMatchObject({ next: { next: { next: null } } });
    expect(() => list.read(new Uint8Array(1 << 20).fill(2), 0)).toThrow();
  });

  propertyTest.prop([fc.uint8Array({ maxLength: 64 })])(
    'random bytes are a value or an error, and a value is no larger than they are',
    (random) => {
      const type = record(array(array('null')));
      try {
        const { x } = type.read(random, 0) as { readonly x: readonly (readonly null[])[] };
        expect(x.flat().length + x.length).toBeLessThanOrEqual(random.length);
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
        expect((error as Error).name).not.toBe('AssertionError');
      }
    },
  );
});

describe('values', () => {
  test.each([
    ['null in a union', ['null', 'string'], null],
    ['a string in a union, plain', ['null', 'string'], 'a'],
    ['a double in a union, plain', ['null', 'double'], 0.25],
    ['a moment, a number', { type: 'long', logicalType: 'timestamp-millis' }, 1_800_000_000_000],
    ['null where a long may be', ['null', 'long'], null],
    ['a long in a union, plain', ['null', 'long'], 5],
    ['bytes', 'bytes', Buffer.from([0, 255])],
    ['blocks with a size', array('int'), [1, 2, 3]],
  ])('%s: comes back as it was', (_name, schema, x) => {
    const type = record(schema);
    expect(type.read(write(type, { x }), 0)).toEqual({ x });
  });

  // avsc by itself gives 4503599627370496 for the negative of it less one.
  propertyTest.prop([fc.maxSafeInteger()])('every safe integer comes back exactly', (x) => {
    expect(record('long').read(write(record('long'), { x }), 0)).toEqual({ x });
  });

  test.each([
    ...[Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 2 ** 52, -(2 ** 52) - 1],
    ...[2 ** 31, -(2 ** 31) - 1, 64, 63, -64, -65, 0, -1],
  ])('the long %i has the bytes that the Avro specification gives it', (x) => {
    const zigzag = x < 0 ? -BigInt(x) * 2n - 1n : BigInt(x) * 2n;
    const expected: number[] = [];
    for (let rest = zigzag; ; rest >>= 7n) {
      expected.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
      if (rest <= 0x7fn) break;
    }
    expect([...write(record('long'), { x })]).toEqual(expected);
  });

  test('a long that no number holds exactly is refused', () => {
    expect(() => record('long').read(bytes(...huge), 0)).toThrow(/too large/);
  });

  test('an array in blocks that carry their size is read, too', () => {
    // Two items in a block of two bytes, then the end.
    expect(record(array('int')).read(bytes(0x03, 0x04, 0x02, 0x04, 0x00), 0)).toEqual({
      x: [1, 2],
    });
  });

  test.each([
    ['a number for a string', 'string', 1],
    ['a fraction for an int', 'int', 0.5],
    ['more than 32 bits for an int', 'int', 2 ** 31],
    ['an unsafe long', 'long', 2 ** 60],
    ['a string for a boolean', 'boolean', 'true'],
    ['null where nothing says so', 'string', null],
    ['an object for an array', array('int'), {}],
  ])('%s is not written', (_name, schema, x) => {
    expect(() => write(record(schema), { x })).toThrow(/./);
  });

  test('a missing field is not written, not even one with a default', () => {
    expect(() => write(record('int', { default: 3 }), {})).toThrow(/undefined/);
    expect(() => write(record(['null', 'int'], { default: null }), {})).toThrow(/undefined/);
  });
});

describe('old data', () => {
  const old = record('int');
  const now = parse({
    type: 'record',
    name: 'R',
    fields: [
      { name: 'x', type: 'int' },
      { name: 'y', type: 'string', default: 'new' },
    ],
  });

  test('gets the defaults of fields that it lacks', () => {
    expect(now.resolver(old)(write(old, { x: 1 }), 0)).toEqual({ x: 1, y: 'new' });
  });

  test('with new fields loses them', () => {
    expect(old.resolver(now)(write(now, { x: 1, y: 'a' }), 0)).toEqual({ x: 1 });
  });

  test('is bounded by its own schema', () => {
    expect(() => now.resolver(old)(bytes(0x02, 0x00), 0)).toThrow(/left over/);
  });

  test('of another record is not readable', () => {
    expect(unreadable(now, old)).toBeNull();
    expect(unreadable(old, parse({ type: 'record', name: 'S', fields: [] }))).toMatch(/is not/);
  });

  test('of another type is not readable, and the field that it is about is named, however deep', () => {
    expect(unreadable(record('int'), record('long'))).toBe('cannot read "long" as "int" (in x)');
    const deep = (type: string) =>
      record({
        type: 'array',
        items: { type: 'record', name: 'I', fields: [{ name: 'inner', type }] },
      });
    expect(unreadable(deep('int'), deep('long'))).toBe('cannot read "long" as "int" (in x.inner)');
    expect(unreadable(now, parse({ type: 'record', name: 'R', fields: [] }))).toMatch(/\bx\b/);
  });
});
