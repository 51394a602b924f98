import { describe, expect, test } from 'vitest';
import { createContexts } from '../../infra/runtime/contexts.ts';
import type { Gateway } from '../../infra/model/gateway.ts';
import type { Home } from '../../infra/home/home.ts';
import type { Log } from '../../infra/log/log.ts';
import { scan } from '../../infra/log/scan.ts';
import { findIteration, noteSource, openIteration, settingsIn } from '../../infra/run/iteration.ts';
import { differences } from '../../infra/config/settings.ts';
import type { Settings } from '../../processors/settings.ts';
import type { Iteration } from '../../schemas/records.ts';
import { nameOnLog } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { memoryHome } from '../support/home.ts';
import { settingsWith } from '../support/script.ts';
import { instantTime } from '../support/time.ts';

/** Opens the iteration as a process does whose manifest waits on its way for something else to happen first. */
async function openLate(
  home: Home,
  settings: Settings,
  meanwhile: () => Promise<unknown>,
  after: () => Promise<unknown> = () => Promise.resolve(),
): Promise<void> {
  const { serde, pipeline } = home;
  let appends = 0;
  const log: Log = {
    ...home.log,
    async append(records) {
      const isOpening = appends++ === 0;
      if (isOpening) await meanwhile();
      const offsets = await home.log.append(records);
      if (isOpening) await after();
      return offsets;
    },
  };
  await openIteration(log, serde, pipeline, settings, atSecond(9));
}

const atSecond = (seconds: number) => ({ ...instantTime(), wall: () => seconds * 1000 });
const open = ({ log, serde, pipeline }: Home, settings: Settings, seconds = 1) =>
  openIteration(log, serde, pipeline, settings, atSecond(seconds));
const note = ({ log, serde, pipeline }: Home, state: 'unread' | 'read', name = 'a.jsonl') =>
  noteSource(log, serde, pipeline, '1', name, state);
const found = ({ log, serde, pipeline }: Home) => findIteration(log, serde, pipeline, '1');

/** What the brokers keep of a topic that they compact. */
async function compacted(home: Home): Promise<Home> {
  const kept = await home.log.latest(nameOnLog(home.pipeline, topics.iterations), '1');
  const other = await memoryHome(1, home.pipeline, { registry: home.registry });
  if (kept) await other.log.append([kept]);
  return other;
}

const countIn = async ({ log, pipeline }: Home) =>
  (await Array.fromAsync(scan(log, nameOnLog(pipeline, topics.iterations)))).length;

const [seed5, seed7] = [settingsWith({ seed: 5 }), settingsWith({ seed: 7 })];

test('an iteration is opened once', async () => {
  const home = await memoryHome();
  await open(home, seed5);
  await open(home, seed5, 2);
  await expect(open(home, seed7)).rejects.toThrow('seed: 5 when it was opened, 7 now');
  expect(await countIn(home)).toBe(1);
});

describe('of two processes that open it at the same moment', () => {
  test('the second refuses other settings, and leaves those of the first', async () => {
    const home = await memoryHome();
    await expect(openLate(home, seed7, () => open(home, seed5))).rejects.toThrow(
      /iteration 1 was opened with other settings:\n {2}seed: 5 when it was opened, 7 now/,
    );
    for (const one of [home, await compacted(home)]) {
      expect(await found(one)).toMatchObject({ seed: 5, opened_at: 1000 });
    }
  });

  test('the second goes on with equal ones, and neither moves the opening nor forgets a source', async () => {
    const home = await memoryHome();
    await openLate(home, seed5, async () => {
      await open(home, seed5);
      await note(home, 'unread');
    });
    for (const one of [home, await compacted(home)]) {
      expect(await found(one)).toMatchObject({ opened_at: 1000, unread_sources: ['a.jsonl'] });
    }
  });

  test('nobody sees the settings of the second, not even before it has looked back', async () => {
    const home = await memoryHome();
    const seen: unknown[] = [];
    const look = async () => {
      const gateway = { serves: () => true, model: () => null } as unknown as Gateway;
      const contexts = createContexts({ ...home, gateway, time: instantTime(), tableWaitMs: 0 });
      const stage = { name: 'judge', rank: 0, iteration: '1' };
      const [record] = await home.log.read('spar.iterations', 0, 0, { records: 1, bytes: 1 });
      const step = { asks: [], asksToo: () => [], from: topics.responses, tables: {} };
      if (!record) throw new Error('nothing was opened');
      const { settings } = await contexts.of(
        { ...stage, step: step as never },
        record,
        {},
        new AbortController().signal,
      );
      seen.push(settings.seed, (await found(home))?.unread_sources);
      await note(home, 'read');
      await note(home, 'unread', 'b.jsonl');
    };
    const first = async () => {
      await open(home, seed5);
      await note(home, 'unread');
    };
    await expect(openLate(home, seed7, first, look)).rejects.toThrow('seed: 5');
    expect(seen).toEqual([5, ['a.jsonl']]);
    for (const one of [home, await compacted(home)]) {
      expect(await found(one)).toMatchObject({ seed: 5, unread_sources: ['b.jsonl'] });
    }
  });

  test('the first one stays, however much later the second looks back', async () => {
    const home = await memoryHome();
    const [early, late] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
    const first = openLate(
      home,
      seed5,
      () => Promise.resolve(),
      async () => {
        early.resolve(undefined);
        await late.promise;
      },
    );
    await early.promise;
    await expect(open(home, seed7)).rejects.toThrow('seed: 5');
    late.resolve(undefined);
    await first;
    expect(await found(home)).toMatchObject({ seed: 5 });
    expect(await countIn(home)).toBe(1);
  });
});

test('a record that is no manifest is passed over', async () => {
  const home = await memoryHome();
  const junk = { topic: 'spar.iterations', partition: 0, headers: {}, value: new Uint8Array([9]) };
  await home.log.append([{ ...junk, key: '1' }]);
  await open(home, seed5);
  await home.log.append([{ ...junk, key: '1' }]);
  expect(await found(home)).toMatchObject({ seed: 5 });
});

test('one that was opened before a setting existed goes on as it began: as faithful does', () => {
  const now = settingsWith();
  const without = (section: object, ...names: readonly string[]) =>
    Object.fromEntries(Object.entries(section).filter(([name]) => !names.includes(name)));
  const kept = JSON.stringify({
    ...now,
    sample: without(now.sample, 'first'),
    judge: without(now.judge, 'first_votes', 'lazy', 'parser', 'neutralise'),
    search: without(now.search, 'accept', 'sure', 'wave', 'cancel'),
  });
  expect(differences(settingsIn({ settings: kept } as Iteration), now)).toEqual([]);
  const lazy = settingsWith({ judge: { lazy: true } });
  expect(differences(settingsIn({ settings: kept } as Iteration), lazy)).toEqual([
    'judge.lazy: false when it was opened, true now',
  ]);
});
