import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import {
  cacheFolder,
  ensure,
  kafka,
  registry,
  type Artifact,
  type Lock,
} from '../../infra/cluster/artifacts.ts';
import { UsageError } from '../../infra/errors.ts';

let cache: string;
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), 'spar-cache-'));
});
afterEach(() => rmSync(cache, { recursive: true }));

const sum = (text: string): string => createHash('sha256').update(text).digest('hex');
const lock: Lock = { 'thing-1': { 'a.jar': sum('a'), 'lib/b.jar': sum('b') } };

/** Something that writes these files instead of fetching them. */
function thing(files: Readonly<Record<string, string>> = { 'a.jar': 'a', 'lib/b.jar': 'b' }) {
  const fetch = vi.fn(async (folder: string) => {
    await mkdir(join(folder, 'lib'));
    for (const [path, text] of Object.entries(files)) await writeFile(join(folder, path), text);
  });
  return { name: 'The thing 1', folder: 'thing-1', megabytes: 1, fetch } satisfies Artifact;
}
const silent = (): void => undefined;

test('is fetched once, and said so; later it is only verified', async () => {
  const said: string[] = [];
  const artifact = thing();
  for (let round = 0; round < 3; round++) {
    expect(await ensure(artifact, cache, (line) => said.push(line), lock)).toBe(
      join(cache, 'thing-1'),
    );
  }
  expect(artifact.fetch).toHaveBeenCalledTimes(1);
  expect(said).toEqual(['Fetching The thing 1 with mvn, 1 MB; once only']);
  expect(readdirSync(cache)).toEqual(['thing-1']);
});

test('two that need it at the same time both get it', async () => {
  await Promise.all([1, 2].map(() => ensure(thing(), cache, silent, lock)));
  expect(readdirSync(cache)).toEqual(['thing-1']);
});

test.each([
  ['another content', { 'a.jar': 'x', 'lib/b.jar': 'b' }, /a\.jar has the SHA-256 .* was expected/],
  ['a file that is not there', { 'a.jar': 'a' }, /lacks .*lib\/b\.jar/],
  ['a file too many', { 'a.jar': 'a', 'lib/b.jar': 'b', 'c.jar': 'c' }, /c\.jar does not belong/],
])('%s is refused before it counts as fetched', async (_name, files, reason) => {
  await expect(ensure(thing(files), cache, silent, lock)).rejects.toThrow(reason);
  expect(readdirSync(cache)).toEqual([]);
});

test('a file that was changed later is named, with the remedy, and the remedy works', async () => {
  const folder = await ensure(thing(), cache, silent, lock);
  writeFileSync(join(folder, 'lib/b.jar'), 'x');
  const refused = ensure(thing(), cache, silent, lock);
  await expect(refused).rejects.toThrow(`${join(folder, 'lib/b.jar')} has the SHA-256`);
  await expect(refused).rejects.toThrow(`delete ${folder} and start again`);
  await expect(refused).rejects.toBeInstanceOf(UsageError);
  rmSync(folder, { recursive: true });
  await expect(ensure(thing(), cache, silent, lock)).resolves.toBe(folder);
});

test('a fetch that fails leaves nothing that looks fetched', async () => {
  const failing = { ...thing(), fetch: () => Promise.reject(new Error('no network')) };
  await expect(ensure(failing, cache, silent, lock)).rejects.toThrow('no network');
  expect(readdirSync(cache)).toEqual([]);
});

test('a version that the lock does not know is refused, with the way to write the lock', async () => {
  await expect(ensure(thing(), cache, silent, {})).rejects.toThrow(/--rewrite-lock/);
});

test('the lock that we have knows what is run', async () => {
  for (const artifact of [kafka, registry]) {
    // Nothing is fetched: what is asked is whether the lock has the version's name.
    await expect(
      ensure({ ...artifact, fetch: () => Promise.resolve() }, cache, silent),
    ).rejects.toThrow(/lacks/);
  }
});

test.each([
  ['there is none', null, /mvn could not fetch .*ENOENT.*Maven 3 has to be installed/],
  ['it fails', 'echo "[ERROR] no such host"; exit 1', /ended with 1.*\n\[ERROR\] no such host/],
])('mvn, where %s, is named in the error', async (_name, script, reason) => {
  const folder = mkdtempSync(join(tmpdir(), 'spar-mvn-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  if (script !== null) {
    writeFileSync(join(folder, 'mvn'), `#!/bin/sh\n${script}\n`);
    chmodSync(join(folder, 'mvn'), 0o755);
  }
  vi.stubEnv('PATH', folder);
  onTestFinished(() => void vi.unstubAllEnvs());
  const fetched = ensure(kafka, cache, silent);
  await expect(fetched).rejects.toThrow(reason);
  await expect(fetched).rejects.toBeInstanceOf(UsageError);
  expect(readdirSync(cache)).toEqual([]);
});

test('the folder for fetched files is the one of the environment, or in the repository', () => {
  expect(cacheFolder({ SPAR_KAFKA_CACHE: cache })).toBe(cache);
  expect(cacheFolder({ SPAR_KAFKA_CACHE: '' })).toMatch(/\.cache$/);
  expect(existsSync(join(cacheFolder({}), '../package.json'))).toBe(true);
});
