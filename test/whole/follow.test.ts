import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { chanceOf } from '../../infra/runtime/chance.ts';
import {
  filesIn,
  placeWith,
  simulator,
  spar,
  summaryIn,
  temporaryFolder,
  type Running,
} from './support.ts';

const settings = `export:
  formats: [llamafactory, trl, openrlhf, axolotl, huggingface, raw]
  sets: [preference, refiner_sft, actor_sft, steps, unpaired]
  test_share: 0.2
  shard_rows: 2
`;

/** A follower of a home, into a folder of its own. */
interface Follower {
  readonly out: string;
  readonly start: () => Running;
}

function followerOf(home: string, config: string, ...more: readonly string[]): Follower {
  const out = join(temporaryFolder(), 'followed');
  const args = ['export', '--home', home, '--out', out, '--config', config, '--follow'];
  return { out, start: () => spar([...args, '--every', '1', ...more]) };
}

const manifestOf = ({ out }: Follower): string => join(out, 'manifest.json');

/** Kills it again and again, at random moments of its writing; returns how often it was about to. */
async function disturbed(follower: Follower, kills: number): Promise<number> {
  const { out, start } = follower;
  const chance = chanceOf(1, 'kills', '');
  let writing = 0;
  for (let kill = 0; kill < kills; kill += 1) {
    const { process: child, ended } = start();
    const isWriting = () =>
      [out, join(out, 'partial'), join(out, 'shards')].some((at) =>
        existsSync(join(at, `.writing-${child.pid}`)),
      );
    // It takes half a second and more to begin; what matters is what it is killed in.
    for (let waited = 0; waited < 2000 && !isWriting(); waited += 5) await sleep(5);
    await sleep(350 * chance(String(kill)));
    child.kill('SIGKILL');
    await ended;
    if (isWriting()) writing += 1;
    expectNothingHalf(follower);
  }
  return writing;
}

/** No file is half there, and the whole is there only once all of it was there to be written. */
function expectNothingHalf(follower: Follower): void {
  if (!existsSync(follower.out)) return;
  for (const [path, text] of filesIn(follower.out)) {
    if (path.includes('.writing-')) continue;
    if (path.endsWith('.json')) expect(JSON.parse(text), path).toBeTypeOf('object');
    if (path.endsWith('.jsonl')) expect(text.endsWith('\n'), path).toBe(true);
  }
  if (!existsSync(manifestOf(follower))) return;
  expect(JSON.parse(readFileSync(manifestOf(follower), 'utf8'))).toMatchObject({ complete: true });
}

/** Lets it finish undisturbed. */
async function finished(follower: Follower): Promise<ReadonlyMap<string, string>> {
  const last = follower.start();
  const isDone = () =>
    existsSync(manifestOf(follower)) &&
    [...filesIn(follower.out).keys()].every((path) => !/^partial|\.writing|\.pub/.test(path));
  await expect.poll(isDone, { timeout: 20_000 }).toBe(true);
  last.process.kill('SIGINT');
  expect((await last.ended).stderr).toBe('');
  return filesIn(follower.out);
}

test('a follower killed 20 times leaves the files of one that nobody disturbed', async () => {
  const config = join(temporaryFolder(), 'spar.yaml');
  writeFileSync(config, settings);
  const server = await simulator({ latencyMs: 60 });
  const more = ['--config', config, '--max-in-flight', '64'];
  const { args, home, out } = placeWith(80, server, more);
  const running = spar(args).ended;
  while (!existsSync(home)) await sleep(50);

  const follower = followerOf(home, config);
  expect(await disturbed(follower, 20)).toBeGreaterThan(4);
  const { complete, pairs } = summaryIn(await running);
  expect(complete).toBe(true);
  expect(pairs).toBeGreaterThan(10);
  expect(await finished(follower)).toEqual(filesIn(out));
});

test('so does one that writes shards: each pair is in one of them, and none was written twice', async () => {
  const config = join(temporaryFolder(), 'spar.yaml');
  writeFileSync(config, settings);
  const { args, home, out } = placeWith(60, await simulator(), ['--config', config]);
  await spar(args).ended;

  const follower = () => followerOf(home, config, '--shards', '--format', 'trl', 'huggingface');
  const undisturbed = await finished(follower());
  const linesIn = (names: RegExp) =>
    [...undisturbed]
      .filter(([path]) => names.test(path))
      .flatMap(([, text]) => text.trimEnd().split('\n'))
      .toSorted();
  const lines = linesIn(/^trl\/preference\//);
  expect(lines.length).toBeGreaterThan(20);
  expect(linesIn(/^shards\/trl\/preference\//)).toEqual(lines);
  for (const [path, text] of filesIn(out)) {
    if (path.startsWith('trl/')) expect(undisturbed.get(path), path).toBe(text);
  }

  const followers = [follower(), follower()];
  const writing = await Promise.all(followers.map((one) => disturbed(one, 10)));
  expect(writing[0]! + writing[1]!).toBeGreaterThan(4);
  for (const one of followers) expect(await finished(one)).toEqual(undisturbed);
});
