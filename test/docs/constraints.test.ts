import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ids } from '../../infra/constraints/index.ts';

const root = join(import.meta.dirname, '../..');
const page = readFileSync(join(root, 'docs/constraints.md'), 'utf8');

test('the example says what it prints', () => {
  const [, code = ''] = /^```js\n([\s\S]*?)^```/m.exec(page) ?? [];
  const printed = [...code.matchAll(/^console\.log.* \/\/ (.*)$/gm)].map(([, line]) => line);
  expect(printed.length).toBeGreaterThan(4);
  const entry = new URL('../../infra/constraints/index.ts', import.meta.url).href;
  const stdout = execFileSync(
    process.execPath,
    ['--input-type=module', '--eval', code.replace('spar/constraints', entry)],
    { encoding: 'utf8' },
  );
  expect(stdout.trimEnd().split('\n')).toEqual(printed);
});

test('every constraint has its row', () => {
  const rows = [...page.matchAll(/^\| `(\w+:[\w-]+)` /gm)].map(([, id]) => id);
  expect(rows.toSorted()).toEqual(ids.toSorted());
});
