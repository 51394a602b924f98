import { randomBytes } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { partitionOf } from '../../topology/partition.ts';
import { topics } from '../../topology/topics.ts';
import { instruction, numbered } from '../runtime/support.ts';
import { outcomesOf, pipelineOf, recordsOf, until } from './pipeline.ts';

/** Text that no compression makes smaller than three quarters. */
const noise = (letters: number): string =>
  randomBytes(letters).toString('base64').slice(0, letters);

test('where a topic takes less than it should, what does not fit is a dead letter, and all else goes on', async () => {
  const pipeline = await pipelineOf({
    configs: { responses: { 'max.message.bytes': '20000' } },
  });
  onTestFinished(() => pipeline.close());
  const { log, serde } = await pipeline.open();
  // Together they are more than a batch may be; two of them are so by themselves.
  const [small, large] = [numbered(30), ['large-0', 'large-1']];
  await log.append(
    [...small, ...large].map((id) => ({
      topic: pipeline.topic(topics.instructions),
      partition: partitionOf(id, log.partitions),
      key: id,
      headers: {},
      value: serde.encode(
        topics.instructions,
        instruction(id, noise(large.includes(id) ? 40_000 : 3000)),
      ),
    })),
  );
  const worker = await pipeline.worker();
  const home = await pipeline.open();
  const ends = until(async () => {
    const outcomes = await outcomesOf(home);
    expect(new Set(outcomes.map((one) => one.instruction_id))).toEqual(
      new Set([...small, ...large]),
    );
    return outcomes;
  });
  const outcomes = (await Promise.race([ends, worker.working])) ?? [];
  const failed = outcomes.filter(({ outcome }) => outcome === 'failed');
  expect(failed.map((one) => [one.instruction_id, one.cause]).toSorted()).toEqual([
    ['large-0', 'too-large'],
    ['large-1', 'too-large'],
  ]);
  const letters = await recordsOf(home, topics.deadLetters);
  expect(letters.map(({ row }) => [row.key, row.stage, row.cause]).toSorted()).toEqual([
    ['large-0', 'sample', 'too-large'],
    ['large-1', 'sample', 'too-large'],
  ]);
  const responses = await recordsOf(home, topics.responses);
  expect(responses.map(({ row }) => row.instruction_id).toSorted()).toEqual([...small].toSorted());
  await worker.stop();
});
