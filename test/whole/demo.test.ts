import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { spar, temporaryFolder } from './support.ts';

const demo = join(import.meta.dirname, '../../infra/scripts/demo.ts');

test('the demo explains itself, ends well, and shows a pair, its tree and where the files are', async () => {
  const folder = temporaryFolder();
  const { code, stdout, stderr } = await spar([folder], undefined, demo).ended;
  expect(stderr).not.toMatch(/error|warning/i);
  expect(code).toBe(0);
  const [, pairs = ''] = /52 instructions → (\d+) preference pairs/.exec(stdout) ?? [];
  expect(Number(pairs)).toBeGreaterThan(40);
  for (const essential of [
    // The method, in its order.
    /sample .*five responses.*\n.*judge .*five votes.*\n.*refine .*tree search.*\n.*pair .*"chosen".*"rejected"/,
    // What a failure looks like, and what became of it.
    /Broken\.[^]*Final Judgement: No\n/,
    /From the rejected response to the chosen one\nHere is my [^]*\[-.+-\]\{\+.+\+\}/,
    /\n★ │ .* 1\.00 /,
    // Where to go from here.
    /llamafactory\/ and trl\//,
    /--model-url http:\/\/localhost:8000\/v1 --model NAME/,
  ]) {
    expect(stdout).toMatch(essential);
  }
  expect(stdout).not.toMatch(/undefined|NaN|\[object/);
  const manifest = readFileSync(join(folder, 'out/manifest.json'), 'utf8');
  expect(manifest).toContain(pairs);
}, 60_000);

test('Ctrl-C ends the demo in good order, and leaves alone what is not its own', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'mine.txt'), '');
  const running = spar([folder], undefined, demo);
  while (!existsSync(join(folder, 'home/spar.log'))) await sleep(20);
  await sleep(1000);
  running.process.kill('SIGINT');
  const { code, stdout } = await running.ended;
  expect(code).toBe(130);
  expect(stdout).toContain('Not finished.');
  expect(stdout).toMatch(/The demo stopped early\. npm run demo begins again\.\n$/);
  expect(existsSync(join(folder, 'mine.txt'))).toBe(true);
}, 30_000);
