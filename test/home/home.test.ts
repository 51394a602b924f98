import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openHome } from '../../infra/home/home.ts';
import { systemTime } from '../../infra/time.ts';
import { groupOf, nameOnLog } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';

const day = 24 * 60 * 60 * 1000;

/** A home in a folder of its own, opened again and again, on days of the test's choosing. */
function homeOf() {
  const folder = mkdtempSync(join(tmpdir(), 'spar-home-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  let today = 0;
  const open = (onDay: number) => {
    today = onDay;
    return openHome({
      folder,
      pipeline: 'spar',
      time: { ...systemTime, wall: () => today * day },
    });
  };
  return { open };
}

type Home = Awaited<ReturnType<ReturnType<typeof homeOf>['open']>>;

const negatives = nameOnLog('spar', topics.negatives);
const kept = async ({ log }: Home): Promise<number> =>
  (await log.read(negatives, 0, 0, { records: 10, bytes: 1000 })).length;

/** A tree as its records stand: a negative, and one record of the search, which need not be readable here. */
async function plant({ log }: Home, key: string): Promise<void> {
  const record = { partition: 0, key, headers: { iteration: '1' }, value: Buffer.from('?') };
  await log.append([
    { ...record, topic: negatives },
    { ...record, topic: nameOnLog('spar', topics.expand) },
  ]);
}

/** The stage has finished what its topic holds. */
async function finish({ log }: Home, stage: string, topic: string): Promise<void> {
  const subscription = await log.subscribe(groupOf('spar', stage, null), topic, {
    assigned: () => undefined,
    records: () => undefined,
    revoked: () => Promise.resolve(),
    failed: () => undefined,
  });
  const [end] = await log.ends(topic);
  await subscription.commit(0, { outputs: [], position: end?.latest ?? 0, metadata: '' });
  await subscription.close();
}

test('a negative outlives its time while its tree is open: it is what the tree will be paired with', async () => {
  const { open } = homeOf();
  const first = await open(0);
  await plant(first, '1/i/0');
  await first.close();

  const later = await open(90);
  expect(await kept(later)).toBe(1);
  await finish(later, 'expand', nameOnLog('spar', topics.expand));
  await later.close();

  const last = await open(91);
  expect(await kept(last)).toBe(0);
  await last.close();
});

test('a negative within its time stays, whatever became of its tree', async () => {
  const { open } = homeOf();
  const first = await open(0);
  await plant(first, '1/i/0');
  await finish(first, 'expand', nameOnLog('spar', topics.expand));
  await first.close();
  const later = await open(29);
  expect(await kept(later)).toBe(1);
  await later.close();
});
