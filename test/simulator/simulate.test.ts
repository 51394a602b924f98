import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import { simulateCommand } from '../../infra/cli/simulate.ts';
import type { SimulatorLedger } from '../../infra/simulator/server.ts';
import { ask, contents, post, user } from './support.ts';

/** The command as a process of its own, as a user starts it. */
function simulate(...flags: readonly string[]) {
  const script = new URL('../../infra/bin/spar.js', import.meta.url).pathname;
  const child = spawn(process.execPath, [script, 'simulate', '--port', '0', ...flags], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, SIMULATOR_KEY: 'secret' },
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async () => String((await lines.next()).value);
  return { child, line };
}

test('says where it listens, and what was asked when it is interrupted', async () => {
  const { child, line } = simulate('--json', '--fail-rate', '1', '--api-key-env', 'SIMULATOR_KEY');
  const { url, model } = JSON.parse(await line()) as { url: string; model: string };
  expect(model).toBe('simulated');
  const headers = { authorization: 'Bearer secret' };
  const body = await ask({ url }, { n: 2, messages: [user('Describe a river.')] }, { headers });
  expect(contents(body)).toHaveLength(2);
  expect((await post({ url }, {})).status).toBe(401);
  child.kill('SIGINT');
  const { total } = JSON.parse(await line()) as SimulatorLedger;
  expect(total).toMatchObject({ asked: 2, answered: 1, refused: 1, generations: 2 });
  expect(await once(child, 'exit')).toEqual([0, null]);
});

test('without --json it speaks to people', async () => {
  const { child, line } = simulate();
  const [, url = ''] = /(http:\S+\/v1), model simulated/.exec(await line()) ?? [];
  await ask({ url });
  child.kill('SIGTERM');
  expect(await line()).toBe('');
  expect(await line()).toMatch(/^\s+asked\s+answered\s+generations/);
  expect(await line()).toMatch(/^sample\s+1\s+1\s+1\s+\d+\s+\d+$/);
});

test.each([
  ['a share above 1', ['--fail-rate', '1.5'], 'Expected a share from 0 to 1.'],
  ['faults that are more than all', ['--cut', '0.6', '--hang', '0.6'], 'add up to 1.2'],
  ['a key that is not there', ['--api-key-env', 'NO_SUCH_KEY'], 'NO_SUCH_KEY, which is not set'],
] as const)('%s is refused with exit code 2', async (_name, flags, message) => {
  const { child } = simulate(...flags);
  const errors: string[] = [];
  child.stderr.on('data', (text) => errors.push(String(text)));
  expect(await once(child, 'close')).toEqual([2, null]);
  expect(errors.join('')).toContain(message);
});

test('every flag says what it does, and its default', () => {
  const command = simulateCommand();
  const help = command.helpInformation();
  for (const { long, description, defaultValue } of command.options) {
    expect(help, long ?? '').toContain(long);
    expect(description).not.toBe('');
    const hasDefault = defaultValue !== undefined || description.includes('default: ');
    expect(hasDefault || ['--html', '--json'].includes(long ?? ''), long ?? '').toBe(true);
  }
});
