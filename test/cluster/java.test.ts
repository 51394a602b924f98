import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { UsageError } from '../../infra/errors.ts';
import { findJava } from '../../infra/cluster/java.ts';

/** A folder whose `bin/java` says this as its version. */
function javaThatSays(text: string): string {
  const home = mkdtempSync(join(tmpdir(), 'spar-java-'));
  onTestFinished(() => rmSync(home, { recursive: true }));
  mkdirSync(join(home, 'bin'));
  writeFileSync(join(home, 'bin/java'), `#!/bin/sh\necho '${text}' >&2\n`);
  chmodSync(join(home, 'bin/java'), 0o755);
  return home;
}
const PATH = process.env['PATH'];

test.each([
  'openjdk version "17.0.15" 2025-04-15',
  'openjdk version "21" 2023-09-19',
  'java version "25.0.1" 2025-10-21 LTS',
])('%s will do, where JAVA_HOME names it', async (text) => {
  const home = javaThatSays(text);
  expect(await findJava({ PATH, JAVA_HOME: home })).toBe(join(home, 'bin/java'));
});

test('without JAVA_HOME it is the one on the path', async () => {
  const home = javaThatSays('openjdk version "17.0.15"');
  expect(await findJava({ PATH: `${join(home, 'bin')}:${PATH}` })).toBe('java');
});

test.each([
  ['openjdk version "11.0.2" 2019-01-15', /is 11:/],
  ['java version "1.8.0_402"', /is 8:/],
  ['something else', /is 0:/],
])('%s is too old, and the message says what to do', async (text, reason) => {
  const found = findJava({ PATH, JAVA_HOME: javaThatSays(text) });
  await expect(found).rejects.toThrow(reason);
  await expect(found).rejects.toThrow(/Java 17 or newer.*JAVA_HOME/);
  await expect(found).rejects.toBeInstanceOf(UsageError);
});

test('none at all is said in a sentence', async () => {
  await expect(findJava({ PATH: '/nowhere' })).rejects.toThrow(/Java 17 or newer.*does not run/);
});
