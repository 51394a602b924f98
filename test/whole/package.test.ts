import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { placeWith, simulator, spar, summaryIn, temporaryFolder } from './support.ts';

const root = join(import.meta.dirname, '../..');

test('the packed package, installed elsewhere, runs', async () => {
  const folder = temporaryFolder();
  const npm = (args: readonly string[], cwd: string) =>
    execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  // `npm pack` builds first; the name of the archive is its last line.
  const archive = npm(['pack', '--pack-destination', folder], root).trim().split('\n').at(-1) ?? '';
  writeFileSync(join(folder, 'package.json'), '{"private":true}');
  npm(['install', '--prefer-offline', '--no-audit', '--no-fund', join(folder, archive)], folder);
  const installed = join(folder, 'node_modules/spar');
  const binary = join(folder, 'node_modules/.bin/spar');
  expect(existsSync(join(installed, 'test'))).toBe(false);

  const checked = execFileSync(
    process.execPath,
    [
      '--input-type=module',
      '--eval',
      `import { check, checkLoose, describe, ids } from 'spar/constraints';
       const constraint = { id: 'punctuation:no_comma', kwargs: {} };
       const language = { id: 'language:response_language', kwargs: { language: 'de' } };
       console.log(JSON.stringify([
         ids.length,
         describe(constraint),
         check(constraint, 'Sure, here:\\nyes'),
         checkLoose(constraint, 'Sure, here:\\nyes').satisfied,
         check(language, 'Das alte Haus steht am Ufer des Flusses.').satisfied,
       ]));`,
    ],
    { cwd: folder, encoding: 'utf8' },
  );
  expect(JSON.parse(checked)).toEqual([
    81,
    'Do not use any commas.',
    { satisfied: false, detail: '1 comma; none allowed' },
    true,
    true,
  ]);

  const server = await simulator();
  const { args } = placeWith(5, server);
  const ended = await spar(args, undefined, binary).ended;
  expect(ended.stderr).not.toContain('Warning');
  expect(summaryIn(ended)).toMatchObject({ admitted: 5, complete: true });
});
