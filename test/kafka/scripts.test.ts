import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, inject, onTestFinished, test } from 'vitest';
import { isRunning, type Marked } from '../../infra/cluster/guard.ts';
import { spar, temporaryFolder, type Ended, type Running } from '../whole/support.ts';
import { adminOf, kafkaAt, until } from './support.ts';

const script = join(import.meta.dirname, '../../infra/scripts/kafka.ts');
const start = (...args: readonly string[]): Running => spar(args, undefined, script);
const kafka = (...args: readonly string[]): Promise<Ended> => start(...args).ended;

/** A folder to start in, with free ports; what was started there has ended when the test has. */
function place() {
  const folder = join(temporaryFolder(), 'cluster');
  onTestFinished(async () => {
    await kafka('down', '--folder', folder);
  });
  const ports = ['--port', '0', '--registry-port', '0'];
  return {
    folder,
    up: () => kafka('up', '--folder', folder, ...ports),
    down: (...args: readonly string[]) => kafka('down', '--folder', folder, ...args),
    started: () =>
      JSON.parse(readFileSync(join(folder, 'running.json'), 'utf8')) as {
        readonly brokers: string;
        readonly registry: string;
        readonly processes: readonly Marked[];
      },
  };
}

describe('kafka:up and kafka:down', () => {
  test('start both, leave them running, say how to reach them, and end them', async () => {
    const { folder, up, down, started } = place();
    const upped = await up();
    expect(upped).toMatchObject({ code: 0 });
    const { brokers, registry, processes } = started();
    expect(upped.stdout).toContain(`--brokers ${brokers} --registry ${registry}`);
    expect(upped.stdout).toContain(`npm run kafka:down -- --folder ${folder}`);
    const admin = await adminOf(kafkaAt(brokers));
    await admin.createTopics({ topics: [{ topic: 'mine' }] });
    const registered = await fetch(`${registry}/subjects/a-value/versions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ schema: '{"type":"record","name":"A","fields":[]}' }),
    });
    expect(registered.ok).toBe(true);

    const again = await up();
    expect(again).toMatchObject({ code: 0 });
    expect(again.stdout).toContain('running already');
    expect(started().processes).toEqual(processes);

    expect(await down()).toMatchObject({ code: 0, stdout: 'Both have ended.\n' });
    expect(processes.some(isRunning)).toBe(false);
    expect(await down()).toMatchObject({
      code: 0,
      stdout: `Nothing was running from ${folder}.\n`,
    });

    // Topics, and the ids of schemas that records carry, are there the next time.
    expect(await up()).toMatchObject({ code: 0 });
    const next = started();
    expect(await (await adminOf(kafkaAt(next.brokers))).listTopics()).toContain('mine');
    expect(await (await fetch(`${next.registry}/subjects`)).json()).toEqual(['a-value']);

    writeFileSync(join(folder, 'mine.txt'), '');
    expect(await down('--delete')).toMatchObject({ code: 0 });
    expect(existsSync(join(folder, 'broker'))).toBe(false);
    expect(existsSync(join(folder, 'registry'))).toBe(false);
    expect(existsSync(join(folder, 'mine.txt'))).toBe(true);
  });

  test('one that has ended is said, and down ends the other', async () => {
    const { up, down, started } = place();
    await up();
    const [broker, registry] = started().processes;
    process.kill(broker!.pid, 'SIGKILL');
    await until('the broker has ended', () => !isRunning(broker!));
    const again = await up();
    expect(again).toMatchObject({ code: 2 });
    expect(again.stderr).toMatch(/has ended: npm run kafka:down ends the other/);
    await down();
    expect(isRunning(registry!)).toBe(false);
  });

  test('an interrupted start leaves nothing running', async () => {
    const { folder, up, started } = place();
    const running = start('up', '--folder', folder, '--port', '0', '--registry-port', '0');
    await until('the broker is starting', () => existsSync(join(folder, 'broker/output.log')));
    running.process.kill('SIGINT');
    expect(await running.ended).toMatchObject({ signal: 'SIGINT' });
    expect(started).toThrow(/ENOENT/);
    // Were it still there, a second one could not have the folder.
    expect(await up()).toMatchObject({ code: 0 });
  });

  test('down ends no process that has only got the id of ours', async () => {
    const { folder, down } = place();
    mkdirSync(folder, { recursive: true });
    const stale = {
      ...{ brokers: '', registry: '' },
      processes: [{ pid: process.pid, mark: '-Dspar.started=long-ago' }],
    };
    writeFileSync(join(folder, 'running.json'), JSON.stringify(stale));
    expect(await down()).toMatchObject({
      code: 0,
      stdout: `Nothing was running from ${folder}.\n`,
    });
    expect(existsSync(join(folder, 'running.json'))).toBe(false);
  });

  test.each([
    [
      'a port in use',
      ['--port', inject('brokers').split(':')[1]!],
      /wants port \d+, which is in use/,
    ],
    ['a flag that is none', ['--nonsense'], /unknown option/],
    ['a port that is no number', ['--port', 'many'], /whole number/],
  ])('%s ends with a sentence', async (_name, args, reason) => {
    const { folder } = place();
    const ended = await kafka('up', '--folder', folder, ...args);
    expect(ended.stderr).toMatch(reason);
    expect(ended.code).toBe(2);
  });

  test('--help teaches', async () => {
    const { code, stdout } = await kafka('up', '--help');
    expect(code).toBe(0);
    for (const essential of [/Java 17/, /mvn/, /SPAR_KAFKA_CACHE/, /npm run kafka:down/]) {
      expect(stdout).toMatch(essential);
    }
  });
});
