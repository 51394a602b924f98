import { describe, expect, test } from 'vitest';
import { CallError, type CallAnswer, type Endpoint } from '../../infra/model/endpoint.ts';
import { describe as inWords, probe, readCapabilities } from '../../infra/model/probe.ts';
import type { SimulatorSettings } from '../../infra/simulator/settings.ts';
import { clientOf, never, simulatorOf } from './support.ts';

const probed = async (change: Partial<SimulatorSettings>) => {
  const simulator = await simulatorOf(change);
  return { simulator, found: await probe(clientOf(simulator.url), 'simulated', 5, 5_000, never) };
};

describe('what is found out about a server', () => {
  test.each<[string, Partial<SimulatorSettings>, object, string]>([
    [
      'that does all we would like',
      { contextTokens: 4096 },
      {
        n: 'honoured',
        usage: true,
        usage_covers_all: true,
        context_tokens: 4096,
        calls: 1,
        generations: 5,
      },
      'several choices a call, reports usage, context 4096 tokens',
    ],
    [
      'that ignores n',
      { nMode: 'ignored' },
      { n: 'ignored', usage: true, usage_covers_all: true, calls: 2, generations: 2 },
      'one choice a call (n is ignored), reports usage, context 32768 tokens',
    ],
    [
      'that refuses n',
      { nMode: 'refused' },
      { n: 'refused', calls: 1, generations: 1 },
      'one choice a call (n is refused), reports usage, context 32768 tokens',
    ],
    [
      'that counts the tokens of one choice, as llama.cpp does',
      { usageMode: 'one' },
      { n: 'honoured', usage: true, usage_covers_all: false },
      'several choices a call, reports usage of one choice only, context 32768 tokens',
    ],
    [
      'that counts none',
      { usageMode: 'none' },
      { n: 'honoured', usage: false, prompt_tokens: 0, completion_tokens: 0 },
      'several choices a call, reports no usage, context 32768 tokens',
    ],
  ])('%s', async (_name, change, capabilities, words) => {
    const { found } = await probed(change);
    expect(found).toMatchObject(capabilities);
    expect(inWords(found)).toBe(words);
  });

  test('what it took is counted as the server counts it', async () => {
    for (const nMode of ['honoured', 'ignored', 'refused'] as const) {
      const { found, simulator } = await probed({ nMode });
      const answered = [...simulator.calls()].filter(({ status }) => status === 200);
      expect(found.calls).toBe(answered.length);
      const sum = answered.reduce((tokens, call) => tokens + call.completion_tokens, 0);
      expect(found.completion_tokens).toBe(sum);
      expect(new Set([...simulator.calls()].map(({ role }) => role))).toEqual(new Set(['probe']));
    }
  });
});

describe('a server that cannot be used is one clear sentence', () => {
  test.each<[string, Partial<SimulatorSettings>, string, RegExp]>([
    ['a web page', { html: true }, 'simulated', /not a chat completion.*ends in \/v1/],
    [
      'a key is missing',
      { apiKey: 'k' },
      'simulated',
      /refused the API key \(401: .*OPENAI_API_KEY/,
    ],
    ['no such model', { model: 'other' }, 'simulated', /does not know the model "simulated"/],
  ])('%s', async (_name, change, model, words) => {
    const { url } = await simulatorOf(change);
    const failure: unknown = await probe(clientOf(url), model, 5, 5_000, never).catch(
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(CallError);
    expect((failure as Error).message).toMatch(words);
    expect((failure as Error).message).not.toContain('\n');
  });
});

describe('a server of another kind', () => {
  const answer = (contents: readonly string[], usage: CallAnswer['usage']): CallAnswer => ({
    choices: contents.map((content) => ({ content, reasoning: null, finish_reason: 'stop' })),
    usage,
  });
  const endpointOf = (send: Endpoint['send']): Endpoint => ({
    name: 'scripted',
    send,
    models: () => Promise.resolve(null),
  });

  test('gives the same choice n times where a seed is set: then choices are asked for alone', async () => {
    const endpoint = endpointOf(({ n }) =>
      Promise.resolve(answer(Array<string>(n).fill('same'), null)),
    );
    const found = await probe(endpoint, 'm', 2, 5_000, never);
    expect(found).toMatchObject({ n: 'equal', context_tokens: null });
    expect(inWords(found)).toContain('a seed makes all choices equal');
  });

  test('has room for two choices but not for five: it is asked for as many as a run will ask for', async () => {
    const endpoint = endpointOf(({ n }) =>
      n > 4
        ? Promise.reject(new CallError('rejected', 'n exceeds the slots'))
        : Promise.resolve(
            answer(
              Array.from({ length: n }, (_, index) => `answer ${index}`),
              null,
            ),
          ),
    );
    expect(await probe(endpoint, 'm', 4, 5_000, never)).toMatchObject({
      n: 'honoured',
      choices: 4,
    });
    expect(await probe(endpoint, 'm', 5, 5_000, never)).toMatchObject({ n: 'refused', choices: 5 });
  });

  test('short answers prove nothing about usage, so it is trusted', async () => {
    const usage = { prompt_tokens: 5, completion_tokens: 4 };
    const found = await probe(
      endpointOf(() => Promise.resolve(answer(['a', 'b'], usage))),
      'm',
      2,
      5_000,
      never,
    );
    expect(found.usage_covers_all).toBe(true);
  });

  test.each(['rate-limited', 'server-error', 'cut'] as const)(
    'one bad moment (%s) is not what it can do; two are an error',
    async (kind) => {
      let failures = 1;
      const endpoint = endpointOf(() =>
        failures-- > 0
          ? Promise.reject(new CallError(kind, 'a bad moment'))
          : Promise.resolve(answer(['a', 'b'], null)),
      );
      expect(await probe(endpoint, 'm', 2, 5_000, never)).toMatchObject({ n: 'honoured' });
      failures = 2;
      await expect(probe(endpoint, 'm', 2, 5_000, never)).rejects.toMatchObject({ kind });
    },
  );
});

describe('what is kept of it', () => {
  test('is read again as it was', async () => {
    const { found } = await probed({});
    expect(readCapabilities(JSON.stringify(found))).toEqual(found);
  });

  test.each([
    ['nothing', null],
    ['what an older version kept', '{"n":true}'],
  ])('%s is asked for anew', (_name, json) => {
    expect(readCapabilities(json)).toBeNull();
  });

  test('a broken one is an error, not a guess', () => {
    expect(() => readCapabilities('{"n":')).toThrow(/a stored probe does not parse/);
  });
});
