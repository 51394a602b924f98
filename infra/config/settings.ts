import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { faithful, type Prompt, type Settings } from '../../processors/settings.ts';
import type { Role } from '../../processors/processor.ts';
import { UsageError } from '../errors.ts';
import { messageOf } from '../text.ts';
import type { Config, EndpointConfig } from './schema.ts';

export const roles: readonly Role[] = ['actor', 'judge', 'refiner'];

/** An endpoint with every default filled in. */
export interface ResolvedEndpoint {
  readonly urls: readonly string[];
  readonly model: string;
  readonly version: string;
  readonly apiKey: string | null;
  readonly maxInFlight: number;
  /** The limit before anything is known of the server. */
  readonly firstInFlight: number;
  readonly maxChoices: number | null;
  /** The most that one call will ask for, within `maxChoices`. */
  readonly choicesWanted: number;
  readonly deadlineMs: number;
  readonly contextTokens: number | null;
  readonly extraBody: Readonly<Record<string, unknown>>;
  readonly price: { readonly prompt: number; readonly completion: number } | null;
}

/** Where each role of an iteration is asked: the judge is missing where code judges and the config names none. */
export type RoleEndpoints = Readonly<
  Record<'actor' | 'refiner', ResolvedEndpoint> & Partial<Record<'judge', ResolvedEndpoint>>
>;

/** @throws UsageError as below, of whichever role is needed */
export const resolveEndpoints = (
  config: Config,
  environment: NodeJS.ProcessEnv,
): RoleEndpoints => ({
  actor: resolveEndpoint('actor', config, environment),
  ...(hasNoJudge(config) ? {} : { judge: resolveEndpoint('judge', config, environment) }),
  refiner: resolveEndpoint('refiner', config, environment),
});

/**
 * Where code judges, nobody is asked for a vote unless an instruction says otherwise: a config that says nothing of a
 * judge, and has no default that could be one, has none.
 */
export const hasNoJudge = ({ judge, models }: Config): boolean =>
  judge.by === 'code' &&
  Object.keys(defined(models.judge)).length === 0 &&
  (models.default.url === undefined || models.default.model === undefined);

/** What records call the models; empty for a role that has none here. */
export const versionsOf = (
  endpoints: Readonly<Partial<Record<Role, ResolvedEndpoint>>>,
): Settings['models'] => ({
  actor: endpoints.actor?.version ?? '',
  judge: endpoints.judge?.version ?? '',
  refiner: endpoints.refiner?.version ?? '',
});

/** @throws UsageError if a role has no URL or model, or a key cannot be read */
export function resolveEndpoint(
  role: Role,
  config: Config,
  environment: NodeJS.ProcessEnv,
): ResolvedEndpoint {
  const own = defined(config.models[role]);
  const merged: EndpointConfig = { ...forRole(config.models.default, own), ...own };
  const { url, model } = merged;
  if (url === undefined || model === undefined) {
    const [what, flag] = url === undefined ? ['URL', '--model-url'] : ['model', '--model'];
    throw new UsageError(
      `the ${role} has no ${what}: give ${flag}, or models.default in a config file (spar run --help shows both)`,
    );
  }
  return {
    urls: (typeof url === 'string' ? [url] : url).map((one) => one.replace(/\/+$/, '')),
    model,
    version: merged.version ?? model,
    apiKey: keyOf(role, merged, environment),
    maxInFlight: merged.max_in_flight ?? config.limits.max_in_flight,
    firstInFlight: config.limits.first_in_flight,
    maxChoices: merged.max_choices ?? null,
    choicesWanted: Math.min(
      merged.max_choices ?? Infinity,
      Math.max(config.sample.responses, config.judge.votes),
    ),
    deadlineMs: merged.deadline_ms ?? config.limits.deadline_ms,
    contextTokens: merged.context_tokens ?? null,
    extraBody: merged.extra_body ?? {},
    price: merged.price ?? null,
  };
}

/**
 * What a role takes over from the default: never a key for another server, nor what is known of another model, nor
 * where another key is.
 */
function forRole(shared: EndpointConfig, own: Partial<EndpointConfig>): EndpointConfig {
  const { api_key_env, api_key_file, version, price, context_tokens, ...rest } = shared;
  const sameServer = own.url === undefined;
  const sameModel = sameServer && own.model === undefined;
  const ownKey = own.api_key_env !== undefined || own.api_key_file !== undefined;
  return {
    ...rest,
    ...(sameServer && !ownKey && defined({ api_key_env, api_key_file })),
    ...(own.model === undefined && defined({ version })),
    ...(sameModel && defined({ price, context_tokens })),
  };
}

function keyOf(
  role: Role,
  endpoint: EndpointConfig,
  environment: NodeJS.ProcessEnv,
): string | null {
  if (endpoint.api_key_file !== undefined) {
    let key: string;
    try {
      key = readFileSync(endpoint.api_key_file, 'utf8').trim();
    } catch (error) {
      throw new UsageError(`the ${role}'s api_key_file cannot be read: ${messageOf(error)}`, {
        cause: error,
      });
    }
    if (key === '') {
      throw new UsageError(`the ${role}'s api_key_file ${endpoint.api_key_file} is empty`);
    }
    return key;
  }
  if (endpoint.api_key_env !== undefined) {
    const key = environment[endpoint.api_key_env];
    if (!key) {
      throw new UsageError(
        `the ${role}'s key should be in ${endpoint.api_key_env}, but that variable is empty or not set`,
      );
    }
    return key;
  }
  // A variable that is set to nothing is no key.
  const key = environment['OPENAI_API_KEY'] ?? '';
  return key === '' ? null : key;
}

/** Everything semantic, with the prompt templates loaded: what an iteration fixes when it opens. */
export function settingsOf(
  config: Config,
  iteration: string,
  models: Settings['models'],
): Settings {
  return {
    iteration,
    mode: config.mode,
    seed: config.seed,
    models,
    sample: config.sample,
    judge: config.judge,
    refine: config.refine,
    search: config.search,
    negatives_per_instruction: config.negatives_per_instruction,
    prompts: {
      judge: loadPrompt('judge', config.prompts.judge, [
        'Final Judgement',
        '{{instruction}}',
        '{{response}}',
      ]),
      refine: loadPrompt('refine', config.prompts.refine, ['[[start]]', '[[end]]']),
    },
  };
}

function loadPrompt(name: string, file: string | undefined, marks: readonly string[]): Prompt {
  const path = file ?? new URL(`../../processors/prompts/${name}.txt`, import.meta.url);
  let template: string;
  try {
    template = readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`the ${name} prompt cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
  const missing = marks.filter((mark) => !template.includes(mark));
  if (missing.length > 0) {
    throw new UsageError(
      `the ${name} prompt ${String(path)} lacks ${missing.join(' and ')}: answers could not be read without`,
    );
  }
  return { template, hash: createHash('sha256').update(template).digest('hex').slice(0, 16) };
}

/**
 * Settings as an iteration keeps them; those that did not exist when it was opened are what was done then, which is
 * what `faithful` does now.
 */
export const settingsFrom = (kept: Settings): Settings => ({
  ...kept,
  sample: { ...faithful.sample, ...kept.sample },
  judge: { ...faithful.judge, ...kept.judge },
  search: { ...faithful.search, ...kept.search },
});

/** What differs between two sets of semantic settings, one line each; prompts are compared by their hash. */
export function differences(opened: Settings, now: Settings): string[] {
  const [a, b] = [flat(opened), flat(now)];
  return [...new Set([...a.keys(), ...b.keys()])]
    .filter((path) => !path.endsWith('.template') && a.get(path) !== b.get(path))
    .toSorted()
    .map(
      (path) =>
        `${path}: ${a.get(path) ?? 'not set'} when it was opened, ${b.get(path) ?? 'not set'} now`,
    );
}

function flat(value: unknown, path: readonly string[] = []): Map<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return new Map([[path.join('.'), JSON.stringify(value)]]);
  }
  return new Map(
    Object.entries(value).flatMap(([name, inner]) => [...flat(inner, [...path, name])]),
  );
}

const defined = <T extends object>(value: T): Partial<T> =>
  Object.fromEntries(
    Object.entries(value).filter(([, inner]) => inner !== undefined),
  ) as Partial<T>;
