import type { Config } from '../config/schema.ts';
import { RunError } from '../errors.ts';
import { exportAll, type ExportReport } from '../exports/export.ts';
import type { Home } from '../home/home.ts';
import { findIteration, settingsIn } from './iteration.ts';

/**
 * Writes the training files of one iteration: what it fixed when it opened gives prompts and seed, the rest is the
 * configuration's.
 *
 * @param request `complete` is false while the iteration may still grow: its files then go to `partial/`
 * @throws RunError if the iteration was never opened
 */
export async function writeExports(request: {
  readonly home: Pick<Home, 'log' | 'serde' | 'pipeline'>;
  readonly iteration: string;
  readonly out: string;
  readonly config: Pick<Config, 'export'>;
  readonly complete: boolean;
}): Promise<ExportReport> {
  const { home, iteration, out, config, complete } = request;
  const { log, serde, pipeline } = home;
  const manifest = await findIteration(log, serde, pipeline, iteration);
  if (!manifest) throw new RunError(`iteration ${iteration} was never opened`);
  const { seed, prompts } = settingsIn(manifest);
  return exportAll({
    log,
    decode: (schema, bytes) => serde.decode(schema, bytes),
    pipeline,
    iterations: [{ id: iteration, seed, prompts }],
    seed,
    complete,
    folder: out,
    settings: config.export,
  });
}
