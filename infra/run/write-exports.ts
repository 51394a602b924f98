import type { Config } from '../config/schema.ts';
import { RunError } from '../errors.ts';
import { exportAll, type ExportReport } from '../exports/export.ts';
import { Shards } from '../exports/shards.ts';
import type { ExportProgress, Topics } from '../exports/topic.ts';
import type { Home } from '../home/home.ts';
import { findIteration, settingsIn } from './iteration.ts';

interface Request {
  readonly home: Pick<Home, 'log' | 'serde' | 'pipeline'>;
  readonly iteration: string;
  readonly out: string;
  readonly config: Pick<Config, 'export'>;
}

/**
 * Writes the training files of one iteration: what it fixed when it opened gives prompts and seed, the rest is the
 * configuration's.
 *
 * @param request `complete` is false while the iteration may still grow: its files then go to `partial/`
 * @throws RunError if the iteration was never opened
 */
export async function writeExports(
  request: Request & {
    readonly complete: boolean;
    readonly progress?: (progress: ExportProgress) => void;
  },
): Promise<ExportReport> {
  const { iteration, out, complete, progress } = request;
  const { seed, models, prompts } = await fixedFor(request);
  return exportAll({
    ...topicsOf(request),
    iterations: [{ id: iteration, seed, models, prompts }],
    seed,
    complete,
    folder: out,
    settings: request.config.export,
    ...(progress && { progress }),
  });
}

/**
 * The shards of one iteration, to go on with.
 *
 * @throws RunError if the iteration was never opened; UsageError if the shards that are there are of other settings
 */
export async function openShards(request: Request): Promise<Shards> {
  const { seed } = await fixedFor(request);
  return Shards.open({
    ...topicsOf(request),
    iterations: [request.iteration],
    seed,
    folder: request.out,
    settings: request.config.export,
  });
}

const topicsOf = ({ home: { log, serde, pipeline } }: Request): Topics => ({
  log,
  decode: (schema, bytes) => serde.decode(schema, bytes),
  pipeline,
});

/** What the iteration fixed when it opened. */
async function fixedFor({ home, iteration }: Request): Promise<ReturnType<typeof settingsIn>> {
  const manifest = await findIteration(home.log, home.serde, home.pipeline, iteration);
  if (!manifest) throw new RunError(`iteration ${iteration} was never opened`);
  return settingsIn(manifest);
}
