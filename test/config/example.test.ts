import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../../infra/config/load.ts';
import { checkConfig } from '../../infra/config/schema.ts';
import { resolveEndpoint, roles } from '../../infra/config/settings.ts';

const file = new URL('../../examples/spar.yaml', import.meta.url).pathname;
const text = readFileSync(file, 'utf8');

/** What a file must say at the least: where the model is. */
const models = {
  ...loadConfig(null, []).models,
  default: { url: 'http://localhost:8000/v1', model: 'my-model' },
};

test('the example config says every setting, with its default', () => {
  expect(loadConfig(file, [])).toEqual({ ...loadConfig(null, []), models });
  // Every value is written out: defaults that were left out would be equal, too.
  const { prompts, ...written } = parse(text) as Record<string, unknown>;
  expect(prompts).toEqual({});
  expect({ ...written, prompts }).toEqual({ ...loadConfig(null, []), models });
});

test('every endpoint of it is whole', () => {
  const config = loadConfig(file, []);
  for (const role of roles) {
    expect(resolveEndpoint(role, config, {})).toMatchObject({
      urls: ['http://localhost:8000/v1'],
      model: 'my-model',
      apiKey: null,
    });
  }
});

test('what is commented out of it is a setting, too', () => {
  // A setting in a comment is `name: value # what it does`, indented as it would stand without the mark.
  const uncommented = text
    .replace('prompts: {}', 'prompts:')
    .replace(/^ {2}judge: \{\}.*\n/m, '')
    .replaceAll(/^( +)# (?=[a-z_]+: \S)/gm, '$1');
  const checked = checkConfig(parse(uncommented));
  if (!('config' in checked)) expect.fail(JSON.stringify(checked.problems));
  const { models, prompts } = checked.config;
  expect(Object.keys(models.default).toSorted()).toEqual(
    [
      ...['url', 'model', 'api_key_env', 'api_key_file', 'version', 'max_in_flight', 'max_choices'],
      ...['deadline_ms', 'context_tokens', 'extra_body', 'price'],
    ].toSorted(),
  );
  expect(models.judge).toMatchObject({ model: 'big-judge' });
  expect(prompts).toEqual({ judge: 'prompts/judge.txt', refine: 'prompts/refine.txt' });
});
