import { expect, onTestFinished, test } from 'vitest';
import { findIteration, openIteration } from '../../infra/run/iteration.ts';
import { systemTime } from '../../infra/time.ts';
import { settingsWith } from '../support/script.ts';
import { pipelineOf } from './pipeline.ts';

test('of two members that open an iteration at the same moment, one fixes its settings for both', async () => {
  const pipeline = await pipelineOf();
  onTestFinished(() => pipeline.close());
  const homes = [await pipeline.open(), await pipeline.open()];
  for (const iteration of ['1', '2', '3', '4', '5']) {
    const opened = await Promise.allSettled(
      homes.map(({ log, serde, pipeline: name }, seed) =>
        openIteration(log, serde, name, { ...settingsWith({ seed }), iteration }, systemTime),
      ),
    );
    const winner = opened.findIndex(({ status }) => status === 'fulfilled');
    expect(opened[1 - winner]).toMatchObject({
      reason: { message: expect.stringContaining(`seed: ${winner} when it was opened`) },
    });
    for (const { log, serde, pipeline: name } of homes) {
      expect(await findIteration(log, serde, name, iteration)).toMatchObject({ seed: winner });
      const latest = await log.latest(`${name}.iterations`, iteration);
      expect(await serde.decode('iteration', latest!.value)).toMatchObject({ seed: winner });
    }
  }
});
