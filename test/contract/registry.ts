import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { SchemaRegistry } from '../../infra/codec/registry.ts';

/** Each call opens the same registry anew, with nothing remembered from before. */
type OpenRegistry = () => Promise<{ registry: SchemaRegistry; dispose: () => Promise<void> }>;

const schema = (fields: readonly object[], name = 'Thing', more: object = {}): string =>
  JSON.stringify({ type: 'record', name, namespace: 'spar', ...more, fields });
const id = { name: 'id', type: 'string' };
const withDefault = { name: 'depth', type: 'int', default: 0 };
const withoutDefault = { name: 'depth', type: 'int' };

/** The specification of the registry: every adapter passes it. */
export function registryContract(name: string, open: OpenRegistry): void {
  describe(`${name} is a schema registry`, () => {
    let registry: SchemaRegistry;
    let dispose: () => Promise<void>;
    // A registry may be one that others use, too: each test has subjects of its own.
    let [a, b, other] = ['', '', ''];
    beforeEach(async () => {
      ({ registry, dispose } = await open());
      const run = randomUUID();
      [a, b, other] = [`a.${run}-value`, `b.${run}-value`, `other.${run}-value`];
    });
    afterEach(() => dispose());

    /** What another process sees. */
    async function reopened<Result>(look: (fresh: SchemaRegistry) => Promise<Result>) {
      const opened = await open();
      try {
        return await look(opened.registry);
      } finally {
        await opened.dispose();
      }
    }

    test('gives a text back by its id, to whoever registered it and to others', async () => {
      const given = await registry.register(a, schema([id]));
      expect(JSON.parse(await registry.byId(given))).toEqual(JSON.parse(schema([id])));
      const seen = await reopened((fresh) => fresh.byId(given));
      expect(JSON.parse(seen)).toEqual(JSON.parse(schema([id])));
    });

    test.each([
      [
        'docs',
        schema([{ ...id, doc: 'Its `id`: "ü", \\ and\nmore.' }], 'Thing', { doc: 'A thing.' }),
      ],
      ['defaults', schema([id, { ...withDefault, default: -1 }])],
      ['a default that is an object in quotes', schema([{ ...id, default: '{}' }])],
      [
        'a default with braces, quotes and backslashes',
        schema([{ ...id, default: '{"a":"\\u007b"}' }]),
      ],
      ['nullable fields', schema([{ name: 'parent', type: ['null', 'string'], default: null }])],
      [
        'records within lists',
        schema([
          {
            name: 'list',
            type: { type: 'array', items: JSON.parse(schema([id], 'Part')) as object },
            default: [],
          },
        ]),
      ],
      [
        'logical types',
        schema([
          { name: 'at', type: { type: 'long', logicalType: 'timestamp-millis' }, default: 0 },
        ]),
      ],
    ])('keeps %s', async (_name, text) => {
      const given = await registry.register(a, text);
      const expected: unknown = JSON.parse(text);
      expect(JSON.parse(await reopened((fresh) => fresh.byId(given)))).toEqual(expected);
      expect(JSON.parse((await registry.latest(a))?.schema ?? '')).toEqual(expected);
      expect(JSON.parse((await registry.byVersion(a, 1))?.schema ?? '')).toEqual(expected);
    });

    test('gives the same text the same id, under any subject, with any blanks, to anyone', async () => {
      const first = await registry.register(a, schema([id]));
      expect(await registry.register(a, schema([id]))).toBe(first);
      expect(await registry.register(b, ` ${schema([id])}\n`)).toBe(first);
      expect(await registry.register(b, schema([id, withDefault]))).not.toBe(first);
      expect(await reopened((fresh) => fresh.register(a, schema([id])))).toBe(first);
    });

    test('knows a text of a subject without registering it', async () => {
      expect(await registry.idOf(a, schema([id]))).toBeNull();
      expect(await registry.latest(a)).toBeNull();
      const first = await registry.register(a, schema([id]));
      await registry.register(a, schema([id, withDefault]));
      expect(await registry.idOf(a, ` ${schema([id])}\n`)).toBe(first);
      expect(await reopened((fresh) => fresh.idOf(a, schema([id])))).toBe(first);
      expect(await registry.idOf(a, schema([withDefault]))).toBeNull();
      // Another subject may have it, and this one does not.
      expect(await registry.idOf(b, schema([id]))).toBeNull();
      await expect(registry.idOf(a, 'not json')).rejects.toThrow();
    });

    test('makes one version of one text, however often and by how many it is registered', async () => {
      const ids = await Promise.all(
        Array.from({ length: 4 }, () =>
          reopened((fresh) => fresh.register(a, schema([id, withDefault]))),
        ),
      );
      expect(new Set(ids).size).toBe(1);
      await registry.register(a, JSON.stringify(JSON.parse(schema([id, withDefault])), null, 2));
      expect(await registry.latest(a)).toMatchObject({ id: ids[0], version: 1 });
    });

    test('makes a new version of a text with another default', async () => {
      const first = await registry.register(a, schema([id, withDefault]));
      const second = await registry.register(a, schema([id, { ...withDefault, default: 1 }]));
      expect(second).not.toBe(first);
      expect(await registry.latest(a)).toMatchObject({ id: second, version: 2 });
    });

    test('counts the versions of a subject from 1', async () => {
      await registry.register(other, schema([id], 'Other'));
      const first = await registry.register(a, schema([id]));
      expect(await registry.latest(a)).toMatchObject({ id: first, version: 1 });
      const second = await registry.register(a, schema([id, withDefault]));
      expect(await registry.byVersion(a, 1)).toMatchObject({ id: first, version: 1 });
      expect(await registry.latest(a)).toMatchObject({ id: second, version: 2 });
      // An old text that is registered again stays the version that it was.
      expect(await registry.register(a, schema([id]))).toBe(first);
      expect(await registry.latest(a)).toMatchObject({ id: second, version: 2 });
    });

    test('has nothing for a version or a subject that is not there', async () => {
      await registry.register(a, schema([id]));
      expect(await registry.byVersion(a, 2)).toBeNull();
      expect(await registry.byVersion(b, 1)).toBeNull();
      expect(await registry.latest(b)).toBeNull();
    });

    test('an id that it never gave out is a permanent error', async () => {
      await expect(registry.byId(47_110_815)).rejects.toMatchObject({
        name: 'PermanentError',
        code: 'unknown-schema',
        message: expect.stringContaining('47110815') as unknown,
      });
    });

    test('what is no schema is refused', async () => {
      await expect(registry.register(a, '{"type":"nonsense"}')).rejects.toThrow();
      await expect(registry.register(a, 'not json')).rejects.toThrow();
      await expect(registry.incompatibilities(a, '{"type":"nonsense"}')).rejects.toThrow();
      expect(await registry.latest(a)).toBeNull();
    });

    test.each([
      ['the same text', schema([id]), schema([id]), true],
      ['other docs', schema([id]), schema([{ ...id, doc: 'Its id.' }]), true],
      ['a field added with a default', schema([id]), schema([id, withDefault]), true],
      ['a field with a default taken away', schema([id, withDefault]), schema([id]), true],
      ['a field added without a default', schema([id]), schema([id, withoutDefault]), false],
      ['a field without a default taken away', schema([id, withoutDefault]), schema([id]), false],
      [
        'an int made a long',
        schema([withDefault]),
        schema([{ ...withDefault, type: 'long' }]),
        false,
      ],
      ['another record', schema([id]), schema([id], 'Other'), false],
    ])('%s: compatible is %s', async (_name, before, after, compatible) => {
      await registry.register(a, before);
      const reasons = await registry.incompatibilities(a, after);
      expect(reasons.length === 0).toBe(compatible);
      // A question registers nothing.
      expect(await registry.latest(a)).toMatchObject({ version: 1 });
    });

    test('says in sentences which version an incompatible schema does not fit, and why', async () => {
      await registry.register(a, schema([id]));
      await registry.register(a, schema([id, withDefault]));
      const reasons = await registry.incompatibilities(a, schema([{ name: 'must', type: 'int' }]));
      for (const version of [1, 2]) {
        const about = reasons.filter((reason) => reason.includes(`version ${version}`));
        expect(about.join('\n')).toMatch(/must/);
        expect(about.join('\n')).toMatch(/\bid\b/);
      }
      expect(reasons.every((reason) => !reason.includes('\n'))).toBe(true);
    });

    test('compatible means with every version, not only with the last', async () => {
      await registry.register(a, schema([{ name: 'depth', type: 'string', default: '' }]));
      await registry.register(a, schema([]));
      const reasons = await registry.incompatibilities(a, schema([withDefault]));
      expect(reasons.join('\n')).toMatch(/version 1\b/);
      expect(reasons.join('\n')).not.toMatch(/version 2\b/);
      expect(await registry.incompatibilities(b, schema([withDefault]))).toEqual([]);
    });
  });
}
