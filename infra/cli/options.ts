import { InvalidArgumentError, Option, type Command } from 'commander';
import type { Override } from '../config/load.ts';

/** Flags that several commands share, so that they mean the same everywhere. */
export const homeOption = (): Option =>
  new Option('--home <dir>', 'the folder that holds the pipeline')
    .default('.spar')
    .env('SPAR_HOME');

export const pipelineOption = (): Option =>
  new Option('--pipeline <name>', 'first part of the topic names').default('spar');

export const iterationOption = (): Option =>
  new Option('--iteration <id>', 'the iteration').default('1').argParser((value) => {
    if (!/^[\p{L}\p{N}._-]{1,64}$/u.test(value)) {
      throw new InvalidArgumentError('Letters, digits, dots, dashes and underscores, at most 64.');
    }
    return value;
  });

export const brokersOption = (): Option =>
  new Option(
    '--brokers <list>',
    'Kafka brokers as host:port, in place of a home of its own [env: SPAR_BROKERS]',
  );

export const registryOption = (): Option =>
  new Option('--registry <url>', 'the schema registry of that cluster [env: SPAR_REGISTRY]');

export const lostPositionsOption = (): Option =>
  new Option(
    '--lost-positions <where>',
    'where the log has forgotten how far a stage is: do nothing, or begin at the start or the end',
  )
    .choices(['refuse', 'start', 'end'])
    .default('refuse');

export const configOption = (): Option =>
  new Option('--config <file>', 'a YAML file with all other settings (see docs/settings.md)');

export const jsonOption = (): Option => new Option('--json', 'print JSON, for machines');

/** What an iteration may come to; the settings are `budget`. */
export const budgetOptions = (): readonly Option[] => [
  new Option(
    '--max-tokens <number>',
    'tokens of prompts and answers, of all runs of the iteration together: nothing is begun that would pass them',
  ).argParser(wholeNumber(1)),
  new Option(
    '--max-cost <amount>',
    'the same by the prices of the models, in their currency',
  ).argParser((value) => {
    const amount = Number(value);
    if (!/^\d+(\.\d+)?$/.test(value) || !(amount > 0)) {
      throw new InvalidArgumentError('Expected an amount above 0, such as 12.50.');
    }
    return amount;
  }),
  new Option('--pairs <number>', 'end once the iteration has so many pairs').argParser(
    wholeNumber(1),
  ),
];

export function wholeNumber(
  least: number,
  most = Number.MAX_SAFE_INTEGER,
): (value: string) => number {
  const range = most === Number.MAX_SAFE_INTEGER ? `from ${least} on` : `from ${least} to ${most}`;
  return (value) => {
    const number = Number(value);
    if (!/^\d+$/.test(value) || number < least || number > most) {
      throw new InvalidArgumentError(`Expected a whole number ${range}.`);
    }
    return number;
  };
}

/** Where each setting may come from besides the file: a flag, or a variable of the environment. */
const settings = [
  { flag: '--model-url', variable: 'SPAR_MODEL_URL', path: ['models', 'default', 'url'] },
  { flag: '--model', variable: 'SPAR_MODEL', path: ['models', 'default', 'model'] },
  { flag: '--mode', variable: 'SPAR_MODE', path: ['mode'] },
  { flag: '--seed', variable: 'SPAR_SEED', path: ['seed'] },
  { flag: '--pipeline', variable: 'SPAR_PIPELINE', path: ['pipeline'] },
  { flag: '--brokers', variable: 'SPAR_BROKERS', path: ['kafka', 'brokers'] },
  { flag: '--registry', variable: 'SPAR_REGISTRY', path: ['registry', 'url'] },
  { flag: '--partitions', variable: 'SPAR_PARTITIONS', path: ['kafka', 'partitions'] },
  { flag: '--replication', variable: 'SPAR_REPLICATION', path: ['kafka', 'replication'] },
  { flag: '--max-in-flight', variable: 'SPAR_MAX_IN_FLIGHT', path: ['limits', 'max_in_flight'] },
  { flag: '--max-tokens', variable: 'SPAR_MAX_TOKENS', path: ['budget', 'max_tokens'] },
  { flag: '--max-cost', variable: 'SPAR_MAX_COST', path: ['budget', 'max_cost'] },
  { flag: '--pairs', variable: 'SPAR_PAIRS', path: ['budget', 'pairs'] },
] as const;

/** What flags and environment set, the flags last, for `loadConfig`. */
export function overridesOf(command: Command, environment: NodeJS.ProcessEnv): readonly Override[] {
  const fromEnvironment = settings.flatMap(({ variable, path }) => {
    const value = environment[variable];
    return value ? [{ from: variable, path, value: typed(path, value) }] : [];
  });
  const fromFlags = settings.flatMap(({ flag, path }) => {
    const name = flag.slice(2).replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
    const value = command.getOptionValue(name) as unknown;
    // `spar status --partitions` asks to see them; a setting has a value.
    if (command.getOptionValueSource(name) !== 'cli' || value === true) return [];
    return [{ from: flag, path, value }];
  });
  return [...fromEnvironment, ...fromFlags];
}

/** The environment knows only text. */
const typed = (path: readonly string[], value: string): unknown =>
  numbers.has(path.at(-1) ?? '') && /^\d+(\.\d+)?$/.test(value) ? Number(value) : value;

const numbers = new Set([
  ...['seed', 'max_in_flight', 'partitions', 'replication'],
  ...['max_tokens', 'max_cost', 'pairs'],
]);

/** Examples at the end of a command's help. */
export const examples = (...lines: readonly string[]): string =>
  `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}`;
