import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const textOf = (path: string): string => readFileSync(join(root, path), 'utf8');
const examples = globSync('examples/*.py', { cwd: root }).map(textOf);

/** `test/kafka/foreign.test.ts` runs the files, so what a page shows of them is true, too. */
test.each(
  [...textOf('docs/foreign-clients.md').matchAll(/^```python\n([\s\S]*?)^```/gm)].map(
    ([, code = ''], index) => ({ index, code }),
  ),
)('Python example $index is part of a file in examples/', ({ code }) => {
  expect(examples.some((text) => text.includes(code))).toBe(true);
});
