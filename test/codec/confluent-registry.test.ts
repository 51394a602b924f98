import { execFileSync } from 'node:child_process';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { inspect } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  openConfluentRegistry,
  type ConfluentRegistry,
  type ConfluentRegistryOptions,
} from '../../infra/codec/confluent-registry.ts';
import { UsageError } from '../../infra/errors.ts';

/**
 * What the adapter makes of answers that a well-kept registry does not give. That it works with a real one, the suite
 * of the port shows in `test/kafka/`.
 */
async function server(answer: RequestListener): Promise<string> {
  const started = createServer(answer);
  onTestFinished(() => {
    started.closeAllConnections();
    started.close();
  });
  await new Promise<void>((resolve) => started.listen(0, '127.0.0.1', resolve));
  const address = started.address();
  return `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`;
}

async function open(options: ConfluentRegistryOptions): Promise<ConfluentRegistry> {
  const registry = await openConfluentRegistry(options);
  onTestFinished(() => registry.close());
  return registry;
}

/** A server that answers everything in one way. */
const always = (status: number, body: unknown, headers: Readonly<Record<string, string>> = {}) =>
  server((_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  });

async function failure(work: Promise<unknown>): Promise<Error> {
  try {
    await work;
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error('it did not fail');
}

const text = '{"type":"record","name":"A","fields":[]}';
const unknown = { error_code: 40_403, message: 'Schema not found' };

describe('an id', () => {
  test('that the registry says it never gave out is a permanent error', async () => {
    const registry = await open({ url: await always(404, unknown) });
    expect(await failure(registry.byId(1))).toMatchObject({
      ...{ name: 'PermanentError', code: 'unknown-schema' },
      message: expect.stringContaining('the id 1 in the schema registry http://') as unknown,
    });
  });

  test('that was seen once is known for good, whatever becomes of the registry', async () => {
    let up = true;
    let asked = 0;
    const url = await server((_request, response) => {
      asked += 1;
      response.writeHead(up ? 200 : 503, { 'content-type': 'application/json' });
      response.end(JSON.stringify(up ? { schema: text } : { error_code: 1, message: 'down' }));
    });
    const registry = await open({ url });
    expect(await registry.byId(7)).toBe(text);
    up = false;
    expect(await registry.byId(7)).toBe(text);
    expect(asked).toBe(1);
    expect((await failure(registry.byId(8))).name).not.toBe('PermanentError');
    up = true;
    expect(await registry.byId(8)).toBe(text);
  });

  test.each([
    [
      'another kind of schema',
      { schema: 'syntax = "proto3";', schemaType: 'PROTOBUF' },
      /PROTOBUF/,
    ],
    ['one that leans on others', { schema: text, references: [{ name: 'b' }] }, /refers to other/],
    ['text that is no JSON', { schema: 'record A {}' }, /no JSON/],
  ])('of %s is a permanent error, too', async (_name, body, reason) => {
    const registry = await open({ url: await always(200, body) });
    const error = await failure(registry.byId(1));
    expect(error).toMatchObject({ name: 'PermanentError', code: 'decode' });
    expect(error.message).toMatch(reason);
  });
});

describe('what goes wrong is a sentence with the URL, and may pass', () => {
  const page = '<html><body>Sign in</body></html>';
  test.each([
    [
      'wrong credentials',
      401,
      { error_code: 401, message: 'no' },
      {},
      /401.*user and the password/,
    ],
    ['a missing right', 403, { error_code: 403, message: 'no' }, {}, /403.*right/],
    ['a path that leads nowhere', 404, page, {}, /404.*ccompat/],
    ['a path that leads nowhere, empty', 404, '', {}, /404.*ccompat/],
    ['another kind of 404', 404, { error: 'Not Found' }, {}, /404.*ccompat/],
    ['a redirect', 302, '', { location: '/login' }, /302.*log in/],
    ['a page instead of an answer', 200, page, { 'content-type': 'text/html' }, /no JSON/],
    ['nothing instead of an answer', 200, '', {}, /no JSON/],
    ['JSON that is something else', 200, { hello: 1 }, {}, /no schema came/],
    ['trouble of its own', 500, { error_code: 50_001, message: 'store is away' }, {}, /500.*away/],
    ['too much to do', 429, '', {}, /429/],
    ['a proxy that finds nobody', 502, page, {}, /502/],
  ] as const)('%s', async (_name, status, body, headers, reason) => {
    const url = await always(status, body, headers);
    const registry = await open({ url });
    const error = await failure(registry.byId(1));
    expect(error.name).toBe('Unavailable');
    expect(error.message).toMatch(reason);
    expect(error.message).toContain(url);
    expect(error.message).not.toMatch(/\n|undefined|\[object/);
  });

  test('a registry that is down', async () => {
    const url = await always(200, {});
    const registry = await open({ url: url.replace(/\d+$/, '1') });
    const error = await failure(registry.byId(1));
    expect(error.message).toMatch(
      /^the schema registry http:\/\/127\.0\.0\.1:1 cannot be reached \(the schema 1\): .*ECONNREFUSED.*Is it up/,
    );
    expect(error.name).toBe('Unavailable');
  });

  test('a registry that hangs, in time', async () => {
    const registry = await open({ url: await server(() => undefined), timeoutMs: 100 });
    const before = performance.now();
    const error = await failure(registry.latest('a-value'));
    expect(performance.now() - before).toBeLessThan(2000);
    expect(error.message).toMatch(/did not answer within 0\.1 s/);
  });

  test('a registry that breaks off in the midst of an answer', async () => {
    const url = await server((_request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('{"schema"');
      setImmediate(() => response.destroy());
    });
    const error = await failure((await open({ url })).byId(1));
    expect(error.name).toBe('Unavailable');
    expect(error.message).toContain(url);
  });

  test('an answer to another question, which is not remembered', async () => {
    let asked = 0;
    const url = await server((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(asked++ === 0 ? { hello: 1 } : { schema: text }));
    });
    const registry = await open({ url });
    await failure(registry.byId(1));
    expect(await registry.byId(1)).toBe(text);
  });

  test('a verdict, an id or a list that is none', async () => {
    const registry = await open({ url: await always(200, { id: 'seven' }) });
    expect((await failure(registry.register('a-value', text))).message).toMatch(
      /a number was expected, and 'seven' came/,
    );
    expect((await failure(registry.incompatibilities('a-value', text))).name).toBe('Unavailable');
  });
});

describe('credentials', () => {
  /** What the server sees, and what it says back of it, as bad ones do. */
  async function echo(): Promise<{ readonly url: string; readonly seen: IncomingMessage[] }> {
    const seen: IncomingMessage[] = [];
    const url = await server((request, response) => {
      seen.push(request);
      const message = `cannot use ${request.headers.authorization}, hunter2hunter2`;
      response.writeHead(500, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ error_code: 50_001, message }));
    });
    return { url, seen };
  }
  const encoded = (text: string) => Buffer.from(text).toString('base64');

  test.each([
    [
      'user and password',
      { auth: { user: 'me', password: 'hunter2hunter2' } },
      `Basic ${encoded('me:hunter2hunter2')}`,
    ],
    ['a token', { auth: { token: 'hunter2hunter2' } }, 'Bearer hunter2hunter2'],
    ['none', {}, undefined],
  ])('%s are sent, and stand in no error', async (_name, more, header) => {
    const { url, seen } = await echo();
    const error = await failure((await open({ url, ...more })).byId(1));
    expect(seen[0]?.headers.authorization).toBe(header);
    if (header === undefined) return;
    const everything = inspect(error, { depth: 20, showHidden: true, getters: true });
    expect(everything).toContain('[redacted]');
    expect(everything).not.toContain('hunter2');
    expect(everything).not.toContain(encoded('me:hunter2hunter2'));
  });

  test('in the URL are sent, and are no part of what is shown or compared', async () => {
    const { url, seen } = await echo();
    const registry = await open({ url: `${url.replace('//', '//m%40e:hunter2hunter2@')}/api/` });
    const error = await failure(registry.byId(1));
    expect(seen[0]?.headers.authorization).toBe(`Basic ${encoded('m@e:hunter2hunter2')}`);
    expect(seen[0]?.url).toMatch(/^\/api\/schemas\/ids\/1\b/);
    expect(registry.identity).toBe(`${url}/api`);
    expect(inspect(error, { depth: 20, showHidden: true })).not.toContain('hunter2');
  });

  test.each([
    ['mock://registry', {}],
    ['localhost:8081', {}],
    ['', {}],
    ['http://a:8081,', {}],
    ['http://a:8081', { tls: { certificate: 'x' } }],
    ['http://a:8081', { tls: { key: 'hunter2hunter2' } }],
    ['ftp://me:hunter2hunter2@a', {}],
  ])('%s with %j is refused before anything is asked', async (url, more) => {
    const error = await failure(openConfluentRegistry({ url, ...more }));
    expect(error).toBeInstanceOf(UsageError);
    expect(error.message).not.toContain('hunter2');
  });
});

test('a second server of the same registry is asked where the first one fails', async () => {
  const [down, up] = [await always(503, ''), await always(200, { schema: text })];
  const registry = await open({ url: `${down}, ${up}` });
  expect(await registry.byId(1)).toBe(text);
  expect(registry.identity).toBe(`${down},${up}`);
});

test("the registry's own reasons become sentences, without the schema that follows them", async () => {
  const url = await server((request, response) => {
    const body = request.url?.startsWith('/compatibility')
      ? {
          is_compatible: false,
          messages: [
            "{errorType:'NAME_MISMATCH', description:'The name of the schema has changed (path '/name')', additionalInfo:'expected: B'}",
            '{oldSchemaVersion: 1}',
            `{oldSchema: '${text}'}`,
            "{compatibility: 'FULL_TRANSITIVE'}",
          ],
        }
      : request.url?.includes('/versions/')
        ? { id: 1, version: 1, subject: 'a-value', schema: text }
        : [1];
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  });
  expect(await (await open({ url })).incompatibilities('a-value', text)).toEqual([
    "version 1 against it: The name of the schema has changed (path '/name')",
  ]);
});

test('of two that set the rule of a subject at once, the one that is told of a conflict goes on', async () => {
  let asked = 0;
  const url = await server((request, response) => {
    const answer = (status: number, body: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    };
    if (request.method === 'PUT') answer(409, { error_code: 409, message: 'already exists' });
    else if (request.url?.startsWith('/config')) {
      answer(200, { compatibilityLevel: asked++ === 0 ? 'NONE' : 'FULL_TRANSITIVE' });
    } else if (request.url?.includes('/versions')) answer(200, { id: 5 });
    else answer(404, unknown);
  });
  expect(await (await open({ url })).register('a-value', text)).toBe(5);
});

test('a rule that cannot be set stops the registration', async () => {
  const url = await server((request, response) => {
    const status = request.method === 'PUT' ? 403 : 404;
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(unknown));
  });
  await expect((await open({ url })).register('a-value', text)).rejects.toThrow(
    /403, setting the compatibility rule of a-value to FULL_TRANSITIVE/,
  );
});

test('the client with its 171 MB is loaded only when a registry is opened', () => {
  const script = `
    const { openConfluentRegistry } = await import('./infra/codec/confluent-registry.ts');
    const { createRequire } = await import('node:module');
    const loaded = () => Object.keys(createRequire(import.meta.url).cache).some((path) => path.includes('schemaregistry'));
    const before = loaded();
    (await openConfluentRegistry({ url: 'http://127.0.0.1:1' })).close();
    console.log(before, loaded());
  `;
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: new URL('../..', import.meta.url),
    encoding: 'utf8',
  });
  expect(output.trim()).toBe('false true');
});
