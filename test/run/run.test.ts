import { expect, test } from 'vitest';
import { memoryHome } from '../support/home.ts';
import { instantModel } from '../support/model.ts';
import { runWith } from './support.ts';

const lines = (count: number) =>
  Array.from({ length: count }, (_, index) =>
    JSON.stringify({ id: `i${index}`, prompt: `Write ${index} words.` }),
  );

test('every instruction ends, and every pair has its outcome', async () => {
  const home = await memoryHome();
  const model = instantModel({ failRate: 0.4, refineRate: 0.4 });
  const summary = await runWith(home, model, lines(40));
  const { outcomes } = summary;
  expect(summary).toMatchObject({ admitted: 40, duplicates: 0, complete: true, deadLetters: 0 });
  const ended = Object.values(outcomes).reduce((sum, count) => sum + count, 0);
  expect(ended).toBe(40);
  expect(summary.pairs).toBe(outcomes.paired);
  expect(outcomes.paired).toBeGreaterThan(10);
  expect(model.calls.length).toBe(
    Object.values(summary.modelCalls).reduce((sum, count) => sum + count, 0),
  );
  await home.close();
});
