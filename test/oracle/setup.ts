import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { pythonIn, type Python } from '../support/python.ts';

export const cache = join(import.meta.dirname, '../../.cache/oracle');

export const script = (name: string): string => join(import.meta.dirname, name);

/** A Python with the benchmarks' own code, and a folder for what is handed to it; both are there once tests run. */
export function oracle(): { readonly folder: string; readonly python: Python } {
  const ready: { folder: string; python: Python | null } = { folder: '', python: null };
  beforeAll(async () => {
    await mkdir(cache, { recursive: true });
    ready.python = await pythonIn(join(cache, 'venv'), '-r', script('requirements.txt'));
    await ready.python(script('wheels.py'), [cache]);
    ready.folder = await mkdtemp(join(tmpdir(), 'spar-oracle-'));
  });
  afterAll(() => rm(ready.folder, { recursive: true, force: true }));
  return {
    get folder() {
      return ready.folder;
    },
    get python() {
      if (!ready.python) throw new Error('the oracle is not there before its tests run');
      return ready.python;
    },
  };
}
