import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openSqliteRegistry } from '../../infra/codec/sqlite-registry.ts';
import { registryContract } from '../contract/registry.ts';

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'spar-registry-'));
  file = join(folder, 'schemas.db');
});
afterEach(() => rm(folder, { recursive: true }));

registryContract('the registry on SQLite', () => {
  const registry = openSqliteRegistry({ file });
  return Promise.resolve({
    registry,
    dispose: () => {
      registry.close();
      return Promise.resolve();
    },
  });
});

const text = '{"type":"record","name":"A","fields":[]}';

test('a reader beside it knows what it knows, and registers nothing new', async () => {
  const writer = openSqliteRegistry({ file });
  const id = await writer.register('a-value', text);
  const reader = openSqliteRegistry({ file, readOnly: true });
  expect(await reader.byId(id)).toBe(text);
  expect(await reader.register('a-value', text)).toBe(id);
  await expect(reader.register('b-value', text)).rejects.toMatchObject({ code: 'read-only' });
  reader.close();
  writer.close();
});

test('ids outlive the process', async () => {
  const first = openSqliteRegistry({ file });
  const id = await first.register('a-value', text);
  first.close();
  const second = openSqliteRegistry({ file });
  expect(await second.register('a-value', text)).toBe(id);
  second.close();
});
