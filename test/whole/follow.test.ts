import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { chanceOf } from '../../infra/runtime/chance.ts';
import { filesIn, placeWith, simulator, spar, summaryIn, temporaryFolder } from './support.ts';

const settings = `export:
  formats: [llamafactory, trl, openrlhf, axolotl, huggingface, raw]
  sets: [preference, refiner_sft, actor_sft, steps, unpaired]
  test_share: 0.2
`;

const namesIn = (folder: string): readonly string[] =>
  existsSync(folder) ? [...filesIn(folder).keys()] : [];

const isComplete = (manifest: string): boolean =>
  (JSON.parse(readFileSync(manifest, 'utf8')) as { readonly complete: boolean }).complete;

test('a follower killed 20 times leaves the files of one that nobody disturbed', async () => {
  const config = join(temporaryFolder(), 'spar.yaml');
  writeFileSync(config, settings);
  const server = await simulator({ latencyMs: 60 });
  const more = ['--config', config, '--max-in-flight', '64'];
  const { args, home, out } = placeWith(80, server, more);
  const running = spar(args).ended;
  while (!existsSync(home)) await sleep(50);

  const followed = join(temporaryFolder(), 'followed');
  const follow = () =>
    spar([
      'export',
      '--home',
      home,
      '--out',
      followed,
      '--config',
      config,
      '--follow',
      '--every',
      '1',
    ]);
  const chance = chanceOf(1, 'kills', '');
  const manifest = join(followed, 'manifest.json');
  let stopped = 0;
  for (let kill = 0; kill < 20; kill += 1) {
    const { process: child, ended } = follow();
    // It takes half a second and more to begin; what matters is what it is killed in.
    const writing = `.writing-${child.pid}`;
    const isWriting = () =>
      [followed, join(followed, 'partial')].some((at) => existsSync(join(at, writing)));
    for (let waited = 0; waited < 2000 && !isWriting(); waited += 5) await sleep(5);
    await sleep(350 * chance(String(kill)));
    child.kill('SIGKILL');
    await ended;
    const names = namesIn(followed);
    if (isWriting()) stopped += 1;
    // The whole is there only once all of it was there to be written, and no file is half there.
    if (existsSync(manifest)) expect(isComplete(manifest)).toBe(true);
    for (const path of names.filter((name) => name.endsWith('l') && !name.includes('.writing-'))) {
      expect(readFileSync(join(followed, path), 'utf8').endsWith('\n'), path).toBe(true);
    }
  }
  expect(stopped).toBeGreaterThan(4);
  const { complete, pairs } = summaryIn(await running);
  expect(complete).toBe(true);
  expect(pairs).toBeGreaterThan(10);

  const last = follow();
  await expect.poll(() => existsSync(manifest), { timeout: 20_000 }).toBe(true);
  await expect.poll(() => existsSync(join(followed, 'partial')), { timeout: 20_000 }).toBe(false);
  last.process.kill('SIGINT');
  expect((await last.ended).stderr).toBe('');
  expect(filesIn(followed)).toEqual(filesIn(out));
});
