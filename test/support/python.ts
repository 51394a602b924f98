import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const root = join(import.meta.dirname, '../..');
const run = promisify(execFile);

/** Runs a script, and hands back what it printed; rejects if it ends with another code than 0. */
export type Python = (
  script: string,
  args: readonly string[],
  env?: Readonly<Record<string, string>>,
) => Promise<string>;

/** A Python in the repository's own environment, with what pip's arguments name. */
export const pythonWith = (...wanted: readonly string[]): Promise<Python> =>
  pythonIn(join(root, '.venv'), ...wanted);

/**
 * A Python in an environment of its own, with what pip's arguments name. A missing Python, or one that cannot install
 * a library, fails here: it is never a reason to skip.
 */
export async function pythonIn(environment: string, ...wanted: readonly string[]): Promise<Python> {
  const python = join(environment, 'bin', 'python');
  if (!existsSync(python)) await run('python3', ['-m', 'venv', environment]);
  await run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...wanted]);
  return async (script, args, env = {}) => {
    const { stdout } = await run(python, [script, ...args], {
      env: { ...process.env, ...env },
      maxBuffer: 64 * 1024 * 1024,
    });
    return stdout;
  };
}
