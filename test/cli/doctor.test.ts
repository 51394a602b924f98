import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { doctorCommand } from '../../infra/cli/doctor.ts';
import { CallError, type CallAnswer, type Endpoint } from '../../infra/model/endpoint.ts';
import { deadModel, instantModel } from '../support/model.ts';
import { captured, folder, home, smallHome, type Ran } from './support.ts';

type Model = Endpoint & { close(): Promise<void> };

async function doctor(at: string, model: Model, ...args: readonly string[]): Promise<Ran> {
  const command = doctorCommand(() => model).exitOverride();
  vi.stubEnv('OPENAI_API_KEY', undefined);
  try {
    const { code, out, err } = await captured(() =>
      command.parseAsync(['node', 'spar', '--home', at, ...args]),
    );
    return { code, out: out.replaceAll(at, 'HOME'), err };
  } finally {
    vi.unstubAllEnvs();
  }
}

const flags = ['--model-url', 'http://localhost:1/v1', '--model', 'instant'] as const;
const healthy = () => instantModel({ failRate: 0.5, refineRate: 0.5 });

/** The instant model with another answer, or another refusal, to the probe. */
const answering = (answer: (n: number) => Partial<CallAnswer> | CallError): Model => {
  const model = healthy();
  return {
    ...model,
    send: async (call, signal) => {
      const changed = answer(call.n);
      if (changed instanceof CallError) throw changed;
      return { ...(await model.send(call, signal)), ...changed };
    },
  };
};

test('all is well: every line says so, and so does the exit code', async () => {
  const at = await folder();
  await smallHome(at);
  const { code, out } = await doctor(at, healthy(), ...flags);
  expect(code).toBe(0);
  const lines = out.trimEnd().split('\n');
  expect(lines[0]).toMatch(/^✓ Node\.js: \d+\./);
  expect(lines).toContain('✓ config: defaults and flags');
  expect(lines).toContain('✓ home HOME: can be written, and nobody else writes it');
  expect(out).toMatch(/\n[✓!] disk: .*[\d.]+ GiB free/);
  const what = 'http://localhost:1/v1 instant (actor, judge, refiner)';
  expect(out).toMatch(
    /✓ http:.* \(actor, judge, refiner\): answered in \d+\.\d s; no key is sent\n/,
  );
  expect(lines).toContain(`✓ ${what}: gives several different choices to one call with a seed`);
  expect(lines).toContain(`✓ ${what}: reports the tokens of all choices`);
  expect(
    lines.some((line) => line.startsWith(`! ${what}: does not say how long its context is`)),
  ).toBe(true);
  expect(lines.at(-1)).toBe('A run would work.');
});

const choice = (content: string) => ({ content, reasoning: null, finish_reason: 'length' });
const noUsage = { usage: null };

test.each([
  [
    'equal choices',
    answering((n) => ({ choices: Array.from({ length: n }, () => choice('same')) })),
    'gives equal choices where there is a seed',
  ],
  [
    'n refused',
    answering((n) => (n > 1 ? new CallError('rejected', 'no n here') : {})),
    'n is refused: each choice is asked for alone',
  ],
  [
    'n ignored',
    answering((n) => (n > 1 ? new CallError('unusable', 'one choice for two') : {})),
    'n is ignored: each choice is asked for alone',
  ],
  ['no usage', answering(() => noUsage), 'reports no tokens'],
  [
    'usage of one choice',
    answering(() => ({
      choices: [choice('a'), choice('b')],
      usage: { prompt_tokens: 9, completion_tokens: 16 },
    })),
    'reports the tokens of one choice only',
  ],
] as const)('%s is a remark: a run works', async (_name, model, text) => {
  const { code, out } = await doctor(await folder(), model, ...flags);
  expect(code).toBe(0);
  expect(out).toMatch(new RegExp(`! http.*: ${text}`));
});

test.each([
  ['down', deadModel(), 'dead cannot be reached'],
  [
    'a refused key',
    answering(() => new CallError('denied', 'the key is refused: set OPENAI_API_KEY')),
    'the key is refused',
  ],
] as const)('%s is a problem, with what to do', async (_name, model, text) => {
  const { code, out } = await doctor(await folder(), model, ...flags);
  expect(code).toBe(1);
  expect(out).toMatch(new RegExp(`✗ http.*: ${text}`));
  expect(out.endsWith('1 thing has to be mended first.\n')).toBe(true);
});

test('an endpoint that never answers is given up after the time-out', async () => {
  const silent: Model = {
    ...healthy(),
    send: (_call, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error));
      }),
  };
  const { code, out } = await doctor(await folder(), silent, ...flags, '--timeout', '1');
  expect(code).toBe(1);
  expect(out).toContain('no answer within 1 s');
});

test('a time-out that no timer holds is refused, and not taken for none', async () => {
  const ended = doctor(await folder(), healthy(), ...flags, '--timeout', '2147484');
  await expect(ended).rejects.toThrow(/--timeout.*from 1 to 86400/);
});

test('a home that another process writes is a problem', async () => {
  const at = await folder();
  const writing = await home(at);
  const { code, out } = await doctor(at, healthy(), ...flags);
  expect(code).toBe(1);
  expect(out).toContain('✗ home HOME: the home HOME is being written by another run');
  await writing.close();
});

test('a home that is not there yet is none', async () => {
  const at = join(await folder(), 'new');
  const { code, out } = await doctor(at, healthy(), ...flags);
  expect(code).toBe(0);
  expect(out).toContain('✓ home HOME: there is none yet; a run makes it');
});

test('what is missing or wrong in the config is a problem with its place', async () => {
  const at = await folder();
  const nothing = await doctor(at, healthy());
  expect(nothing.code).toBe(1);
  expect(nothing.out).toContain('✗ endpoints: the actor has no URL: give --model-url');

  const file = join(at, 'spar.yaml');
  await writeFile(file, 'seed: 1\nserach:\n  depth: 2\n');
  const wrong = await doctor(at, healthy(), ...flags, '--config', file);
  expect(wrong.code).toBe(1);
  expect(wrong.out).toMatch(/✗ config: HOME\/spar\.yaml:\d+:\d+: serach: there is no such setting/);
});

test('a key is never printed, and each finding is an object for machines', async () => {
  const at = await folder();
  const file = join(at, 'key');
  await writeFile(file, 'sk-very-secret\n');
  const config = join(at, 'spar.yaml');
  await writeFile(config, `models:\n  default:\n    api_key_file: ${file}\n`);
  const { code, out } = await doctor(at, healthy(), ...flags, '--config', config, '--json');
  expect(code).toBe(0);
  expect(out).not.toContain('sk-very-secret');
  const findings = out.trimEnd().split('\n');
  expect(findings.map((line) => (JSON.parse(line) as { level: string }).level)).not.toContain(
    'problem',
  );
  expect(out).toContain('the key is accepted');
});

describe('a cluster', () => {
  test('without a registry is said at once', async () => {
    const { code, out } = await doctor(
      await folder(),
      healthy(),
      ...flags,
      ...['--brokers', '127.0.0.1:1'],
    );
    expect(code).toBe(1);
    expect(out).toContain('✗ cluster: there are brokers and no schema registry: give --registry');
  });

  test('that does not answer is a problem of its own, and so is its registry', async () => {
    const { code, out } = await doctor(
      await folder(),
      healthy(),
      ...flags,
      ...['--brokers', '127.0.0.1:1', '--registry', 'http://127.0.0.1:1'],
    );
    expect(code).toBe(1);
    expect(out).toMatch(/✗ brokers 127.0.0.1:1: .*do not answer/);
    expect(out).toMatch(/✗ registry http:\/\/127.0.0.1:1: .*cannot be reached/);
    expect(out).toMatch(/2 things have to be mended first/);
  });
});

test('no judge is needed where code judges, and it says so', async () => {
  const at = await folder();
  const model = { url: 'http://localhost:1/v1', model: 'instant' };
  await writeFile(
    join(at, 'spar.yaml'),
    JSON.stringify({ judge: { by: 'code' }, models: { actor: model, refiner: model } }),
  );
  const { code, out } = await doctor(at, healthy(), '--config', join(at, 'spar.yaml'));
  expect(code).toBe(0);
  expect(out).toContain('✓ judge: none is configured; code judges, so only an instruction with');
});
