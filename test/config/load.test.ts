import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { describe, expect, onTestFinished, test } from 'vitest';
import { overridesOf, pipelineOption } from '../../infra/cli/options.ts';
import { loadConfig } from '../../infra/config/load.ts';
import { UsageError } from '../../infra/errors.ts';
import { faithful, lean } from '../../processors/settings.ts';

/** A config file with this text. */
function fileOf(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'spar-config-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'spar.yaml');
  writeFileSync(file, text);
  return file;
}

/** What a command line and an environment set, as the commands read them. */
function overrides(flags: readonly string[], environment: NodeJS.ProcessEnv = {}) {
  const command = new Command()
    .option('--model-url <url>')
    .option('--model <name>')
    .option('--mode <mode>')
    .option('--seed <number>', '', Number)
    .option('--max-in-flight <number>', '', Number)
    .addOption(pipelineOption());
  command.parse([...flags], { from: 'user' });
  return overridesOf(command, environment);
}

/** The message without the folder of the file. */
function problemsOf(text: string, set: ReturnType<typeof overrides> = []): string {
  const file = fileOf(text);
  try {
    loadConfig(file, set);
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return (error as Error).message.replaceAll(file, 'spar.yaml');
  }
  expect.fail('the config was taken');
}

describe('where a setting comes from', () => {
  test.each<[string, string[], NodeJS.ProcessEnv, string, number]>([
    ['the default', [], {}, '', 0],
    ['the file before the default', [], {}, 'seed: 1', 1],
    ['the environment before the file', [], { SPAR_SEED: '2' }, 'seed: 1', 2],
    ['a flag before all', ['--seed', '3'], { SPAR_SEED: '2' }, 'seed: 1', 3],
    ['an empty variable is none', [], { SPAR_SEED: '' }, 'seed: 1', 1],
  ])('%s', (_name, flags, environment, text, seed) => {
    expect(loadConfig(fileOf(text), overrides(flags, environment)).seed).toBe(seed);
  });

  test('every flag and variable has its setting', () => {
    const fromFlags = overrides([
      ...['--model-url', 'http://a/v1', '--model', 'm', '--mode', 'faithful'],
      ...['--seed', '4', '--pipeline', 'mine', '--max-in-flight', '8'],
    ]);
    const fromEnvironment = overrides([], {
      SPAR_MODEL_URL: 'http://a/v1',
      SPAR_MODEL: 'm',
      SPAR_MODE: 'faithful',
      SPAR_SEED: '4',
      SPAR_PIPELINE: 'mine',
      SPAR_MAX_IN_FLIGHT: '8',
    });
    for (const set of [fromFlags, fromEnvironment]) {
      expect(loadConfig(null, set)).toMatchObject({
        models: { default: { url: 'http://a/v1', model: 'm' } },
        mode: 'faithful',
        seed: 4,
        pipeline: 'mine',
        limits: { max_in_flight: 8 },
      });
    }
  });

  test("an option's own default does not hide what the file says", () => {
    expect(loadConfig(fileOf('pipeline: mine'), overrides([])).pipeline).toBe('mine');
  });

  test('a flag leaves the rest of its group as the file has it', () => {
    const file = fileOf('models:\n  default: { url: http://a/v1, model: m }\n');
    expect(loadConfig(file, overrides(['--model', 'n'])).models.default).toEqual({
      url: 'http://a/v1',
      model: 'n',
    });
  });

  test.each(['', '# nothing but a comment\n', '{}', 'models: {}', 'judge:\n  votes: 5\n'])(
    'without a word on it, everything is as in the paper: %j',
    (text) => {
      const { sample, judge, refine, search, negatives_per_instruction } = loadConfig(
        fileOf(text),
        [],
      );
      expect({ sample, judge, refine, search, negatives_per_instruction }).toEqual({
        sample: faithful.sample,
        judge: faithful.judge,
        refine: faithful.refine,
        search: faithful.search,
        negatives_per_instruction: faithful.negatives_per_instruction,
      });
    },
  );
});

describe('lean', () => {
  const of = (text: string) => loadConfig(fileOf(text), []);

  test('changes the defaults of its switches, and nothing else', () => {
    const { sample, judge, search, refine } = of('mode: lean');
    expect({ sample, judge, search, refine }).toEqual({
      sample: { ...faithful.sample, ...lean.sample },
      judge: { ...faithful.judge, ...lean.judge },
      search: { ...faithful.search, ...lean.search },
      refine: faithful.refine,
    });
  });

  test('gives way to what is set, also to null and false', () => {
    const { judge, search } = of(
      'mode: lean\njudge: { first_votes: null, lazy: false, votes: 7 }\nsearch: { wave: null }\n',
    );
    expect(judge).toMatchObject({ first_votes: null, lazy: false, votes: 7, parser: 'strict' });
    expect(search).toMatchObject({ wave: null, accept: lean.search.accept });
  });

  test.each([
    ['judge: { lazy: true }', 'judge', { ...faithful.judge, lazy: true }],
    ['judge: { first_votes: 2 }', 'judge', { ...faithful.judge, first_votes: 2 }],
    ['judge: { parser: strict }', 'judge', { ...faithful.judge, parser: 'strict' }],
    ['search: { accept: first }', 'search', { ...faithful.search, accept: 'first' }],
    ['search: { wave: 2 }', 'search', { ...faithful.search, wave: 2 }],
  ] as const)('each switch is there by itself, too: %s', (text, section, settings) => {
    expect(of(text)[section]).toEqual(settings);
  });

  test('a section that is none is refused in its own words', () => {
    expect(() => of('mode: lean\njudge: 5\n')).toThrow(':2:8: judge');
  });
});

test('no wait may be longer than a timer holds: it would be one of a millisecond', () => {
  const { limits, retries } = loadConfig(null, []);
  const waits = Object.entries({ limits, retries, 'models:\n  judge': { deadline_ms: 1 } }).flatMap(
    ([group, settings]) =>
      Object.keys(settings)
        .filter((name) => name.endsWith('_ms'))
        .map((name) => `${group}:\n    ${name}: 2147483648\n`),
  );
  expect(waits.length).toBeGreaterThan(8);
  for (const wait of waits) expect(problemsOf(wait), wait).toMatch(/_ms: .*(24 days|<=\d+)/);
});

describe('what is wrong is said with its place', () => {
  test.each([
    ['a wrong name', 'seed: 1\nsede: 2\n', 'spar.yaml:2:1: sede: there is no such setting'],
    [
      'a wrong name deep down',
      'search:\n  depth: 2\n  breadth: 3\n',
      'spar.yaml:3:3: search.breadth: there is no such setting',
    ],
    ['a wrong type', 'judge:\n  votes: many\n', /^spar\.yaml:2:10: judge\.votes: .*number/],
    ['a number out of range', 'search: { gate: 1.5 }\n', /^spar\.yaml:1:17: search\.gate: .*<1/],
    [
      'a wait that no timer holds',
      'limits: { down_ms: 4000000000 }\n',
      'spar.yaml:1:20: limits.down_ms: at most 2073600000 ms, which is 24 days: no timer waits longer',
    ],
    ['half a vote', 'judge: { votes: 2.5 }\n', /^spar\.yaml:1:17: judge\.votes: .*int/],
    [
      'an unknown choice',
      'search:\n  strategy: random\n',
      /^spar\.yaml:2:13: search\.strategy: .*"breadth-first"\|"depth-first"/,
    ],
    [
      'an item of a list',
      'sample:\n  stop:\n    - ok\n    - 3\n',
      /^spar\.yaml:4:7: sample\.stop\.1: .*string/,
    ],
    [
      'a URL with a key in it',
      'models:\n  default:\n    url: http://me:key@host/v1\n',
      /^spar\.yaml:3:10: models\.default\.url: expected a URL such as .*, without a user or key/,
    ],
    [
      'a key where only its place belongs',
      'models: { default: { api_key: x } }',
      /^spar\.yaml:1:22: models\.default\.api_key: there is no such setting/,
    ],
    ['a list in place of names', '- seed\n', /^spar\.yaml:1:1: expected settings by name/],
    ['a bare word', 'seed', /^spar\.yaml:1:1: expected settings by name/],
    ['a quote that is not closed', 'seed: 1\npipeline: "spar\n', /^spar\.yaml:\d+:\d+: .*quote/],
    ['the same name twice', 'seed: 1\nseed: 2\n', /^spar\.yaml:2:1: .*unique/],
    ['a tab', 'judge:\n\tvotes: 3\n', /^spar\.yaml:2:1: .*[Tt]ab/],
    ['a name for what is nowhere', 'seed: *nowhere\n', /^spar\.yaml: .*alias.*nowhere/],
  ])('%s', (_name, text, words) => {
    expect(problemsOf(text)).toMatch(words);
  });

  test('all of it at once', () => {
    expect(problemsOf('seed: -1\nmodel: x\n').split('\n')).toHaveLength(2);
  });

  test.each<[string, string[], NodeJS.ProcessEnv]>([
    ['--max-in-flight', ['--max-in-flight', '0'], {}],
    ['SPAR_SEED', [], { SPAR_SEED: 'lots' }],
    ['SPAR_MODE', [], { SPAR_MODE: 'lazy' }],
    ['--mode', ['--mode', 'lazy'], { SPAR_MODE: 'faithful' }],
  ])('and of what %s set, by its name', (from, flags, environment) => {
    expect(problemsOf('seed: 1', overrides(flags, environment))).toMatch(new RegExp(`^${from}: `));
  });

  test('a file that is not there', () => {
    expect(() => loadConfig('/nowhere/spar.yaml', [])).toThrow(
      /^the config \/nowhere\/spar\.yaml cannot be read: ENOENT/,
    );
  });

  test('a file that would fill the memory with references to itself', () => {
    const levels = Array.from({ length: 12 }, (_, level) => {
      const inner = level === 0 ? 'x' : `*a${level - 1}`;
      return `a${level}: &a${level} [${Array(10).fill(inner).join(', ')}]`;
    });
    expect(problemsOf(levels.join('\n'))).toMatch(/^spar\.yaml:.*alias/i);
  });
});
