import { expect, test } from 'vitest';
import type { Home } from '../../infra/home/home.ts';
import type { Log } from '../../infra/log/log.ts';
import { openIteration } from '../../infra/run/iteration.ts';
import { checkPositions, type PositionsOptions } from '../../infra/run/positions.ts';
import { noSavings } from '../../processors/rules/savings.ts';
import { noSpend } from '../../processors/rules/spend.ts';
import { dataflow } from '../../topology/dataflow.ts';
import { nameOnLog } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { append } from '../runtime/support.ts';
import { memoryHome } from '../support/home.ts';
import { settingsWith } from '../support/script.ts';
import { instantTime } from '../support/time.ts';

const responses = nameOnLog('spar', topics.responses);
const group = 'spar.judge';

/** What `sample` publishes for an instruction. */
async function publish({ log, serde }: Home, iteration = '1', partition = 0): Promise<void> {
  const value = serde.encode(topics.responses, {
    ...{ id: `${iteration}/a`, iteration, instruction_id: 'a', messages: [], constraints: [] },
    judge_by: null,
    ...{ source: 'test', extra: '{}', responses: [], given: false, actor_model: 'm', ...noSpend },
  });
  const headers = { iteration };
  await log.append([{ topic: responses, partition, key: `${iteration}/a`, headers, value }]);
}

/** What `judge` publishes for it. */
async function judged({ log, serde }: Home, partition = 0): Promise<void> {
  const value = serde.encode(topics.verdicts, {
    ...{ id: '1/a', iteration: '1', instruction_id: 'a', messages: [], constraints: [] },
    judge_by: null,
    ...{ source: 'test', extra: '{}', responses: [], given: false, actor_model: 'm' },
    ...{ judged: [], judge_model: 'm', judge_prompt: '', ...noSpend, ...noSavings },
  });
  const topic = nameOnLog('spar', topics.verdicts);
  await log.append([{ topic, partition, key: '1/a', headers: { iteration: '1' }, value }]);
}

async function started(partitions = 1): Promise<Home> {
  const home = await memoryHome(partitions);
  await openIteration(home.log, home.serde, 'spar', settingsWith(), instantTime());
  return home;
}

const check = (home: Home, change: Partial<PositionsOptions> = {}): Promise<void> =>
  checkPositions({
    log: home.log,
    serde: home.serde,
    pipeline: 'spar',
    dataflow,
    stages: null,
    iteration: '1',
    lost: 'refuse',
    time: instantTime(),
    ...change,
  });

/** Has a group stand somewhere. */
async function stand({ log }: Home, name: string, topic: string): Promise<void> {
  const subscription = await log.subscribe(name, topic, {
    assigned: () => undefined,
    records: () => undefined,
    revoked: () => Promise.resolve(),
    failed: () => undefined,
  });
  await subscription.close();
}

test('a pipeline that has not begun may begin', async () => {
  const home = await started();
  await append(home, ['a', 'b']);
  await publish(home);
  await expect(check(home, { stages: ['judge', 'pair'] })).resolves.toBeUndefined();
});

test('a stage that has published, and is nowhere, is refused by name, with the remedy', async () => {
  const home = await started(3);
  await publish(home);
  await judged(home, 2);
  await expect(check(home, { stages: ['judge'] })).rejects.toThrow(
    /judge: group spar\.judge, partition 2\n.*offsets\.retention\.minutes[^]*--lost-positions end/,
  );
});

test('it is no concern of those who run other stages', async () => {
  const home = await started();
  await judged(home);
  await expect(check(home, { stages: ['pair'] })).resolves.toBeUndefined();
});

test('a group that stands somewhere is fine', async () => {
  const home = await started();
  await judged(home);
  await stand(home, group, responses);
  await expect(check(home, { stages: ['judge'] })).resolves.toBeUndefined();
});

test.each([
  { named: 'its own responses are there', of: '1', fails: true },
  { named: 'only those of another iteration are', of: '2', fails: false },
])('an iteration that samples from the beginning, when $named', async ({ of, fails }) => {
  const home = await started();
  await publish(home, of);
  const checked = check(home, { stages: ['sample'] });
  if (fails) await expect(checked).rejects.toThrow('sample: group spar.sample.1, partition 0');
  else await expect(checked).resolves.toBeUndefined();
});

test('what was published in this moment shows a moment before its group has moved', async () => {
  const home = await started();
  await judged(home);
  let looks = 0;
  const log: Log = {
    ...home.log,
    async committed(name, topic) {
      if (++looks === 5) await stand(home, group, responses);
      return home.log.committed(name, topic);
    },
  };
  await expect(check(home, { log, stages: ['judge'] })).resolves.toBeUndefined();
});

test.each([
  { lost: 'start', position: 0 },
  { lost: 'end', position: 1 },
] as const)('$lost is where the group begins if it is told to', async ({ lost, position }) => {
  const home = await started();
  await publish(home);
  await judged(home);
  await check(home, { stages: ['judge'], lost });
  expect((await home.log.committed(group, responses))[0]).toMatchObject({ known: true, position });
});
