import { join } from 'node:path';
import { expect, test } from 'vitest';
import { spar, temporaryFolder } from './support.ts';

const demo = join(import.meta.dirname, '../../infra/scripts/demo.ts');

test('the demo explains itself, ends well, and shows a pair, its tree and where the files are', async () => {
  const folder = temporaryFolder();
  const { code, stdout } = await spar([folder], undefined, demo).ended;
  expect(code).toBe(0);
  for (const essential of [
    /sample .*five responses/,
    /52 instructions → \d+ preference pairs/,
    /From the rejected response to the chosen one/,
    /\[-.+-\]\{\+.+\+\}/,
    /★ │? .* 0\.\d\d|★ .*1\.00/,
    /llamafactory\/ and trl\//,
    /--model-url http:\/\/localhost:8000\/v1 --model NAME/,
  ]) {
    expect(stdout).toMatch(essential);
  }
}, 60_000);
