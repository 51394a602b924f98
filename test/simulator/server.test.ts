import { Agent, request as httpRequest } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { garbageMarker } from '../../infra/simulator/garbage.ts';
import type { LedgerCall } from '../../infra/simulator/ledger.ts';
import { startSimulator } from '../../infra/simulator/server.ts';
import type { Fault, SimulatorSettings } from '../../infra/simulator/settings.ts';
import { isGood, thoughtMarker } from '../../infra/simulator/texts.ts';
import {
  ask,
  contents,
  judgeMessages,
  post,
  question,
  refineMessages,
  started,
  until,
  user,
  type Body,
} from './support.ts';

const only = (fault: Fault, rate = 1): Partial<SimulatorSettings> => ({
  faults: { rate_limited: 0, server_error: 0, hang: 0, cut: 0, garbage: 0, [fault]: rate },
});

describe('the API', () => {
  test('answers as OpenAI’s does', async () => {
    const simulator = await started();
    expect(await ask(simulator, { n: 3 })).toEqual({
      id: expect.stringMatching(/^chatcmpl-/),
      object: 'chat.completion',
      created: 0,
      model: 'simulated',
      choices: [0, 1, 2].map((index) => ({
        index,
        message: { role: 'assistant', content: expect.stringMatching(/^Here is my /) },
        finish_reason: 'stop',
      })),
      usage: {
        prompt_tokens: Math.ceil(question.length / 4),
        completion_tokens: expect.any(Number),
        total_tokens: expect.any(Number),
      },
    });
  });

  test('usage counts four characters a token, of all messages and all choices', async () => {
    const messages = [{ role: 'system', content: 'Be brief.' }, user(question)];
    const body = await ask(await started(), { n: 4, messages });
    expect(body.usage).toMatchObject({
      prompt_tokens: Math.ceil((question.length + 9) / 4),
      completion_tokens: contents(body).reduce((sum, text) => sum + Math.ceil(text.length / 4), 0),
    });
  });

  test('says which model it has, how much it holds, and that it is well', async () => {
    const { url } = await started({ model: 'tiny', contextTokens: 4096 });
    const models = await (await fetch(`${url}/models`)).json();
    expect(models).toMatchObject({ data: [{ id: 'tiny', max_model_len: 4096 }] });
    expect((await fetch(url.replace('/v1', '/health'))).status).toBe(200);
  });

  test.each([
    ['another model', {}, { model: 'gpt' }, 404, 'model_not_found'],
    ['a prompt beyond the context', { contextTokens: 10 }, {}, 400, 'context_length_exceeded'],
    ['max_tokens beyond it', {}, { max_tokens: 32_768 }, 400, 'context_length_exceeded'],
    ['no key where one is needed', { apiKey: 'secret' }, {}, 401, 'invalid_api_key'],
    ['n where it is refused', { nMode: 'refused' }, { n: 2 }, 400, 'invalid_request'],
    ['n beyond its limit', { choicesMax: 4 }, { n: 5 }, 400, 'invalid_request'],
    ['n = 0', {}, { n: 0 }, 400, 'invalid_request'],
    ['streaming', {}, { stream: true }, 400, 'invalid_request'],
    ['no messages', {}, { messages: [] }, 400, 'invalid_request'],
    ['a message without text', {}, { messages: [{ role: 'user' }] }, 400, 'invalid_request'],
    ['a seed that is a text', {}, { seed: 'x' }, 400, 'invalid_request'],
    ['a body that is too long', { bodyBytesMax: 50 }, {}, 413, 'too_long'],
  ] as const)('%s: %s', async (_name, settings, body, status, code) => {
    const simulator = await started(settings);
    const response = await post(simulator, body);
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ error: { code } });
    await until(() => simulator.ledger().total.refused === 1);
    expect(simulator.ledger().total).toMatchObject({ asked: 1, answered: 0, under_way: 0 });
  });

  test('the key opens', async () => {
    const simulator = await started({ apiKey: 'secret' });
    const headers = { authorization: 'Bearer secret' };
    expect((await ask(simulator, {}, { headers })).choices).toHaveLength(1);
    expect((await fetch(`${simulator.url}/models`)).status).toBe(401);
    expect((await fetch(`${simulator.url}/models`, { headers })).status).toBe(200);
  });

  test('a message may come in parts', async () => {
    const simulator = await started();
    const parts = [
      { type: 'text', text: question.slice(0, 9) },
      { type: 'text', text: question.slice(9) },
    ];
    expect(await ask(simulator, { messages: [user(question)] })).toEqual(
      await ask(simulator, { messages: [{ role: 'user', content: parts }] }),
    );
  });

  test('a body that is no JSON, and a path that is none, get an answer', async () => {
    const { url } = await started();
    const broken = await fetch(`${url}/chat/completions`, { method: 'POST', body: '{' });
    expect(broken.status).toBe(400);
    expect((await fetch(`${url}/completions`)).status).toBe(404);
  });

  test('as a wrong URL it answers web pages', async () => {
    const simulator = await started({ html: true });
    for (const response of [await post(simulator, {}), await fetch(`${simulator.url}/models`)]) {
      expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/html']);
      expect(await response.text()).toMatch(/^<!doctype html>/);
    }
  });
});

describe('settings that make no sense are refused', () => {
  test.each([
    ['failRate is 2', { failRate: 2 }],
    ['judgeAccuracy is NaN', { judgeAccuracy: Number.NaN }],
    ['add up to 1.5', { faults: { ...only('hang').faults!, cut: 0.5 } }],
    ['slots is 0', { slots: 0 }],
    ['latencyMs is -1', { latencyMs: -1 }],
  ] as const)('%s', async (message, change) => {
    await expect(startSimulator(change)).rejects.toThrow(message);
  });

  test('a port that is taken', async () => {
    const { port } = await started();
    await expect(startSimulator({ port })).rejects.toThrow(`127.0.0.1:${port}`);
  });
});

describe('the same request gets the same answer', () => {
  const requests = Array.from({ length: 60 }, (_, index) => ({
    n: 1 + (index % 5),
    seed: index,
    messages:
      index % 3 === 0
        ? [user(`Describe the number ${index}.`)]
        : index % 3 === 1
          ? judgeMessages(`A poem, number ${index}.`)
          : refineMessages(`A poem, number ${index}.`),
  }));

  test('from any server of the same settings, in any order, one by one or at once', async () => {
    const one = await started({ seed: 7, slots: 8, latencyMs: 1 });
    const other = await started({ seed: 7 });
    const atOnce = await Promise.all(requests.map((request) => ask(one, request)));
    const oneByOne: Body[] = [];
    for (const request of requests.toReversed()) oneByOne.unshift(await ask(other, request));
    expect(atOnce).toEqual(oneByOne);
    expect(await Promise.all(requests.map((request) => ask(one, request)))).toEqual(atOnce);
  });

  test('with faults, too: which try of a request goes wrong does not depend on the others', async () => {
    const faults = { rate_limited: 0.3, server_error: 0.3, hang: 0, cut: 0, garbage: 0 };
    const run = async (list: typeof requests) => {
      const simulator = await started({ faults });
      const tries = new Map<number, number[]>();
      for (const request of [...list, ...list]) {
        const { status } = await post(simulator, request);
        tries.set(request.seed, [...(tries.get(request.seed) ?? []), status]);
      }
      return [...tries].sort(([first], [second]) => first - second);
    };
    const forwards = await run(requests);
    expect(await run(requests.toReversed())).toEqual(forwards);
    // Faults are drawn anew for each try, or else a retry would never help.
    expect(forwards.some(([, [first, second]]) => first !== 200 && second === 200)).toBe(true);
  });

  test('without a seed every repetition is another draw, and still a function of its number', async () => {
    const draws = async () => {
      const simulator = await started();
      const bodies: Body[] = [];
      for (let index = 0; index < 4; index++) bodies.push(await ask(simulator, { seed: null }));
      return bodies.map(contents);
    };
    const first = await draws();
    expect(new Set(first.map(String)).size).toBe(4);
    expect(await draws()).toEqual(first);
  });

  test('the header that names a role changes the ledger alone', async () => {
    const simulator = await started();
    const plain = await ask(simulator);
    const named = await ask(simulator, {}, { headers: { 'x-spar-role': 'probe' } });
    expect(contents(named)).toEqual(contents(plain));
    expect(simulator.ledger().roles).toMatchObject({ sample: { asked: 1 }, probe: { asked: 1 } });
  });
});

describe('modes', () => {
  test('n ignored: one choice, the first', async () => {
    const [first] = contents(await ask(await started(), { n: 5 }));
    expect(contents(await ask(await started({ nMode: 'ignored' }), { n: 5 }))).toEqual([first]);
  });

  test('n refused: one choice is served', async () => {
    expect(contents(await ask(await started({ nMode: 'refused' }), { n: 1 }))).toHaveLength(1);
  });

  test('usage of one choice, or none; the ledger knows the truth', async () => {
    const all = await ask(await started(), { n: 5 });
    const one = await started({ usageMode: 'one' });
    expect((await ask(one, { n: 5 })).usage?.completion_tokens).toBe(
      Math.ceil(contents(all)[0]!.length / 4),
    );
    await until(() => one.ledger().total.answered === 1);
    expect(one.ledger().total.completion_tokens).toBe(all.usage?.completion_tokens);
    expect((await ask(await started({ usageMode: 'none' }))).usage).toBeUndefined();
  });

  test('thoughts in tags, or in a field', async () => {
    const tagged = contents(await ask(await started({ reasoning: 'think-tags' })));
    expect(tagged[0]).toMatch(
      new RegExp(`^<think>\\n${thoughtMarker}[^]*</think>\\n\\nHere is my`),
    );
    const [choice] = (await ask(await started({ reasoning: 'field' }))).choices;
    expect(choice?.message.reasoning_content).toContain(thoughtMarker);
    expect(choice?.message.content).toMatch(/^Here is my/);
  });
});

describe('faults', () => {
  test('429 says how long to wait', async () => {
    const simulator = await started({ ...only('rate_limited'), retryAfterMs: 2500 });
    const response = await post(simulator, {});
    expect(response.status).toBe(429);
    expect(response.headers.get('retry-after')).toBe('3');
    expect(response.headers.get('retry-after-ms')).toBe('2500');
  });

  test('500', async () => {
    expect((await post(await started(only('server_error')), {})).status).toBe(500);
  });

  test('a hang lasts until the client goes', async () => {
    const simulator = await started({ ...only('hang'), slots: 2 });
    const asked = post(simulator, { n: 2 }, { signal: AbortSignal.timeout(60) });
    await expect(asked).rejects.toThrow(/abort|timeout/i);
    await until(() => simulator.ledger().total.faults.hang === 1);
    await until(() => simulator.ledger().slots.busy === 0);
  });

  test('a cut body announces more than comes', async () => {
    const simulator = await started(only('cut'));
    const response = await post(simulator, {});
    expect(response.status).toBe(200);
    await expect(response.text()).rejects.toThrow();
    await until(() => simulator.ledger().total.faults.cut === 1);
  });

  test('garbage is of many kinds, and none holds an answer', async () => {
    const simulator = await started(only('garbage'));
    const kinds = new Set<string>();
    for (let seed = 0; seed < 60; seed++) {
      const response = await post(simulator, { seed, n: 3 });
      expect(response.status).toBe(200);
      const text = await response.text();
      expect(text).toContain(garbageMarker);
      expect(text).not.toContain('Here is my');
      kinds.add(kindOf(text, 3));
    }
    expect([...kinds].sort()).toEqual(['HTML', 'choices missing', 'no JSON', 'null', 'too many']);
    const { unusable, faults, answered } = simulator.ledger().total;
    expect([faults.garbage, answered]).toEqual([60, 0]);
    expect(unusable.answered).toBeGreaterThan(20);
    expect(unusable.answered).toBeLessThan(50);
  });

  test('come at their rates', async () => {
    const faults = { rate_limited: 0.1, server_error: 0.1, hang: 0, cut: 0.1, garbage: 0.2 };
    const simulator = await started({ faults });
    await inBatches(1000, async (seed) => {
      const response = await post(simulator, { seed });
      await response.text().catch(() => null);
    });
    await until(() => simulator.ledger().total.under_way === 0);
    for (const [fault, rate] of Object.entries(faults)) {
      const share = simulator.ledger().total.faults[fault as Fault] / 1000;
      expect(Math.abs(share - rate), fault).toBeLessThan(0.04);
      if (rate === 0) expect(share).toBe(0);
    }
  });
});

function kindOf(text: string, n: number): string {
  if (text.startsWith('<')) return 'HTML';
  try {
    const { choices } = JSON.parse(text) as Partial<Body>;
    if (!choices) return 'choices missing';
    return choices.length === n ? String(choices[0]?.message.content) : 'too many';
  } catch {
    return 'no JSON';
  }
}

describe('time', () => {
  test('an answer takes its latency, its prompt and its longest choice', async () => {
    const simulator = await started({ latencyMs: 50, prefillMsPerToken: 2, decodeMsPerToken: 1 });
    const before = performance.now();
    const body = await ask(simulator, { n: 3 });
    const tokens = Math.max(...contents(body).map((text) => Math.ceil(text.length / 4)));
    const expected = 50 + 2 * Math.ceil(question.length / 4) + tokens;
    // Node's timers are exact to a millisecond.
    expect(performance.now() - before).toBeGreaterThan(expected - 2);
  });

  test('with a queue, no more than `slots` choices are generated at once', async () => {
    const simulator = await started({ slots: 6, latencyMs: 5 });
    const bodies = await Promise.all(
      Array.from({ length: 30 }, (_, seed) => ask(simulator, { seed, n: 1 + (seed % 4) })),
    );
    expect(bodies).toHaveLength(30);
    await until(() => simulator.ledger().slots.busy === 0);
    expect(simulator.ledger().slots.most_busy).toBeGreaterThan(3);
    expect(simulator.ledger().slots.most_busy).toBeLessThanOrEqual(6);
  });

  test('a call for more choices than there are slots takes them all', async () => {
    const simulator = await started({ slots: 2, latencyMs: 1 });
    expect(contents(await ask(simulator, { n: 5 }))).toHaveLength(5);
    expect(simulator.ledger().slots.most_busy).toBe(2);
  });

  test('without one, who finds no free slot is refused', async () => {
    const simulator = await started({ slots: 2, whenFull: 'refuse', latencyMs: 50 });
    const first = ask(simulator, { n: 2 });
    await until(() => simulator.ledger().slots.busy === 2);
    const second = await post(simulator, { seed: 2 });
    expect(second.status).toBe(429);
    expect(second.headers.get('retry-after')).toBe('1');
    expect(contents(await first)).toHaveLength(2);
    expect(simulator.ledger().total).toMatchObject({ answered: 1, full: 1 });
    expect((await post(simulator, { seed: 3 })).status).toBe(200);
  });

  test('a client that leaves frees its slots, and its place in the queue', async () => {
    const simulator = await started({ slots: 1, latencyMs: 60_000 });
    const working = new AbortController();
    const waiting = new AbortController();
    const asked = [
      post(simulator, { seed: 1 }, { signal: working.signal }),
      post(simulator, { seed: 2 }, { signal: waiting.signal }),
    ].map((answer) => expect(answer).rejects.toThrow(/abort/i));
    await until(() => simulator.ledger().slots.waiting === 1);
    waiting.abort();
    working.abort();
    await Promise.all(asked);
    await until(() => simulator.ledger().total.gone === 2);
    expect(simulator.ledger()).toMatchObject({
      total: { under_way: 0, answered: 0 },
      slots: { busy: 0, waiting: 0 },
    });
  });
});

describe('the ledger', () => {
  test('adds up to what a client saw', async () => {
    const faults = { rate_limited: 0.05, server_error: 0.05, hang: 0, cut: 0.05, garbage: 0.1 };
    const simulator = await started({ faults });
    const seen = { answered: 0, generations: 0, prompt_tokens: 0, completion_tokens: 0 };
    const unusable = { answered: 0, prompt_tokens: 0, completion_tokens: 0 };
    const refused = { 429: 0, 500: 0, cut: 0 };
    await inBatches(600, async (seed) => {
      const messages = [[user(question)], judgeMessages('A'), refineMessages('A')][seed % 3];
      const response = await post(simulator, { seed, n: 1 + (seed % 3), messages });
      if (response.status !== 200) {
        refused[response.status as 429 | 500]++;
        return;
      }
      const text = await response.text().catch(() => null);
      if (text === null) {
        refused.cut++;
        return;
      }
      const garbage = text.includes(garbageMarker);
      const usage = garbage ? usageIn(text) : (JSON.parse(text) as Body).usage;
      const sums = garbage ? unusable : seen;
      if (!usage) return;
      sums.answered++;
      sums.prompt_tokens += usage.prompt_tokens;
      sums.completion_tokens += usage.completion_tokens;
      if (!garbage) seen.generations += (JSON.parse(text) as Body).choices.length;
    });
    await until(() => simulator.ledger().total.under_way === 0);
    const { total, roles } = simulator.ledger();
    expect(total).toMatchObject({ asked: 600, ...seen, unusable, repeated: 0 });
    expect(total.faults).toMatchObject({
      rate_limited: refused[429],
      server_error: refused[500],
      cut: refused.cut,
    });
    expect(Object.values(roles).map(({ asked }) => asked)).toEqual([0, 200, 200, 200]);
    expect(seen.answered).toBeGreaterThan(350);
  });

  test('lists every request, over HTTP, too', async () => {
    const simulator = await started({ apiKey: null });
    const before = Date.now();
    await ask(simulator, { n: 2 });
    await ask(simulator, { n: 2, user: 'somebody' });
    await ask(simulator, { n: 2, seed: 2 });
    const text = await (await fetch(`${simulator.url.replace('/v1', '')}/ledger/calls`)).text();
    const calls = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as LedgerCall);
    expect(calls).toEqual([...simulator.calls()]);
    expect(calls.map(({ repeated, seed, user, ending }) => [repeated, seed, user, ending])).toEqual(
      [
        [false, 1, null, 'answered'],
        [true, 1, 'somebody', 'answered'],
        [false, 2, null, 'answered'],
      ],
    );
    expect(calls[0]?.id).toBe(calls[1]?.id);
    expect(calls[0]?.id).not.toBe(calls[2]?.id);
    expect(calls[0]?.asked_at).toBeGreaterThanOrEqual(before);
    expect(calls[0]?.answered_at).toBeGreaterThanOrEqual(calls[0]!.asked_at);
    const summary = await (await fetch(`${simulator.url.replace('/v1', '')}/ledger`)).json();
    expect(summary).toEqual(simulator.ledger());
  });
});

const usageIn = (text: string): Body['usage'] => {
  try {
    return (JSON.parse(text) as Body).usage;
  } catch {
    return undefined;
  }
};

async function inBatches(count: number, work: (index: number) => Promise<void>): Promise<void> {
  for (let first = 0; first < count; first += 50) {
    await Promise.all(Array.from({ length: 50 }, (_, index) => work(first + index)));
  }
}

describe('close', () => {
  test('leaves no connection and no timer, whatever is under way', async () => {
    const resources = () =>
      process
        .getActiveResourcesInfo()
        .filter((name) => /Timeout|TCPServer|TCPSocket/.test(name))
        .sort();
    const agent = new Agent({ keepAlive: true });
    onTestFinished(() => agent.destroy());
    await sleep(20);
    const before = resources();
    const simulator = await startSimulator({ slots: 3, latencyMs: 60_000 });
    const ended = Array.from({ length: 5 }, (_, seed) => {
      const { promise, resolve } = Promise.withResolvers<string>();
      const request = httpRequest(`${simulator.url}/chat/completions`, { method: 'POST', agent });
      request.once('error', (error) => resolve(error.message));
      request.end(JSON.stringify({ model: 'simulated', seed, messages: [user(question)] }));
      return promise;
    });
    await until(() => simulator.ledger().slots.waiting === 2);
    await simulator.close();
    expect(await Promise.all(ended)).toHaveLength(5);
    await until(() => simulator.ledger().total.gone === 5);
    expect(simulator.ledger().slots).toMatchObject({ busy: 0, waiting: 0 });
    await sleep(20);
    expect(resources()).toEqual(before);
    // A second time does nothing.
    await simulator.close();
  });
});

test('the truth about sampled responses is known to whoever asks', async () => {
  const good = contents(await ask(await started({ failRate: 0 }), { n: 5 }));
  const failing = contents(await ask(await started({ failRate: 1 }), { n: 5 }));
  expect(good.map(isGood)).toEqual([true, true, true, true, true]);
  expect(failing.map(isGood)).toEqual([false, false, false, false, false]);
});
