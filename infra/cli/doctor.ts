import { Command } from 'commander';
import pc from 'picocolors';
import { accessSync, constants, existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { resolveCluster } from '../config/cluster.ts';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import {
  resolveEndpoints,
  roles,
  type ResolvedEndpoint,
  type RoleEndpoints,
} from '../config/settings.ts';
import { RunError, Unavailable, UsageError } from '../errors.ts';
import { viewHome } from '../home/home.ts';
import { silentLogger } from '../logger.ts';
import { CallError } from '../model/endpoint.ts';
import { probe, type Capabilities } from '../model/probe.ts';
import type { Connect } from '../run/lanes.ts';
import { lockFolder, StorageError } from '../sqlite.ts';
import { messageOf, oneLine } from '../text.ts';
import { systemTime } from '../time.ts';
import type { PipelineFlags } from './flags.ts';
import {
  brokersOption,
  examples,
  homeOption,
  jsonOption,
  overridesOf,
  pipelineOption,
  registryOption,
  wholeNumber,
} from './options.ts';
import { jsonLine, print } from './output.ts';
import { checkSchemas, checkTopics } from './pipeline.ts';
import { connectOpenAi } from './run.ts';

interface Flags extends PipelineFlags {
  readonly timeout: number;
  readonly json?: true;
}

/** `ok`; `remark`: a run works, but someone should know; `problem`: a run could not work. */
interface Finding {
  readonly level: 'ok' | 'remark' | 'problem';
  readonly what: string;
  readonly text: string;
}

/** No timer waits as long as any number that one may type. */
const dayS = 24 * 60 * 60;

/** @param connect opens the connection to a URL; tests hand in models that live in the process */
export const doctorCommand = (connect: Connect = connectOpenAi): Command =>
  new Command('doctor')
    .summary('check that a run would work')
    .description(
      `Checks this machine, the home, the config, the Kafka cluster and its registry if there are any, and every endpoint,
and says what to mend. Each endpoint is asked one or two questions of a few tokens.`,
    )
    .addOption(homeOption())
    .addOption(brokersOption())
    .addOption(registryOption())
    .option('--model-url <url>', 'the model server, up to /v1 [env: SPAR_MODEL_URL]')
    .option('--model <name>', 'the model, as the server calls it [env: SPAR_MODEL]')
    .option('--config <file>', 'a YAML file with all other settings (see docs/settings.md)')
    .option('--timeout <seconds>', 'how long an endpoint may take', wholeNumber(1, dayS), 30)
    .addOption(pipelineOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        'spar doctor --model-url http://localhost:8000/v1 --model my-model',
        'spar doctor --config spar.yaml --home runs/a',
        'spar doctor --brokers kafka:9092 --registry http://registry:8081 --config spar.yaml',
      ),
    )
    .action(async (flags: Flags, command: Command) => {
      let problems = 0;
      const tell = async (finding: Finding) => {
        if (finding.level === 'problem') problems++;
        await print(flags.json ? jsonLine(finding) : findingText(finding));
      };
      await tell(nodeFinding(process.versions.node));
      const config = readConfig(flags, command);
      await tell(config.finding);
      const pipeline = config.config?.pipeline ?? 'spar';
      for (const finding of await homeFindings(flags.home, pipeline)) await tell(finding);
      if (config.config) {
        for (const finding of await clusterFindings(flags, config.config)) await tell(finding);
        for (const target of targetsOf(config.config)) {
          if ('level' in target) await tell(target);
          else
            for (const finding of await endpointFindings(target, connect, flags))
              await tell(finding);
        }
      }
      if (!flags.json) {
        await print(
          problems === 0
            ? 'A run would work.\n'
            : `${problems} ${problems === 1 ? 'thing has' : 'things have'} to be mended first.\n`,
        );
      }
      if (problems > 0) process.exitCode = 1;
    });

function findingText({ level, what, text }: Finding): string {
  const mark = { ok: pc.green('✓'), remark: pc.yellow('!'), problem: pc.red('✗') }[level];
  return `${mark} ${pc.bold(oneLine(what, 200))}: ${oneLine(text, 1000)}\n`;
}

const nodeMin = 24;

function nodeFinding(version: string): Finding {
  const fine = Number(version.split('.')[0]) >= nodeMin;
  return fine
    ? { level: 'ok', what: 'Node.js', text: version }
    : {
        level: 'problem',
        what: 'Node.js',
        text: `${version} is too old: install version ${nodeMin} or later`,
      };
}

function readConfig(
  { config: file }: Flags,
  command: Command,
): { readonly finding: Finding; readonly config: Config | null } {
  try {
    const config = loadConfig(file ?? null, overridesOf(command, process.env));
    const text = file ?? 'defaults and flags';
    return { finding: { level: 'ok', what: 'config', text }, config };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    const text = error.message.replaceAll('\n', '; ');
    return { finding: { level: 'problem', what: 'config', text }, config: null };
  }
}

/** Less than this and a long run may not end; a run needs about 70 kB for each instruction. */
const freeBytesLow = 1024 ** 3;

async function homeFindings(home: string, pipeline: string): Promise<readonly Finding[]> {
  const what = `home ${home}`;
  const folder = nearestFolder(home);
  try {
    accessSync(folder, constants.W_OK);
  } catch {
    const text = `${folder} cannot be written: change its rights, or name another home with --home`;
    return [{ level: 'problem', what, text }];
  }
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const room = `${(free / 1024 ** 3).toFixed(1)} GiB free`;
  const state = existsSync(home)
    ? await stateOf(home, pipeline)
    : 'there is none yet; a run makes it';
  return [
    typeof state === 'string' ? { level: 'ok', what, text: state } : { ...state, what },
    free < freeBytesLow
      ? {
          level: 'remark',
          what: 'disk',
          text: `only ${room}: a run needs about 70 kB an instruction`,
        }
      : { level: 'ok', what: 'disk', text: room },
  ];
}

const nearestFolder = (path: string): string => {
  let folder = resolve(path);
  while (!existsSync(folder) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
};

/** A word on a home that can be used, or why it cannot. */
async function stateOf(home: string, pipeline: string): Promise<string | Omit<Finding, 'what'>> {
  try {
    // Held for a moment only: whether another process writes here cannot be asked in another way.
    lockFolder(home)();
    if (existsSync(`${home}/log.sqlite`)) {
      await (await viewHome({ folder: home, pipeline, time: systemTime })).close();
    }
    return 'can be written, and nobody else writes it';
  } catch (error) {
    if (error instanceof StorageError || error instanceof UsageError) {
      return { level: 'problem', text: error.message };
    }
    throw error;
  }
}

/** Brokers with the topics, and the registry with the schemas; none where everything runs in the home. */
async function clusterFindings(flags: Flags, config: Config): Promise<readonly Finding[]> {
  try {
    const cluster = resolveCluster(config, process.env);
    if (!cluster) return [];
    const brokers = cluster.kafka.brokers.join(', ');
    return [
      await findingOf(`brokers ${brokers}`, 'the topics are as they should be', () =>
        checkTopics(flags, config, cluster, silentLogger),
      ),
      await findingOf(`registry ${cluster.registry.url}`, 'holds all schemas', () =>
        checkSchemas(config, cluster),
      ),
    ];
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return [{ level: 'problem', what: 'cluster', text: error.message }];
  }
}

async function findingOf(what: string, text: string, check: () => Promise<void>): Promise<Finding> {
  try {
    await check();
    return { level: 'ok', what, text };
  } catch (error) {
    const isExplained = [UsageError, RunError, Unavailable].some((kind) => error instanceof kind);
    if (!isExplained) throw error;
    return { level: 'problem', what, text: messageOf(error) };
  }
}

/** One URL with one model, and the roles that use it. */
interface Target {
  readonly url: string;
  readonly endpoint: ResolvedEndpoint;
  readonly roles: readonly string[];
}

function targetsOf(config: Config): readonly (Target | Finding)[] {
  let endpoints: RoleEndpoints;
  try {
    endpoints = resolveEndpoints(config, process.env);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return [{ level: 'problem', what: 'endpoints', text: error.message }];
  }
  const targets = new Map<string, Target>();
  for (const role of roles) {
    const endpoint = endpoints[role];
    if (!endpoint) continue;
    for (const url of endpoint.urls) {
      const key = JSON.stringify([url, endpoint.model, endpoint.apiKey, endpoint.extraBody]);
      const known = targets.get(key);
      targets.set(key, { url, endpoint, roles: [...(known?.roles ?? []), role] });
    }
  }
  const noJudge: Finding = {
    level: 'ok',
    what: 'judge',
    text: 'none is configured; code judges, so only an instruction with judge_by: model or both needs one',
  };
  return [...targets.values(), ...(endpoints.judge ? [] : [noJudge])];
}

async function endpointFindings(
  { url, endpoint, roles: users }: Target,
  connect: Connect,
  { timeout }: Flags,
): Promise<readonly Finding[]> {
  const what = `${url} ${endpoint.model} (${users.join(', ')})`;
  const connection = connect(url, endpoint);
  const signal = AbortSignal.timeout(timeout * 1000);
  try {
    const started = systemTime.monotonic();
    const capabilities = await probe(
      connection,
      endpoint.model,
      endpoint.choicesWanted,
      timeout * 1000,
      signal,
    );
    const seconds = (systemTime.monotonic() - started) / 1000;
    const key = endpoint.apiKey === null ? 'no key is sent' : 'the key is accepted';
    return [
      { level: 'ok', what, text: `answered in ${seconds.toFixed(1)} s; ${key}` },
      ...capabilityFindings(capabilities, endpoint).map((finding) => ({ ...finding, what })),
    ];
  } catch (error) {
    if (signal.aborted) {
      const text = `no answer within ${timeout} s: see that it is up and not overloaded, or give it longer with --timeout`;
      return [{ level: 'problem', what, text }];
    }
    if (!(error instanceof CallError)) throw error;
    return [{ level: 'problem', what, text: messageOf(error) }];
  } finally {
    await connection.close();
  }
}

function capabilityFindings(
  capabilities: Capabilities,
  { contextTokens }: ResolvedEndpoint,
): readonly Omit<Finding, 'what'>[] {
  const { usage, usage_covers_all: coversAll, context_tokens: asked } = capabilities;
  const context = contextTokens ?? asked;
  return [
    choicesFinding(capabilities.n),
    usage && coversAll
      ? { level: 'ok', text: 'reports the tokens of all choices' }
      : {
          level: 'remark',
          text: `reports ${usage ? 'the tokens of one choice only' : 'no tokens'}: the missing ones are estimated and marked so`,
        },
    context === null
      ? {
          level: 'remark',
          text: 'does not say how long its context is: prompts that are too long fail one by one; set context_tokens in the config',
        }
      : { level: 'ok', text: `context of ${context} tokens` },
  ];
}

function choicesFinding(n: Capabilities['n']): Omit<Finding, 'what'> {
  switch (n) {
    case 'honoured':
      return { level: 'ok', text: 'gives several different choices to one call with a seed' };
    case 'equal':
      return {
        level: 'remark',
        text: 'gives equal choices where there is a seed: each is asked for alone, with a seed of its own',
      };
    case 'ignored':
    case 'refused':
      return {
        level: 'remark',
        text: `n is ${n}: each choice is asked for alone, and prompts are paid for as often`,
      };
  }
}
