import { describe, expect, test } from 'vitest';
import { CallError, type Call, type CallErrorKind } from '../../infra/model/endpoint.ts';
import type { OpenAiSettings } from '../../infra/model/openai.ts';
import { startSimulator } from '../../infra/simulator/server.ts';
import { simulatorDefaults, type SimulatorSettings } from '../../infra/simulator/settings.ts';
import { callOf, clientOf, completion, never, says, serverOf, simulatorOf } from './support.ts';

const always = (fault: keyof SimulatorSettings['faults']): Partial<SimulatorSettings> => ({
  faults: { ...simulatorDefaults.faults, [fault]: 1 },
});

/** What sending fails with; the test fails if it does not. */
async function failureOf(sent: Promise<unknown>): Promise<CallError> {
  const failure: unknown = await sent.then(
    () => 'it was answered',
    (error: unknown) => error,
  );
  expect(failure).toBeInstanceOf(CallError);
  return failure as CallError;
}

describe('a server that answers badly', () => {
  interface Case {
    readonly server: Partial<SimulatorSettings>;
    readonly client?: Partial<OpenAiSettings>;
    readonly call?: Partial<Call>;
    readonly kind: CallErrorKind;
    readonly status?: number | null;
    readonly says: RegExp;
  }
  const longest = { temperature: 1, top_p: 1, max_tokens: 5000, stop: [] };
  test.each<[string, Case]>([
    ['429', { server: always('rate_limited'), kind: 'rate-limited', status: 429, says: /429/ }],
    ['500', { server: always('server_error'), kind: 'server-error', status: 500, says: /500/ }],
    [
      'silence',
      {
        server: always('hang'),
        call: { deadlineMs: 60 },
        kind: 'timeout',
        says: /did not answer within 60 ms/,
      },
    ],
    ['a body that breaks off', { server: always('cut'), kind: 'cut', says: /broke/ }],
    [
      'a web page',
      { server: { html: true }, kind: 'unusable', says: /not a chat completion.*ends in \/v1/ },
    ],
    [
      'no key where one is needed',
      {
        server: { apiKey: 'right-key' },
        kind: 'denied',
        status: 401,
        says: /No key was given: set OPENAI_API_KEY/,
      },
    ],
    [
      'a wrong key',
      {
        server: { apiKey: 'right-key' },
        client: { apiKey: 'wrong-key' },
        kind: 'denied',
        status: 401,
        says: /Check the key and its rights/,
      },
    ],
    [
      'a model that it does not have',
      {
        server: {},
        client: { model: 'nobody' },
        kind: 'forbidden',
        status: 404,
        says: /does not know the model "nobody"/,
      },
    ],
    [
      'a prompt over the context',
      {
        server: { contextTokens: 100 },
        call: { sampling: longest },
        kind: 'context',
        status: 400,
        says: /maximum context length/,
      },
    ],
    [
      'n where it takes only one',
      {
        server: { nMode: 'refused' },
        call: { n: 2 },
        kind: 'rejected',
        status: 400,
        says: /n = 1/,
      },
    ],
    [
      'one choice where two were asked for',
      { server: { nMode: 'ignored' }, call: { n: 2 }, kind: 'unusable', says: /1 choices where 2/ },
    ],
  ])('%s', async (_name, { server, client, call, kind, status = null, says: words }) => {
    const { url } = await simulatorOf(server);
    const failure = await failureOf(clientOf(url, client).send(callOf(call), never));
    expect(failure).toMatchObject({ kind, status });
    expect(failure.message).toMatch(words);
    expect(failure.message).toContain(url);
  });

  test('an answer that begins and does not go on is over at the deadline, too', async () => {
    const { url } = await serverOf((response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write('{"choices":');
    });
    const failure = await failureOf(clientOf(url).send(callOf({ deadlineMs: 60 }), never));
    expect(failure).toMatchObject({ kind: 'timeout' });
  });

  test('a port where nobody listens is down, and the sentence says what to look at', async () => {
    const simulator = await startSimulator();
    await simulator.close();
    const { url } = simulator;
    const client = clientOf(url);
    for (const ask of [() => client.send(callOf(), never), () => client.models(5_000, never)]) {
      const failure = await failureOf(ask());
      expect(failure.kind).toBe('down');
      expect(failure.message).toMatch(/cannot be reached.*Is the model server running/);
    }
  });

  test('every kind of garbage is unusable, and what it cost is known where the server says so', async () => {
    const { url } = await simulatorOf(always('garbage'));
    const client = clientOf(url);
    const failures = await Promise.all(
      Array.from({ length: 40 }, (_, seed) =>
        failureOf(client.send(callOf({ seed, n: 2 }), never)),
      ),
    );
    expect(failures.map(({ kind }) => kind)).toEqual(failures.map(() => 'unusable'));
    const kinds: readonly (readonly [words: RegExp, counted: boolean])[] = [
      [/JSON that does not parse/, false],
      [/not a chat completion/, false],
      [/without choices/, true],
      [/3 choices where 2/, true],
      [/a choice without text/, true],
    ];
    for (const [words, counted] of kinds) {
      const same = failures.filter(({ message }) => words.test(message));
      expect(same.length, String(words)).toBeGreaterThan(0);
      expect(same.every(({ usage }) => (usage !== null) === counted)).toBe(true);
    }
  });

  test.each([
    [401, 'denied', /refused the API key \(401: we do not like it\)\. No key was given/],
    [403, 'forbidden', /refused the API key or what is asked \(403: we do not like it\)\./],
    [404, 'forbidden', /does not know the model "simulated" or the path \(404: we do not/],
    [400, 'rejected', /rejects the request \(400: we do not like it\)/],
    [429, 'rate-limited', /refused for now \(429: we do not like it\)/],
    [502, 'server-error', /failed \(502: we do not like it\)/],
  ] as const)('%i: its own words are kept, in one line', async (status, kind, words) => {
    const said = 'we \u001b[31m\r\ndo not like it';
    const { url } = await serverOf(says({ error: { message: said } }, status));
    const failure = await failureOf(clientOf(url).send(callOf(), never));
    expect(failure).toMatchObject({ kind, said: 'we [31m do not like it' });
    expect(failure.message.replace('[31m ', '')).toMatch(words);
    const long = await serverOf(says({ error: { message: 'x'.repeat(9000) } }, status));
    const cut = await failureOf(clientOf(long.url).send(callOf(), never));
    expect(cut.said?.length).toBe(160);
    const silent = await serverOf((response) => response.writeHead(status).end());
    const none = await failureOf(clientOf(silent.url).send(callOf(), never));
    expect(none.said).toBe('without a word');
  });

  test.each<[string, Record<string, string>, number | null]>([
    ['in milliseconds', { 'retry-after-ms': '1234', 'retry-after': '9' }, 1234],
    ['in seconds', { 'retry-after': '7' }, 7000],
    ['nonsense', { 'retry-after': 'soon' }, null],
    ['nothing', {}, null],
  ])('Retry-After %s', async (_name, headers, expected) => {
    const { url } = await serverOf(says({ error: { message: 'wait' } }, 429, headers));
    const failure = await failureOf(clientOf(url).send(callOf(), never));
    expect(failure.retryAfterMs).toBe(expected);
  });

  test('Retry-After as a date is the time until then', async () => {
    const date = new Date(Date.now() + 60_000).toUTCString();
    const { url } = await serverOf(says({}, 503, { 'retry-after': date }));
    const failure = await failureOf(clientOf(url).send(callOf(), never));
    expect(failure).toMatchObject({ kind: 'server-error', status: 503 });
    expect(failure.retryAfterMs).toBeGreaterThan(55_000);
    expect(failure.retryAfterMs).toBeLessThanOrEqual(60_000);
  });

  test('who gives up hears the own reason, not an error of the endpoint', async () => {
    const { url } = await simulatorOf(always('hang'));
    const given = new AbortController();
    const sent = clientOf(url).send(callOf(), given.signal);
    setTimeout(() => given.abort(new Error('enough')), 20);
    await expect(sent).rejects.toThrow('enough');
  });

  test('one request is one try: the client repeats nothing on its own', async () => {
    const { url, received } = await serverOf(says({ error: { message: 'no' } }, 500));
    await failureOf(clientOf(url).send(callOf(), never));
    expect(received).toHaveLength(1);
  });
});

describe('the key', () => {
  const apiKey = 'sk-very-secret-0123456789';
  test.each([
    ['400', says({ error: { message: `bad ${apiKey}` } }, 400)],
    ['401', says({ error: { message: `Incorrect API key provided: ${apiKey}` } }, 401)],
    ['403', says({ error: { message: `${apiKey} may not` } }, 403)],
    ['404', says({ error: { message: `no ${apiKey}` } }, 404)],
    ['429', says({ error: { message: `slow down ${apiKey}` } }, 429)],
    ['500', says({ error: { message: `failed ${apiKey}` } }, 500)],
    ['a key that is cut by the bound', says({ error: { message: 'x'.repeat(140) + apiKey } }, 500)],
    ['a text', says(`"${apiKey}"`)],
    ['no choices', says({ echo: apiKey })],
    ['a choice without text', says({ choices: [{ echo: apiKey }] })],
  ])('is not in the message when a server repeats it: %s', async (_name, answer) => {
    const { url, received } = await serverOf(answer);
    const failure = await failureOf(clientOf(url, { apiKey }).send(callOf(), never));
    expect(received[0]?.headers.authorization).toBe(`Bearer ${apiKey}`);
    expect(failure.message + (failure.said ?? '')).not.toContain(apiKey.slice(0, 10));
  });
});

describe('what is sent', () => {
  test('every sampling field, n, the seed, the stops, the extra body and what it is for', async () => {
    const { url, received } = await serverOf(
      says(completion([{ content: 'a' }, { content: 'b' }])),
    );
    const call = callOf({
      purpose: 'judge',
      messages: [
        { role: 'system', content: 'Be short.' },
        { role: 'user', content: 'Say \ud83d hello.' },
      ],
      sampling: { temperature: 0.7, top_p: 0.95, max_tokens: 12, stop: ['</s>', 'END'] },
      n: 2,
      seed: 2 ** 31 - 1,
    });
    await clientOf(url, { model: 'mine', extraBody: { top_k: 20, seed: 'ours wins' } }).send(
      call,
      never,
    );
    const [request] = received;
    expect(request?.path).toBe('/v1/chat/completions');
    expect(request?.headers['x-spar-role']).toBe('judge');
    expect(request?.body).toEqual({
      top_k: 20,
      model: 'mine',
      messages: call.messages,
      n: 2,
      seed: 2 ** 31 - 1,
      temperature: 0.7,
      top_p: 0.95,
      max_tokens: 12,
      stop: ['</s>', 'END'],
      stream: false,
    });
  });

  test('no stops are no field at all, which some servers insist on', async () => {
    const { url, received } = await serverOf(says(completion([{ content: 'a' }])));
    await clientOf(url).send(callOf(), never);
    expect(received[0]?.body).not.toHaveProperty('stop');
  });
});

describe('what is read', () => {
  const answerTo = async (body: unknown, n = 1) => {
    const { url } = await serverOf(says(body));
    return clientOf(url).send(callOf({ n }), never);
  };

  test('choices in their order, and the usage of all', async () => {
    const { url } = await simulatorOf();
    const { choices, usage } = await clientOf(url).send(callOf({ n: 5 }), never);
    expect(choices).toHaveLength(5);
    expect(new Set(choices.map(({ content }) => content)).size).toBeGreaterThan(1);
    expect(usage?.prompt_tokens).toBeGreaterThan(0);
    const scripted = await answerTo(completion([{ content: 'first' }, { content: 'second' }]), 2);
    expect(scripted.choices.map(({ content }) => content)).toEqual(['first', 'second']);
  });

  test.each([
    ['none', undefined],
    ['null', null],
    ['text', { prompt_tokens: '11', completion_tokens: '22' }],
    ['half', { prompt_tokens: 11 }],
    ['beyond what a number holds', { prompt_tokens: 1e300, completion_tokens: 1 }],
  ])('usage that is %s is no usage', async (_name, usage) => {
    const answer = { ...completion([{ content: 'a' }]), usage };
    expect((await answerTo(answer)).usage).toBeNull();
  });

  test.each([
    ['as vLLM and DeepSeek name them', { content: 'yes', reasoning_content: 'I think.' }, 'yes'],
    ['as others name them', { content: 'yes', reasoning: 'I think.' }, 'yes'],
    ['of a model that was cut amid them', { content: null, reasoning_content: 'I think.' }, ''],
  ])('thoughts %s are kept apart', async (_name, message, content) => {
    const { choices } = await answerTo(completion([message]));
    expect(choices).toEqual([{ content, reasoning: 'I think.', finish_reason: 'stop' }]);
  });

  test('half a character, which no file could keep, is replaced', async () => {
    const text = JSON.stringify(completion([{ content: 'X', reasoning_content: 'Y' }]))
      .replace('X', 'a\\ud83d b')
      .replace('Y', '\\udc00');
    const { choices } = await answerTo(text);
    expect(choices[0]).toMatchObject({ content: 'a\ufffd b', reasoning: '\ufffd' });
  });

  test.each([
    ['no content', [{ content: null }]],
    ['content that is no text', [{ content: { text: 'a' } }]],
    ['no message', [null]],
  ])('a choice with %s is unusable', async (_name, messages) => {
    const body = {
      choices: messages.map((message) => ({ message, finish_reason: 'stop' })),
      usage: { prompt_tokens: 1, completion_tokens: 2 },
    };
    const failure = await failureOf(answerTo(body));
    expect(failure).toMatchObject({
      kind: 'unusable',
      usage: { prompt_tokens: 1, completion_tokens: 2 },
    });
  });
});

describe('the list of models', () => {
  test('says the context where the server does', async () => {
    const { url } = await simulatorOf({ contextTokens: 4096 });
    expect(await clientOf(url).models(5_000, never)).toEqual([
      { id: 'simulated', context_tokens: 4096 },
    ]);
  });

  test.each<[string, ReturnType<typeof says>, unknown]>([
    [
      'llama.cpp',
      says({ data: [{ id: 'm', meta: { n_ctx_train: 8192 } }] }),
      [{ id: 'm', context_tokens: 8192 }],
    ],
    ['OpenAI', says({ data: [{ id: 'm' }] }), [{ id: 'm', context_tokens: null }]],
    ['a server with entries of another kind', says({ data: [null, 3, { id: 4 }] }), []],
    ['a server without such a list', says({ error: { message: 'no' } }, 404), null],
    ['a server that takes no such question', says({ error: { message: 'no' } }, 405), null],
    ['a web page, which lists nothing', says('<html>', 200, { 'content-type': 'text/html' }), []],
  ])('of %s', async (_name, answer, expected) => {
    const { url } = await serverOf(answer);
    expect(await clientOf(url).models(5_000, never)).toEqual(expected);
  });

  test('a wrong key is not overlooked', async () => {
    const { url } = await simulatorOf({ apiKey: 'right-key' });
    expect((await failureOf(clientOf(url).models(5_000, never))).kind).toBe('denied');
  });
});
