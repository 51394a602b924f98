import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { startSimulator } from '../../infra/simulator/server.ts';
import type { Simulator } from '../../infra/simulator/server.ts';
import type { PreferencePair } from '../../schemas/records.ts';
import { filesIn, placeIn, placeWith, spar, type Ended, type Place } from '../whole/support.ts';
import { freshPrefix } from './logs.ts';

/** How each command finds the pipeline of a test. */
const clusterFlags = (pipeline: string, home: string): readonly string[] => [
  ...['--brokers', inject('brokers'), '--registry', inject('registryUrl')],
  ...['--pipeline', pipeline, '--home', home],
];

async function done(args: readonly string[]): Promise<Ended> {
  const ended = await spar(args).ended;
  if (ended.code !== 0) throw new Error(`spar ${args.join(' ')}\n${ended.stderr}${ended.stdout}`);
  return ended;
}

/** A worker that is stopped, or has ended, when the test is over. */
function worker(args: readonly string[]) {
  const { process, ended } = spar(['worker', ...args]);
  onTestFinished(async () => {
    if (process.exitCode === null) process.kill('SIGKILL');
    await ended;
  });
  return { process, ended };
}

/** What it says on standard error, once it says it. */
async function said(process: ReturnType<typeof spar>['process'], pattern: RegExp): Promise<string> {
  let text = '';
  for (;;) {
    const [chunk] = (await once(process.stderr!, 'data')) as [string];
    text += chunk;
    const [, found] = pattern.exec(text) ?? [];
    if (found !== undefined) return found;
  }
}

async function untilComplete(flags: readonly string[]): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const { code, stdout } = await spar(['status', ...flags, '--json']).ended;
    if (code === 0 && (JSON.parse(stdout) as { readonly complete: boolean }).complete) return;
    await sleep(300);
  }
  throw new Error('it was not complete in time');
}

async function pairsOf(flags: readonly string[]): Promise<readonly PreferencePair[]> {
  const { stdout } = await done(['tap', 'preference-pairs', ...flags, '--json']);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { readonly value: PreferencePair }).value)
    .toSorted((one, other) => (one.id < other.id ? -1 : 1));
}

/** Everything but what asking cost: a journaled answer costs nothing the second time. */
const withoutCost = ({
  id,
  messages,
  chosen,
  rejected,
  path,
  critiques,
}: Record<string, unknown>) => ({
  ...{ id, messages, chosen, rejected, path, critiques },
});

const instructions = 60;

describe('a pipeline, from its topics to its exports', () => {
  const pipeline = freshPrefix();
  let folder: string;
  let simulator: Simulator;
  let place: Place;
  let flags: readonly string[];
  let model: readonly string[];

  beforeAll(async () => {
    simulator = await startSimulator({});
    model = ['--model-url', simulator.url, '--model', 'simulated'];
    folder = mkdtempSync(join(tmpdir(), 'spar-commands-'));
    place = placeIn(folder, instructions, simulator, ['--pipeline', pipeline]);
    flags = clusterFlags(pipeline, join(folder, 'cluster'));
    return async () => {
      await simulator.close();
      rmSync(folder, { recursive: true, force: true });
    };
  });

  test('is worked on by three processes, with the pairs of a run on one machine', async () => {
    expect((await spar(['worker', ...flags, ...model]).ended).stderr).toMatch(
      new RegExp(`pipeline ${pipeline} has no topics .*spar topics apply .*--pipeline ${pipeline}`),
    );
    await done(['topics', 'apply', '--partitions', '6', ...flags.slice(0, 6)]);
    await done(['topics', 'check', ...flags.slice(0, 6)]);

    const first = worker([...flags, ...model, '--health-port', '0']);
    const health = await said(first.process, /Health: (\S+)/);
    const others = [worker([...flags, ...model]), worker([...flags, ...model])];
    const { stdout } = await done(['ingest', place.file, ...flags]);
    expect(stdout).toContain(`${instructions} instructions of`);
    expect((await done(['ingest', place.file, ...flags])).stdout).toContain(`0 instructions of`);
    await untilComplete(flags);
    expect((await fetch(health)).status).toBe(200);
    expect((await fetch(health.replace('readyz', 'healthz'))).status).toBe(200);

    await done(place.args);
    const [ours, alone] = [
      await pairsOf(flags),
      await pairsOf(['--home', place.home, '--pipeline', pipeline]),
    ];
    expect(ours.length).toBeGreaterThan(instructions / 2);
    expect(ours.map((pair) => withoutCost({ ...pair }))).toEqual(
      alone.map((pair) => withoutCost({ ...pair })),
    );

    for (const { process } of [first, ...others]) process.kill('SIGTERM');
    for (const { ended } of [first, ...others]) {
      expect(await ended).toMatchObject({ code: 0, stdout: expect.stringContaining('Stopped.') });
    }
  });

  test('is what spar doctor finds fault with where topics or schemas are missing', async () => {
    const fine = await done(['doctor', ...flags, ...model]);
    expect(fine.stdout).toMatch(/✓ brokers \S+: the topics are as they should be/);
    expect(fine.stdout).toMatch(/✓ registry \S+: holds all schemas/);
    const other = [...clusterFlags(freshPrefix(), join(folder, 'other')), ...model];
    const { code, stdout } = await spar(['doctor', ...other]).ended;
    expect(code).toBe(1);
    expect(stdout).toMatch(/✗ brokers .* has no topics .*spar topics apply/);
    expect(stdout).toMatch(/✗ registry .*spar topics apply.* registers it/);
  });

  test('can be looked at with every command', async () => {
    const status = await done(['status', ...flags, '--partitions']);
    expect(status.stdout).toContain(`${instructions} of ${instructions} ended`);
    expect((await done(['pair', ...flags])).stdout).toContain('rejected');
    expect((await done(['tree', ...flags])).stdout).toContain('nodes judged');
    const tapped = await done(['tap', 'outcomes', ...flags, '--json']);
    expect(tapped.stdout.trim().split('\n')).toHaveLength(instructions);
    expect((await spar(['dead-letters', 'list', ...flags]).ended).stderr).toContain(
      'there are no dead letters',
    );
    const out = join(folder, 'exported');
    await done(['export', ...flags, '--out', out]);
    // The same content at other offsets: the same bytes as from the home of one machine, but for where they lay.
    const withoutPlaces = (folder: string) =>
      [...filesIn(folder)].map(([path, text]) => [
        path,
        path === 'manifest.json' ? { ...(JSON.parse(text) as object), read: null } : text,
      ]);
    expect(withoutPlaces(out)).toEqual(withoutPlaces(place.out));
  });

  test('can be run by spar run, which finds all of it done', async () => {
    const asked = (await (await fetch(new URL('/ledger', simulator.url))).json()) as Ledger;
    const out = join(folder, 'run');
    const args = ['run', place.file, ...flags, ...model, '--out', out, '--json'];
    const { stdout } = await done(args);
    expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({
      complete: true,
      thisRun: { admitted: 0 },
    });
    expect(filesIn(out)).toEqual(filesIn(join(folder, 'exported')));
    const again = (await (await fetch(new URL('/ledger', simulator.url))).json()) as Ledger;
    expect(again.total.asked - asked.total.asked).toBeLessThanOrEqual(3);
  });

  test('has taken out of its exports what people do not want, until they do', async () => {
    const [pair, other] = await pairsOf(flags);
    const exported = async (name: string) => {
      const out = join(folder, name);
      await done(['export', ...flags, '--out', out]);
      const files = new Map(filesIn(out));
      files.delete('manifest.json');
      return files;
    };
    const before = await exported('before');
    const why = ['--who', 'ada', '--why', 'wrong'];
    await done(['reject', pair!.id, ...flags, ...why]);
    await done(['purge', other!.instruction_id, ...flags, ...why]);
    const without = await exported('without');
    const rejected = (without.get('rejected.jsonl') ?? '')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Readonly<Record<string, string>>);
    expect(rejected).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ id: pair!.id, reason: 'rejected-by-hand', detail: 'ada: wrong' }),
        expect.objectContaining({ id: other!.id, reason: 'purged' }),
      ]),
    );
    await done(['reject', pair!.id, ...flags, '--undo', ...why]);
    await done(['purge', other!.instruction_id, ...flags, '--undo', ...why]);
    expect(await exported('after')).toEqual(before);
  });
});

test('a home that was copied goes on where it was', async () => {
  const simulator = await startSimulator({});
  onTestFinished(() => simulator.close());
  const pipeline = freshPrefix();
  const place = placeWith(12, simulator, ['--pipeline', pipeline]);
  const model = ['--model-url', simulator.url, '--model', 'simulated'];
  await done([...place.args, '--limit', '8']);
  const flags = clusterFlags(pipeline, place.home);
  expect((await spar(['copy', ...flags]).ended).stderr).toContain('spar topics apply');
  await done(['topics', 'apply', '--partitions', '3', ...flags.slice(0, 6)]);
  expect((await done(['copy', ...flags])).stdout).toContain('6 groups stand where they stood');
  expect(await pairsOf(flags)).toEqual(
    await pairsOf(['--home', place.home, '--pipeline', pipeline]),
  );

  const { total } = (await (await fetch(new URL('/ledger', simulator.url))).json()) as Ledger;
  const { process, ended } = worker([...flags, ...model]);
  await done(['ingest', place.file, ...flags]);
  await untilComplete(flags);
  process.kill('SIGTERM');
  await ended;
  const { stdout } = await done(['status', ...flags]);
  expect(stdout).toContain('12 of 12 ended');
  const after = (await (await fetch(new URL('/ledger', simulator.url))).json()) as Ledger;
  expect(after.total.repeated).toBe(total.repeated);
});

interface Ledger {
  readonly total: { readonly asked: number; readonly repeated: number };
}
