import { Command, InvalidArgumentError, Option } from 'commander';
import { startSimulator } from '../simulator/server.ts';
import { defaultSimulatorSettings as defaults } from '../simulator/settings.ts';
import { examples, wholeNumber } from './options.ts';

export const simulateCommand = (): Command =>
  new Command('simulate')
    .summary('start a simulated model server, for trying things out')
    .description(
      `An OpenAI-compatible server that plays actor, judge and refiner, at no cost. Its answers depend on its seed and
the request alone, never on the order of arrival. It knows the truth about every text that it writes, can be slow,
full, faulty or odd on request, and keeps a ledger: GET /ledger (sums), GET /ledger/calls (every call).`,
    )
    .option(
      '--port <number>',
      'where it listens; 0 takes any free port',
      wholeNumber(0),
      defaults.port,
    )
    .option('--host <address>', 'the address that it listens on', defaults.host)
    .option('--seed <number>', 'decides every draw', wholeNumber(0), defaults.seed)
    .option('--model <name>', 'the only model that it serves', defaults.model)
    .option(
      '--context-tokens <number>',
      'longer prompts are refused',
      wholeNumber(1),
      defaults.contextTokens,
    )
    .option('--fail-rate <share>', 'sampled responses that fail', share, defaults.failRate)
    .option('--refine-rate <share>', 'refinements that pass', share, defaults.refineRate)
    .option('--judge-accuracy <share>', 'votes that see the truth', share, defaults.judgeAccuracy)
    .option('--invalid-rate <share>', 'votes that cannot be read', share, defaults.invalidRate)
    .option(
      '--unmarked-rate <share>',
      'refiner answers without marks',
      share,
      defaults.unmarkedRate,
    )
    .addOption(
      new Option('--reasoning <where>', 'where thoughts are put')
        .choices(['none', 'think-tags', 'field'])
        .default(defaults.reasoning),
    )
    .addOption(
      new Option('--n <what>', 'what becomes of n > 1')
        .choices(['honoured', 'ignored', 'refused'])
        .default(defaults.n),
    )
    .addOption(
      new Option('--usage <what>', 'which choices the usage covers')
        .choices(['all', 'one', 'none'])
        .default(defaults.usage),
    )
    .option('--html', 'answer everything with a web page, like a wrong URL')
    .option(
      '--slots <number>',
      'choices generated at once; 0 for no limit',
      wholeNumber(0),
      defaults.slots,
    )
    .addOption(
      new Option('--when-full <what>', 'what a request gets when no slot is free')
        .choices(['queue', 'refuse'])
        .default(defaults.whenFull),
    )
    .option('--latency <ms>', 'before each answer', milliseconds, defaults.latencyMs)
    .option('--prefill <ms>', 'per prompt token', milliseconds, defaults.prefillMsPerToken)
    .option('--decode <ms>', 'per generated token', milliseconds, defaults.decodeMsPerToken)
    .option('--rate-limited <share>', 'requests answered 429', share, 0)
    .option('--server-error <share>', 'requests answered 500', share, 0)
    .option('--hang <share>', 'requests never answered', share, 0)
    .option('--cut <share>', 'answers that break off', share, 0)
    .option('--garbage <share>', 'answers that are none', share, 0)
    .option('--retry-after <seconds>', 'sent with 429', wholeNumber(0), defaults.retryAfterSeconds)
    .option('--api-key-env <name>', 'environment variable with the key to ask for (default: none)')
    .addHelpText(
      'after',
      examples(
        'spar simulate --port 8000 --slots 64 --decode 2',
        'spar run instructions.jsonl --model-url http://127.0.0.1:8000/v1 --model simulated',
        'curl -s http://127.0.0.1:8000/ledger',
      ),
    )
    .action(async (flags: Flags) => {
      const { latency, prefill, decode, retryAfter, rateLimited, serverError, hang, cut, garbage } =
        flags;
      const simulator = await startSimulator({
        ...flags,
        html: flags.html ?? false,
        apiKey: flags.apiKeyEnv === undefined ? null : (process.env[flags.apiKeyEnv] ?? null),
        latencyMs: latency,
        prefillMsPerToken: prefill,
        decodeMsPerToken: decode,
        retryAfterSeconds: retryAfter,
        faults: { rateLimited, serverError, hang, cut, garbage },
      });
      process.stdout.write(
        `A simulated model server listens at ${simulator.url}, model ${flags.model}. Ctrl-C ends it.\n`,
      );
      await new Promise<void>((resolve) => {
        process.once('SIGINT', () => resolve()).once('SIGTERM', () => resolve());
      });
      const ledger = simulator.ledger();
      await simulator.close();
      process.stdout.write(`${JSON.stringify(ledger)}\n`);
    });

interface Flags {
  readonly port: number;
  readonly host: string;
  readonly seed: number;
  readonly model: string;
  readonly contextTokens: number;
  readonly failRate: number;
  readonly refineRate: number;
  readonly judgeAccuracy: number;
  readonly invalidRate: number;
  readonly unmarkedRate: number;
  readonly reasoning: 'none' | 'think-tags' | 'field';
  readonly n: 'honoured' | 'ignored' | 'refused';
  readonly usage: 'all' | 'one' | 'none';
  readonly html?: true;
  readonly slots: number;
  readonly whenFull: 'queue' | 'refuse';
  readonly latency: number;
  readonly prefill: number;
  readonly decode: number;
  readonly rateLimited: number;
  readonly serverError: number;
  readonly hang: number;
  readonly cut: number;
  readonly garbage: number;
  readonly retryAfter: number;
  readonly apiKeyEnv?: string;
}

function share(value: string): number {
  const number = Number(value);
  if (value.trim() === '' || !(number >= 0 && number <= 1)) {
    throw new InvalidArgumentError('Expected a share from 0 to 1.');
  }
  return number;
}

function milliseconds(value: string): number {
  const number = Number(value);
  if (value.trim() === '' || !(number >= 0 && number < 2 ** 31)) {
    throw new InvalidArgumentError('Expected milliseconds.');
  }
  return number;
}
