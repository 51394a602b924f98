import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** `others` are OpenRLHF and axolotl, of which only what makes examples of rows runs without a GPU. */
export type Trainer = 'trl' | 'llamafactory' | 'others';

/** Where the executables of a trainer's environment are: `python`, and the trainer's own command. */
export type Bin = string;

const cache = join(import.meta.dirname, '../../.cache/trainers');

/** Slow mirrors take minutes for a library of CUDA; a stuck one must not hold a test for ever. */
const installMsMax = 30 * 60_000;

/**
 * A Python environment for a trainer, with the versions of its requirements file alone; from the cache if the file is
 * the same as then. PyTorch, most of the bytes, is installed once: the environments share it through a path file.
 *
 * Anything that is missing, Python 3.11 or a package, is an error: it is never a reason to skip.
 */
export async function environment(trainer: Trainer, progress: Progress): Promise<Bin> {
  const torch = await layer('torch', [], progress);
  // The others need little more than TRL does.
  const below = trainer === 'others' ? [torch, await layer('trl', [torch], progress)] : [torch];
  return join(await layer(trainer, below, progress), 'bin');
}

type Progress = (line: string) => void;

/** An environment with the packages of one requirements file, beside those of the layers below it. */
async function layer(name: string, below: readonly string[], progress: Progress): Promise<string> {
  const requirements = join(import.meta.dirname, `requirements-${name}.txt`);
  const hash = createHash('sha256').update(await readFile(requirements));
  const folder = join(cache, `${name}-${hash.update(below.join()).digest('hex').slice(0, 12)}`);
  // Written last, so that what was interrupted is begun anew.
  const finished = join(folder, 'finished');
  if (existsSync(finished)) return folder;

  await removeOthers(name);
  progress(`Installing ${name} for test:trainers (once, then from .cache/trainers) …`);
  const startedAt = performance.now();
  await run('python3.11', ['-m', 'venv', folder]);
  const pip = ['-m', 'pip', 'install', '--disable-pip-version-check', '--progress-bar', 'off'];
  await run(join(folder, 'bin/python'), [...pip, '--no-deps', '--requirement', requirements]);
  const packages = (environment: string): string =>
    join(environment, 'lib/python3.11/site-packages');
  await writeFile(join(packages(folder), 'below.pth'), below.map(packages).join('\n'));
  await writeFile(finished, '');
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  progress(`Installed ${name} in ${seconds} s.`);
  return folder;
}

/** What other requirements had made, and what was left half made: an environment is several GB. */
async function removeOthers(name: string): Promise<void> {
  await mkdir(cache, { recursive: true });
  for (const entry of await readdir(cache)) {
    if (entry.startsWith(`${name}-`)) await rm(join(cache, entry), { recursive: true });
  }
}

/** Runs it with all that it says on our standard error, since it may take minutes. */
async function run(command: string, args: readonly string[]): Promise<void> {
  const child = spawn(command, args, {
    stdio: ['ignore', process.stderr, process.stderr],
    timeout: installMsMax,
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  if (code !== 0) {
    throw new Error(`${command} ${args.join(' ')} ended with ${code ?? signal ?? 'no code'}`);
  }
}
