import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { UsageError } from '../../infra/errors.ts';
import { openSource } from '../../infra/input/source.ts';
import { chunked, collected } from './support.ts';

let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'spar-source-'));
  await mkdir(join(folder, 'a-folder'));
  await writeFile(join(folder, 'empty'), '');
  await writeFile(join(folder, 'full'), 'a\nb\n');
});

afterAll(() => rm(folder, { recursive: true }));

const textOf = async (chunks: AsyncIterable<Uint8Array>) =>
  Buffer.concat(await collected(chunks)).toString();

test.each([
  ['a file that is not there', 'missing', /missing: no such file; check the path/],
  ['a path through a file', 'full/missing', /no such file/],
  ['an empty file', 'empty', /is empty; it should hold one instruction a line/],
  ['a folder', 'a-folder', /is a folder; name a file in it/],
])('%s is a clear error', async (_name, path, message) => {
  const opened = openSource(join(folder, path));
  await expect(opened).rejects.toThrow(UsageError);
  await expect(opened).rejects.toThrow(message);
});

test('a file is read under its path', async () => {
  const path = join(folder, 'full');
  const source = await openSource(path);
  expect(source.name).toBe(path);
  expect(await textOf(source.chunks)).toBe('a\nb\n');
});

test('a dash is standard input', async () => {
  const source = await openSource('-', chunked(['a', 'b']));
  expect(source.name).toBe('standard input');
  expect(await textOf(source.chunks)).toBe('ab');
});
