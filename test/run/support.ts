import type { ResolvedEndpoint } from '../../infra/config/settings.ts';
import { settingsOf, versionsOf } from '../../infra/config/settings.ts';
import { checkConfig, type Config } from '../../infra/config/schema.ts';
import type { Home } from '../../infra/home/home.ts';
import { readInstructions } from '../../infra/input/read.ts';
import { openSeen } from '../../infra/input/seen.ts';
import type { Source } from '../../infra/input/source.ts';
import { admit } from '../../infra/run/admit.ts';
import { silentLogger } from '../../infra/logger.ts';
import { run, type RunOptions } from '../../infra/run/run.ts';
import type { Summary } from '../../infra/run/summary.ts';
import { systemTime } from '../../infra/time.ts';
import type { Endpoint } from '../../infra/model/endpoint.ts';

export function configOf(value: unknown = {}): Config {
  const result = checkConfig(value);
  if ('problems' in result) throw new Error(JSON.stringify(result.problems));
  return result.config;
}

export const endpointOf = (change: Partial<ResolvedEndpoint> = {}): ResolvedEndpoint => ({
  urls: ['instant'],
  model: 'instant',
  version: 'instant',
  apiKey: null,
  maxInFlight: 256,
  firstInFlight: 64,
  maxChoices: null,
  choicesWanted: 5,
  deadlineMs: 60_000,
  contextTokens: null,
  extraBody: {},
  price: null,
  ...change,
});

export async function* chunksOf(lines: Iterable<string>): AsyncGenerator<Uint8Array> {
  for (const line of lines) yield await Promise.resolve(Buffer.from(`${line}\n`));
}

export const sourceOf = (lines: Iterable<string>, name = 'test.jsonl'): Source => ({
  name,
  chunks: chunksOf(lines),
});

/** A run in this process against a model in this process. */
export async function runWith(
  home: Home,
  model: Endpoint & { close(): Promise<void> },
  lines: Iterable<string>,
  options: Partial<RunOptions> & { readonly iteration?: string } = {},
): Promise<Summary> {
  const { iteration = '1', config = configOf() } = options;
  const endpoint = endpointOf();
  const { endpoints = { actor: endpoint, judge: endpoint, refiner: endpoint } } = options;
  return run({
    home,
    source: sourceOf(lines),
    format: 'auto',
    config,
    settings: settingsOf(config, iteration, versionsOf(endpoints)),
    endpoints,
    connect: () => model,
    limit: null,
    strict: false,
    time: systemTime,
    logger: silentLogger,
    progress: () => undefined,
    progressMs: 50,
    notice: () => undefined,
    stop: new AbortController().signal,
    ...options,
  });
}

/** Puts instructions on the log for iteration 1, and asks nothing. */
export async function admitTo(home: Home, lines: Iterable<string>): Promise<void> {
  const seen = openSeen();
  await admit(
    readInstructions(sourceOf(lines), { format: 'auto', maxLineBytes: 10_000, seen }),
    {
      ...home,
      iteration: '1',
      time: systemTime,
      limit: null,
      strict: true,
      ready: () => Promise.resolve(),
      contextTokens: () => null,
      onRejected: () => undefined,
      signal: new AbortController().signal,
    },
    { taken: 0, admitted: 0, duplicates: 0, rejected: 0 },
  );
  seen.close();
}
