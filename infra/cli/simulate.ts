import { Command, InvalidArgumentError, Option } from 'commander';
import { UsageError } from '../errors.ts';
import { startSimulator, type SimulatorLedger } from '../simulator/server.ts';
import { simulatorDefaults as defaults, type SimulatorSettings } from '../simulator/settings.ts';
import { examples, jsonOption, wholeNumber } from './options.ts';

/** Where OpenAI-compatible servers usually listen, so that the examples of other commands fit. */
const portDefault = 8000;

export const simulateCommand = (): Command =>
  new Command('simulate')
    .summary('start a simulated model server, for trying things out')
    .description(
      `An OpenAI-compatible server that plays actor, judge and refiner, at no cost. Its answers depend on its seed and
the request alone, never on the order of arrival. It knows the truth about every text that it writes, can be slow,
full, faulty or odd on request, and keeps a ledger: GET /ledger (sums), GET /ledger/calls (every request, JSONL).

Shares are numbers from 0 to 1. Ctrl-C ends it and prints the ledger.`,
    )
    .option(
      '--port <number>',
      'where it listens; 0 takes any free port',
      wholeNumber(0),
      portDefault,
    )
    .option('--host <address>', 'the address that it listens on', defaults.host)
    .option('--model <name>', 'the only model that it serves', defaults.model)
    .option(
      '--seed <number>',
      'decides every draw and every fault, together with the request',
      wholeNumber(0),
      defaults.seed,
    )
    .option('--fail-rate <share>', 'sampled responses that fail', share, defaults.failRate)
    .option(
      '--judge-accuracy <share>',
      'readable votes that tell the truth',
      share,
      defaults.judgeAccuracy,
    )
    .option('--invalid-rate <share>', 'votes that cannot be read', share, defaults.invalidRate)
    .option(
      '--refine-rate <share>',
      'refinements that mend what failed',
      share,
      defaults.refineRate,
    )
    .option(
      '--unmarked-rate <share>',
      'refinements without their marks',
      share,
      defaults.unmarkedRate,
    )
    .addOption(
      new Option('--reasoning <where>', 'where the model puts its thoughts')
        .choices(['none', 'think-tags', 'field'])
        .default(defaults.reasoning),
    )
    .addOption(
      new Option('--n <what>', 'what becomes of n > 1')
        .choices(['honoured', 'ignored', 'refused'])
        .default(defaults.nMode),
    )
    .option('--choices-max <number>', 'refuse a greater n', wholeNumber(1), defaults.choicesMax)
    .addOption(
      new Option('--usage <what>', 'which choices the reported usage covers')
        .choices(['all', 'one', 'none'])
        .default(defaults.usageMode),
    )
    .option(
      '--context-tokens <number>',
      'refuse more: prompt and max_tokens together, 4 characters a token',
      wholeNumber(1),
      defaults.contextTokens,
    )
    .option('--html', 'answer everything with a web page, as a wrong URL does')
    .option('--api-key-env <name>', 'variable with the key that callers must send (default: none)')
    .option('--slots <number>', 'choices generated at once (default: no limit)', wholeNumber(1))
    .addOption(
      new Option('--when-full <what>', 'what a request gets that finds too few free slots')
        .choices(['queue', 'refuse'])
        .default(defaults.whenFull),
    )
    .option(
      '--queue-max <number>',
      'requests that wait for slots at most',
      wholeNumber(0),
      defaults.queueMax,
    )
    .option('--latency <ms>', 'for every answer', amount, defaults.latencyMs)
    .option('--prefill <ms>', 'for each token of the prompt', amount, defaults.prefillMsPerToken)
    .option(
      '--decode <ms>',
      'for each token of the longest choice',
      amount,
      defaults.decodeMsPerToken,
    )
    .option('--rate-limited <share>', 'requests answered 429', share, defaults.faults.rate_limited)
    .option('--server-error <share>', 'requests answered 500', share, defaults.faults.server_error)
    .option('--hang <share>', 'requests never answered', share, defaults.faults.hang)
    .option('--cut <share>', 'answers that break off', share, defaults.faults.cut)
    .option('--garbage <share>', 'answers that are none', share, defaults.faults.garbage)
    .option('--retry-after <seconds>', 'sent with 429', amount, defaults.retryAfterMs / 1000)
    .option(
      '--ledger-calls <number>',
      'requests remembered one by one',
      wholeNumber(1),
      defaults.ledgerCallsMax,
    )
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        'spar simulate --slots 64 --decode 2',
        'spar run instructions.jsonl --model-url http://127.0.0.1:8000/v1 --model simulated',
        'curl -s http://127.0.0.1:8000/ledger',
      ),
    )
    .action(async (flags: Flags) => {
      const simulator = await startSimulator(settingsOf(flags, process.env));
      const { url } = simulator;
      process.stdout.write(
        flags.json
          ? `${JSON.stringify({ url, model: flags.model })}\n`
          : `A simulated model server listens at ${url}, model ${flags.model}. Ctrl-C ends it.\n`,
      );
      await interrupted();
      const ledger = simulator.ledger();
      await simulator.close();
      process.stdout.write(flags.json ? `${JSON.stringify(ledger)}\n` : ledgerText(ledger));
    });

interface Flags extends Pick<
  SimulatorSettings,
  | 'host'
  | 'port'
  | 'seed'
  | 'model'
  | 'failRate'
  | 'judgeAccuracy'
  | 'invalidRate'
  | 'refineRate'
  | 'unmarkedRate'
  | 'reasoning'
  | 'choicesMax'
  | 'contextTokens'
  | 'whenFull'
  | 'queueMax'
> {
  readonly n: SimulatorSettings['nMode'];
  readonly usage: SimulatorSettings['usageMode'];
  readonly html?: true;
  readonly apiKeyEnv?: string;
  readonly slots?: number;
  readonly latency: number;
  readonly prefill: number;
  readonly decode: number;
  readonly rateLimited: number;
  readonly serverError: number;
  readonly hang: number;
  readonly cut: number;
  readonly garbage: number;
  readonly retryAfter: number;
  readonly ledgerCalls: number;
  readonly json?: true;
}

function settingsOf(flags: Flags, environment: NodeJS.ProcessEnv): SimulatorSettings {
  const { n, usage, html, apiKeyEnv, slots, latency, prefill, decode, retryAfter, ...others } =
    flags;
  const { rateLimited, serverError, hang, cut, garbage, ledgerCalls, ...same } = others;
  const apiKey = apiKeyEnv === undefined ? null : environment[apiKeyEnv];
  if (apiKey === undefined || apiKey === '') {
    throw new UsageError(
      `--api-key-env names ${apiKeyEnv ?? ''}, which is not set in the environment`,
    );
  }
  return {
    ...defaults,
    ...same,
    nMode: n,
    usageMode: usage,
    html: html ?? false,
    apiKey,
    slots: slots ?? null,
    latencyMs: latency,
    prefillMsPerToken: prefill,
    decodeMsPerToken: decode,
    faults: { rate_limited: rateLimited, server_error: serverError, hang, cut, garbage },
    retryAfterMs: retryAfter * 1000,
    ledgerCallsMax: ledgerCalls,
  };
}

function interrupted(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const listener = () => {
    process.off('SIGINT', listener).off('SIGTERM', listener);
    resolve(undefined);
  };
  process.on('SIGINT', listener).on('SIGTERM', listener);
  return promise;
}

/** One line for each role that was asked for anything, and what went wrong. */
function ledgerText({ roles, total, calls }: SimulatorLedger): string {
  const rows = Object.entries({ ...roles, total }).filter(([, { asked }]) => asked > 0);
  const table = rows.map(([role, sums]) =>
    [
      role.padEnd(8),
      ...[sums.asked, sums.answered, sums.generations, sums.prompt_tokens, sums.completion_tokens]
        .map(String)
        .map((number) => number.padStart(12)),
    ].join(''),
  );
  const head = ['asked', 'answered', 'generations', 'prompt tok.', 'answer tok.'];
  const { faults, full, refused, gone, repeated } = total;
  const odd = Object.entries({ ...faults, full, refused, gone, repeated }).filter(
    ([, count]) => count > 0,
  );
  return [
    '',
    `${' '.repeat(8)}${head.map((name) => name.padStart(12)).join('')}`,
    ...table,
    ...(odd.length > 0 ? [odd.map(([name, count]) => `${name} ${count}`).join(', ')] : []),
    ...(calls.dropped > 0 ? [`${calls.dropped} requests are no longer listed one by one`] : []),
    '',
  ].join('\n');
}

function share(value: string): number {
  const number = Number(value);
  if (value.trim() === '' || !(number >= 0 && number <= 1)) {
    throw new InvalidArgumentError('Expected a share from 0 to 1.');
  }
  return number;
}

function amount(value: string): number {
  const number = Number(value);
  if (value.trim() === '' || !(number >= 0 && number < 2 ** 31)) {
    throw new InvalidArgumentError('Expected a number from 0 on.');
  }
  return number;
}
