import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import {
  differences,
  resolveEndpoint,
  resolveEndpoints,
  settingsOf,
  versionsOf,
} from '../../infra/config/settings.ts';
import { UsageError } from '../../infra/errors.ts';
import { configOf } from '../run/support.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spar-settings-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
});
const fileOf = (text: string): string => {
  const file = join(folder, `${Math.random()}.txt`);
  writeFileSync(file, text);
  return file;
};

const base = { url: 'http://a/v1', model: 'm' };

/** One role's endpoint, with these in the config. */
const resolved = (
  models: Readonly<Record<string, unknown>>,
  environment: NodeJS.ProcessEnv = {},
  role: 'actor' | 'judge' | 'refiner' = 'judge',
) => resolveEndpoint(role, configOf({ models }), environment);

describe('the endpoint of a role', () => {
  test('is the default, with every limit filled in', () => {
    expect(resolved({ default: base })).toEqual({
      urls: ['http://a/v1'],
      model: 'm',
      version: 'm',
      apiKey: null,
      maxInFlight: 256,
      firstInFlight: 64,
      maxChoices: null,
      choicesWanted: 5,
      deadlineMs: 900_000,
      contextTokens: null,
      extraBody: {},
      price: null,
    });
  });

  test('is its own where it says so', () => {
    const models = {
      default: { ...base, max_in_flight: 9, version: 'm-2024' },
      judge: { url: ['http://b/v1/', 'http://c/v1//'], deadline_ms: 5 },
    };
    expect(resolved(models)).toMatchObject({
      urls: ['http://b/v1', 'http://c/v1'],
      model: 'm',
      version: 'm-2024',
      maxInFlight: 9,
      deadlineMs: 5,
    });
    expect(resolved(models, {}, 'actor')).toMatchObject({
      urls: ['http://a/v1'],
      deadlineMs: 900_000,
    });
  });

  test("with a server of its own, is not sent the default's key, nor priced like it", () => {
    const price = { prompt: 1, completion: 2 };
    const models = {
      default: { ...base, api_key_env: 'DEFAULT_KEY', price, context_tokens: 9 },
      judge: { url: 'http://elsewhere/v1' },
    };
    const environment = { DEFAULT_KEY: 'of-the-default' };
    expect(resolved(models, environment)).toMatchObject({
      urls: ['http://elsewhere/v1'],
      apiKey: null,
      price: null,
      contextTokens: null,
    });
    expect(resolved(models, environment, 'actor')).toMatchObject({
      apiKey: 'of-the-default',
      price,
      contextTokens: 9,
    });
  });

  test("with a model of its own, is not called by the default's version", () => {
    const models = { default: { ...base, version: 'm-2024' }, judge: { model: 'other' } };
    expect(resolved(models)).toMatchObject({ model: 'other', version: 'other' });
    expect(resolved(models, {}, 'actor')).toMatchObject({ model: 'm', version: 'm-2024' });
  });

  test.each([
    ['URL', {}, /the judge has no URL: give --model-url/],
    ['model', { url: 'http://a/v1' }, /the judge has no model: give --model,/],
  ])('without a %s is a sentence with the remedy', (_what, own, words) => {
    expect(() => resolved({ default: own })).toThrow(words);
  });
});

describe('the key', () => {
  test.each<[string, object, NodeJS.ProcessEnv, string | null]>([
    ['from the usual variable', {}, { OPENAI_API_KEY: 'k1' }, 'k1'],
    ['none, for a local server', {}, {}, null],
    ['none where the variable is empty', {}, { OPENAI_API_KEY: '' }, null],
    [
      'from a variable of its own',
      { api_key_env: 'MINE' },
      { MINE: 'k2', OPENAI_API_KEY: 'k1' },
      'k2',
    ],
  ])('%s', (_name, own, environment, key) => {
    expect(resolved({ default: { ...base, ...own } }, environment).apiKey).toBe(key);
  });

  test('from a file, without the line end', () => {
    const file = fileOf('k3\n');
    expect(resolved({ default: { ...base, api_key_file: file } }).apiKey).toBe('k3');
  });

  test("a role's own place goes before the default's, whichever kind they are", () => {
    const models = {
      default: { ...base, api_key_file: fileOf('shared\n') },
      judge: { api_key_env: 'MINE' },
    };
    expect(resolved(models, { MINE: 'own' }).apiKey).toBe('own');
    expect(resolved(models, { MINE: 'own' }, 'actor').apiKey).toBe('shared');
  });

  test.each([
    [
      'a variable that is not set',
      () => ({ api_key_env: 'MINE' }),
      /judge's key should be in MINE/,
    ],
    [
      'a file that is not there',
      () => ({ api_key_file: '/nowhere/key' }),
      /judge's api_key_file cannot be read: ENOENT/,
    ],
    [
      'a file without a key',
      () => ({ api_key_file: fileOf(' \n') }),
      /judge's api_key_file .* is empty/,
    ],
  ])('%s is said before anything is sent', (_name, own, words) => {
    const read = () => resolved({ default: { ...base, ...own() } });
    expect(read).toThrow(UsageError);
    expect(read).toThrow(words);
  });
});

describe('the settings of an iteration', () => {
  const models = { actor: 'a', judge: 'j', refiner: 'r' };
  const of = (config: unknown = {}) => settingsOf(configOf(config), '1', models);

  test('have the shipped prompts, with their hashes', () => {
    const { prompts } = of();
    expect(prompts.judge.template).toContain('Final Judgement');
    expect(prompts.refine.template).toContain('[[start]]');
    expect(prompts.judge.hash).toMatch(/^[0-9a-f]{16}$/);
    expect(prompts.judge.hash).not.toBe(prompts.refine.hash);
  });

  test('take a prompt of your own', () => {
    const template = 'About {{instruction}} and {{response}}: Final Judgement: Yes or No?';
    const { prompts } = of({ prompts: { judge: fileOf(template) } });
    expect(prompts.judge.template).toBe(template);
    expect(prompts.judge.hash).not.toBe(of().prompts.judge.hash);
  });

  test.each([
    ['judge', '{{instruction}} {{response}}', /judge prompt .* lacks Final Judgement:/],
    ['judge', 'Final Judgement', /lacks \{\{instruction\}\} and \{\{response\}\}/],
    ['refine', 'Write [[start]] it', /refine prompt .* lacks \[\[end\]\]/],
  ])('a %s prompt without its marks is refused: %j', (name, template, words) => {
    expect(() => of({ prompts: { [name]: fileOf(template) } })).toThrow(words);
  });

  test('a prompt that is not there is refused', () => {
    expect(() => of({ prompts: { judge: '/nowhere/judge.txt' } })).toThrow(
      /the judge prompt cannot be read: ENOENT/,
    );
  });
});

describe('what differs', () => {
  const of = (config: unknown = {}) =>
    settingsOf(configOf(config), '1', { actor: 'a', judge: 'j', refiner: 'r' });

  test('is nothing between equal settings, also after they were written down', () => {
    expect(differences(of(), JSON.parse(JSON.stringify(of())) as ReturnType<typeof of>)).toEqual(
      [],
    );
  });

  test.each([
    ['limits', { limits: { max_in_flight: 3 } }],
    ['retries', { retries: { attempts: 2 } }],
    ['endpoints', { models: { default: { url: 'http://b/v1', model: 'other' } } }],
    ['exports', { export: { formats: ['trl'] } }],
    ['the log level', { log_level: 'debug' }],
  ])('is nothing if only %s changed: those may change at any restart', (_name, config) => {
    expect(differences(of(), of(config))).toEqual([]);
  });

  test.each([
    [{ seed: 3 }, 'seed: 0 when it was opened, 3 now'],
    [{ judge: { votes: 3 } }, 'judge.votes: 5 when it was opened, 3 now'],
    [{ sample: { stop: [] } }, 'sample.stop: ["<|eot_id|>","</s>"] when it was opened, [] now'],
    [
      { search: { strategy: 'depth-first' } },
      'search.strategy: "breadth-first" when it was opened, "depth-first" now',
    ],
  ])('%j is one line', (config, line) => {
    expect(differences(of(), of(config))).toEqual([line]);
  });

  test('a prompt is compared by its hash, and not printed whole', () => {
    const other = of({ prompts: { refine: fileOf('Refine: [[start]]…[[end]]') } });
    expect(differences(of(), other)).toEqual([
      expect.stringMatching(
        /^prompts\.refine\.hash: "[0-9a-f]{16}" when it was opened, "[0-9a-f]{16}" now$/,
      ),
    ]);
  });

  test('a setting that an older version did not have is named', () => {
    const older: unknown = { ...of(), negatives_per_instruction: undefined };
    const read = JSON.parse(JSON.stringify(older)) as ReturnType<typeof of>;
    expect(differences(read, of())).toEqual([
      'negatives_per_instruction: not set when it was opened, 1 now',
    ]);
  });
});

describe('a judge', () => {
  const others = { actor: base, refiner: { ...base, version: 'r-2' } };

  test('may be left out where code judges', () => {
    const endpoints = resolveEndpoints(configOf({ judge: { by: 'code' }, models: others }), {});
    expect(Object.keys(endpoints)).toEqual(['actor', 'refiner']);
    expect(versionsOf(endpoints)).toEqual({ actor: 'm', judge: '', refiner: 'r-2' });
  });

  test.each([
    ['votes decide', { judge: { by: 'model' }, models: others }, 'has no URL'],
    ['votes decide beside code', { judge: { by: 'both' }, models: others }, 'has no URL'],
    [
      'the config says something of it',
      { judge: { by: 'code' }, models: { ...others, judge: { url: 'http://b/v1' } } },
      'has no model',
    ],
  ])('may not where %s', (_name, config, words) => {
    expect(() => resolveEndpoints(configOf(config), {})).toThrow(`the judge ${words}`);
  });

  test.each([
    ['the default is one', { default: base }],
    ['it is there', { ...others, judge: base }],
  ])('is there where %s, whoever judges', (_name, models) => {
    const config = configOf({ judge: { by: 'code' }, models });
    expect(resolveEndpoints(config, {}).judge).toMatchObject({ model: 'm' });
  });
});
