import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { SchemaRegistry } from '../../infra/codec/registry.ts';

type OpenRegistry = () => Promise<{ registry: SchemaRegistry; dispose: () => Promise<void> }>;

const schema = (fields: readonly object[], name = 'Thing'): string =>
  JSON.stringify({ type: 'record', name, namespace: 'spar', fields });
const id = { name: 'id', type: 'string' };
const withDefault = { name: 'depth', type: 'int', default: 0 };
const withoutDefault = { name: 'depth', type: 'int' };

/** The specification of the registry: every adapter passes it. */
export function registryContract(name: string, open: OpenRegistry): void {
  describe(`${name} is a schema registry`, () => {
    let registry: SchemaRegistry;
    let dispose: () => Promise<void>;
    beforeEach(async () => {
      ({ registry, dispose } = await open());
    });
    afterEach(() => dispose());

    test('gives a text back by its id', async () => {
      const given = await registry.register('a-value', schema([id]));
      expect(JSON.parse(await registry.byId(given))).toEqual(JSON.parse(schema([id])));
    });

    test('gives the same text the same id, under any subject and with any blanks', async () => {
      const first = await registry.register('a-value', schema([id]));
      expect(await registry.register('a-value', schema([id]))).toBe(first);
      expect(await registry.register('b-value', ` ${schema([id])}\n`)).toBe(first);
      expect(await registry.register('b-value', schema([id, withDefault]))).not.toBe(first);
    });

    test('counts the versions of a subject from 1', async () => {
      await registry.register('other-value', schema([id], 'Other'));
      const first = await registry.register('a-value', schema([id]));
      const second = await registry.register('a-value', schema([id, withDefault]));
      expect(await registry.byVersion('a-value', 1)).toMatchObject({ id: first, version: 1 });
      expect(await registry.latest('a-value')).toMatchObject({ id: second, version: 2 });
      expect(await registry.byVersion('a-value', 3)).toBeNull();
      expect(await registry.latest('c-value')).toBeNull();
    });

    test('an id that it never gave out is a permanent error', async () => {
      await expect(registry.byId(4711)).rejects.toMatchObject({
        name: 'PermanentError',
        code: 'unknown-schema',
      });
    });

    test('what is no schema is refused', async () => {
      await expect(registry.register('a-value', '{"type":"nonsense"}')).rejects.toThrow();
      await expect(registry.register('a-value', 'not json')).rejects.toThrow();
      expect(await registry.latest('a-value')).toBeNull();
    });

    test.each([
      ['the same text', schema([id]), schema([id]), true],
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
      await registry.register('a-value', before);
      expect((await registry.incompatibilities('a-value', after)).length === 0).toBe(compatible);
    });

    test('compatible means with every version, not only with the last', async () => {
      await registry.register('a-value', schema([{ name: 'depth', type: 'string', default: '' }]));
      await registry.register('a-value', schema([]));
      expect(await registry.incompatibilities('a-value', schema([withDefault]))).not.toEqual([]);
      expect(await registry.incompatibilities('new-value', schema([withDefault]))).toEqual([]);
    });
  });
}
