import { randomUUID } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { createServer, request as httpRequest, type RequestListener } from 'node:http';
import https from 'node:https';
import { join } from 'node:path';
import { describe, expect, inject, onTestFinished, test } from 'vitest';
import { certificatesIn } from '../../infra/cluster/security.ts';
import { normalised, schemaText } from '../../infra/codec/avro.ts';
import {
  openConfluentRegistry,
  type ConfluentRegistry,
  type ConfluentRegistryOptions,
} from '../../infra/codec/confluent-registry.ts';
import { createSerde } from '../../infra/codec/serde.ts';
import { topics } from '../../topology/topics.ts';
import { registryContract } from '../contract/registry.ts';
import { temporaryFolder } from '../whole/support.ts';
import { ownRegistry } from './support.ts';

registryContract('Apicurio, through Confluent’s client,', async () => {
  const registry = await openConfluentRegistry({ url: inject('registryUrl') });
  return {
    registry,
    dispose: () => {
      registry.close();
      return Promise.resolve();
    },
  };
});

async function open(more: Partial<ConfluentRegistryOptions> = {}): Promise<ConfluentRegistry> {
  const registry = await openConfluentRegistry({ url: inject('registryUrl'), ...more });
  onTestFinished(() => registry.close());
  return registry;
}

const subjectOf = (name: string): string => `${name}.${randomUUID()}-value`;
const record = (fields: readonly object[], name = 'Thing'): string =>
  JSON.stringify({ type: 'record', name, namespace: 'spar', fields });
const id = { name: 'id', type: 'string' };

/** A request to the registry itself, without what our adapter knows. */
async function call(method: string, path: string, body?: object): Promise<unknown> {
  const response = await fetch(`${inject('registryUrl')}${path}`, {
    method,
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    ...(body && { body: JSON.stringify(body) }),
  });
  return response.json();
}

describe('our schemas', () => {
  const names = globSync('*.avsc', { cwd: join(import.meta.dirname, '../../schemas') })
    .map((file) => file.replace('.avsc', ''))
    .toSorted();

  test('are all here', () => {
    expect(names.length).toBeGreaterThan(10);
  });

  test.each(names)('%s registers once, and comes back with its docs and defaults', async (name) => {
    const registry = await open();
    const subject = subjectOf(name);
    const given = await registry.register(subject, schemaText(name));
    expect(await registry.register(subject, schemaText(name))).toBe(given);
    expect(await (await open()).register(subject, normalised(schemaText(name)))).toBe(given);
    expect(await call('GET', `/subjects/${subject}/versions`)).toEqual([1]);
    expect(await (await open()).byId(given)).toBe(normalised(schemaText(name)));
    expect(await registry.incompatibilities(subject, schemaText(name))).toEqual([]);
  });

  test('carry records from one process to another', async () => {
    const pipeline = `p${randomUUID()}`;
    const [writer, reader] = [
      createSerde(await open(), pipeline),
      createSerde(await open(), pipeline),
    ];
    await writer.prepare(Object.values(topics));
    const instruction = {
      ...{ id: 'a', messages: [{ role: 'user', content: 'Say “hello”.' }], constraints: [] },
      ...{
        source: 'file.jsonl',
        extra: '{}',
        source_line: 1,
        responses: [],
        added_at: 1.8e12,
        judge_by: null,
      },
    };
    const bytes = writer.encode(topics.instructions, instruction);
    expect(await reader.decode('instruction', bytes)).toEqual(instruction);
    // The same again, from another start of the writer: nothing new is registered.
    await reader.prepare(Object.values(topics));
    expect(await call('GET', `/subjects/${pipeline}.instructions-value/versions`)).toEqual([1]);
  });

  test('of a record from elsewhere that nobody registered is a dead letter', async () => {
    const serde = createSerde(await open(), 'p');
    await expect(
      Promise.resolve(serde.decode('instruction', Buffer.from([0, 0x7f, 0, 0, 0, 2]))),
    ).rejects.toMatchObject({ name: 'PermanentError', code: 'unknown-schema' });
  });
});

describe('a subject', () => {
  test('takes only what fits all its versions, from anyone: the rule is set with the first', async () => {
    const registry = await open();
    const subject = subjectOf('a');
    await registry.register(subject, record([id]));
    expect(await call('GET', `/config/${subject}`)).toEqual({
      compatibilityLevel: 'FULL_TRANSITIVE',
    });
    const incompatible = { schema: record([{ name: 'must', type: 'int' }]) };
    expect(await call('POST', `/subjects/${subject}/versions`, incompatible)).toMatchObject({
      error_code: 409,
    });
    // And so do we, with the registry's own words.
    await expect(registry.register(subject, incompatible.schema)).rejects.toThrow(
      /409 .*Incompatible artifact.*must at \/fields\/0/,
    );
    expect(await registry.latest(subject)).toMatchObject({ version: 1 });
  });

  test('that others filled without a rule gets one, and its versions are compared all the same', async () => {
    const registry = await open();
    const subject = subjectOf('a');
    const foreign = { schema: record([{ name: 'must', type: 'int' }]) };
    await call('POST', `/subjects/${subject}/versions`, foreign);
    expect(await call('GET', `/config/${subject}`)).toEqual({ compatibilityLevel: 'NONE' });
    const reasons = await registry.incompatibilities(subject, record([id]));
    expect(reasons.join('\n')).toMatch(/version 1 cannot read it/);
    await expect(registry.register(subject, record([id]))).rejects.toThrow(/409/);
    expect(await call('GET', `/config/${subject}`)).toEqual({
      compatibilityLevel: 'FULL_TRANSITIVE',
    });
  });

  test('keeps its first docs where only docs change: Apicurio counts that as the same schema', async () => {
    const registry = await open();
    const subject = subjectOf('a');
    const name = `Doc${randomUUID().replaceAll('-', '')}`;
    const first = await registry.register(subject, record([{ ...id, doc: 'One.' }], name));
    expect(await registry.register(subject, record([{ ...id, doc: 'Two.' }], name))).toBe(first);
    expect(await (await open()).byId(first)).toContain('One.');
    // So nobody may compare texts: a worker whose docs are newer would never find its schema.
    expect(await registry.idOf(subject, record([{ ...id, doc: 'Two.' }], name))).toBe(first);
  });

  test('has one version when many processes start at once', async () => {
    const subject = subjectOf('a');
    const text = record([id, { name: subject.replaceAll(/\W/g, '_'), type: 'int', default: 0 }]);
    const registries = await Promise.all(Array.from({ length: 16 }, () => open()));
    const ids = await Promise.all(registries.map((registry) => registry.register(subject, text)));
    expect(new Set(ids).size).toBe(1);
    expect(await call('GET', `/subjects/${subject}/versions`)).toEqual([1]);
  });
});

describe('a registry that goes away in mid-use', () => {
  test.each([
    ['hangs', 'did not answer within 0.5 s'],
    ['is killed', 'cannot be reached'],
  ])('%s: who knows the schema goes on, new ids wait, and then all is well', async (how, words) => {
    const server = await ownRegistry();
    const registry = await open({ url: server.url, timeoutMs: 500 });
    const serde = createSerde(registry, 'spar');
    await serde.prepare([topics.instructions]);
    const late = await open({ url: server.url, timeoutMs: 500 });
    const instruction = {
      ...{ id: 'a', messages: [], constraints: [], source: '', extra: '{}' },
      ...{ source_line: 0, responses: [], added_at: 0, judge_by: null },
    };
    const bytes = serde.encode(topics.instructions, instruction);

    if (how === 'hangs') server.pause();
    else await server.kill();
    expect(
      await serde.decode('instruction', serde.encode(topics.instructions, instruction)),
    ).toEqual(instruction);
    const asked = createSerde(late, 'spar');
    for (let round = 0; round < 2; round++) {
      const decoded = Promise.resolve(asked.decode('instruction', bytes));
      await expect(decoded).rejects.toThrow(words);
      await expect(decoded).rejects.not.toMatchObject({ name: 'PermanentError' });
    }
    await expect(late.register('other-value', record([id]))).rejects.toThrow(words);

    if (how === 'hangs') server.resume();
    else await server.restart();
    // The same ids after a kill: records that carry them can still be read.
    expect(await asked.decode('instruction', bytes)).toEqual(instruction);
    expect(await late.register('other-value', record([id]))).toBeGreaterThan(0);
  });
});

describe('a registry that is kept from strangers', () => {
  test('by TLS: the authority has to be named', async () => {
    const server = await ownRegistry({ tls: true });
    const registry = await open({ url: server.url, tls: { ca: server.certificates!.ca } });
    expect(await registry.register('a-value', record([id]))).toBeGreaterThan(0);
    await expect((await open({ url: server.url })).latest('a-value')).rejects.toThrow(
      /do not trust each other.*certificate/,
    );
    await expect(
      (await open({ url: server.url.replace('https', 'http') })).latest('a-value'),
    ).rejects.toThrow(/schema registry http:/);
  });

  /** In front of the real one, as people do whose registry has no users of its own. */
  async function gate(
    admitted: (authorization: string | undefined) => number,
    tls?: https.ServerOptions,
  ): Promise<string> {
    const listener: RequestListener = (request, response) => {
      const status = admitted(request.headers.authorization);
      if (status !== 200) {
        response.writeHead(status).end();
        return;
      }
      const { pathname } = new URL(inject('registryUrl'));
      const onward = httpRequest(
        `${new URL(inject('registryUrl')).origin}${pathname}${request.url}`,
        { method: request.method, headers: { 'content-type': request.headers['content-type'] } },
        (answer) => {
          response.writeHead(answer.statusCode ?? 502, answer.headers);
          answer.pipe(response);
        },
      );
      request.pipe(onward);
    };
    const server = tls ? https.createServer(tls, listener) : createServer(listener);
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    return `${tls ? 'https' : 'http'}://127.0.0.1:${port}`;
  }

  test('by a password or a token: the right one is let in, all others are told', async () => {
    const basic = `Basic ${Buffer.from('me:correct-password').toString('base64')}`;
    const url = await gate((authorization) => {
      if (authorization === 'Bearer reads-only-token') return 403;
      return authorization === basic || authorization === 'Bearer correct-token' ? 200 : 401;
    });
    for (const auth of [{ user: 'me', password: 'correct-password' }, { token: 'correct-token' }]) {
      const registry = await open({ url, auth });
      expect(await registry.register(subjectOf('a'), record([id]))).toBeGreaterThan(0);
    }
    for (const [auth, reason] of [
      [{ user: 'me', password: 'wrong-password' }, /does not know us \(401/],
      [{ token: 'wrong-token' }, /does not know us \(401/],
      [undefined, /does not know us \(401/],
      [{ token: 'reads-only-token' }, /does not allow it \(403/],
    ] as const) {
      const failed = (await open({ url, auth })).register(subjectOf('a'), record([id]));
      await expect(failed).rejects.toThrow(reason);
      await expect(failed).rejects.not.toThrow(/wrong-|reads-only/);
    }
  });

  test('by certificates: a client that has none is refused', async () => {
    const made = await certificatesIn(temporaryFolder());
    const url = await gate(() => 200, {
      ca: made.ca,
      cert: readFileSync(made.server.certificate),
      key: readFileSync(made.server.key),
      requestCert: true,
      rejectUnauthorized: true,
    });
    const { ca, certificate, key } = made;
    const registry = await open({ url, tls: { ca, certificate, key } });
    expect(await registry.register(subjectOf('a'), record([id]))).toBeGreaterThan(0);
    await expect((await open({ url, tls: { ca } })).latest('a-value')).rejects.toThrow(
      /do not trust each other|cannot be reached/,
    );
  });
});
