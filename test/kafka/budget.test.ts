import { expect, onTestFinished, test } from 'vitest';
import { topics } from '../../topology/topics.ts';
import type { WorkerProgress } from '../../infra/run/worker.ts';
import { admitTo } from '../run/support.ts';
import { instantModel } from '../support/model.ts';
import { outcomesOf, pipelineOf, recordsOf, until } from './pipeline.ts';

const count = 240;
const partitions = 6;
const lines = Array.from({ length: count }, (_, index) =>
  JSON.stringify({ id: `i${index}`, prompt: `Describe thing ${index}.` }),
);

test('three workers pass a budget by an instruction each at most, and go on with a larger one', async () => {
  const pipeline = await pipelineOf({ partitions });
  onTestFinished(() => pipeline.close());
  const home = await pipeline.open();
  await admitTo(home, lines);

  /** Three workers, each with a model of its own, until every one of them refuses to begin more. */
  async function workedWithin(tokens: number) {
    const said = new Map<number, WorkerProgress>();
    const models = [1, 2, 3].map(() => instantModel({ failRate: 0.4, refineRate: 0.4 }));
    const config = { budget: { max_tokens: tokens } };
    const workers = await Promise.all(
      models.map((model, index) =>
        pipeline.worker({ model, config, progress: (progress) => said.set(index, progress) }),
      ),
    );
    const waitFor = async (check: (all: readonly WorkerProgress[]) => void | Promise<void>) => {
      await until(() => check([...said.values()]), 90_000);
      await Promise.all(workers.map((worker) => worker.stop()));
      const outcomes = await outcomesOf(home);
      const responses = await recordsOf(home, topics.responses);
      const spends = outcomes.map((one) => one.prompt_tokens + one.completion_tokens);
      return {
        calls: models.flatMap(({ calls }) => calls).filter(({ purpose }) => purpose !== 'probe'),
        outcomes,
        begun: responses.length,
        spent: spends.reduce((sum, each) => sum + each, 0),
        largest: Math.max(...spends),
      };
    };
    return waitFor;
  }

  // For about 100 of them, so that every worker has some that it must not begin.
  const tokens = 500_000;
  const waitFor = await workedWithin(tokens);
  const first = await waitFor((all) => {
    expect(all.map(({ budgetEnd }) => budgetEnd)).toEqual(['used-up', 'used-up', 'used-up']);
  });
  // All that was begun has ended, once each.
  expect(first.outcomes.length).toBe(first.begun);
  expect(first.begun).toBeGreaterThan(3);
  expect(first.begun).toBeLessThan(count);
  expect(first.spent).toBeGreaterThan(0.85 * tokens);
  expect(first.spent).toBeLessThanOrEqual(tokens + 3 * first.largest);

  const goOn = await workedWithin(1_000_000_000);
  const all = await goOn(async () => {
    expect((await outcomesOf(home)).length).toBe(count);
  });
  const asked = [...first.calls, ...all.calls].map(({ seed, n, messages }) =>
    JSON.stringify([seed, n, messages]),
  );
  expect(new Set(asked).size).toBe(asked.length);
});
