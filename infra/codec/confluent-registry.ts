import type { SchemaInfo, SchemaMetadata } from '@confluentinc/schemaregistry';
import http from 'node:http';
import https from 'node:https';
import { inspect } from 'node:util';
import { PermanentError } from '../../processors/processor.ts';
import { Unavailable, UsageError } from '../errors.ts';
import { messageOf, oneLine, withoutSecrets } from '../text.ts';
import { misfits, normalised, parseSchema } from './avro.ts';
import type { SchemaRegistry, SchemaVersion } from './registry.ts';

/** A registry that speaks Confluent's API: their own, Apicurio, Karapace and others. */
export interface ConfluentRegistry extends SchemaRegistry {
  /**
   * What tells this registry from others, since an id means nothing to another one: its URL without credentials. The
   * API has no name for it that all of them know.
   */
  readonly identity: string;
  /** Closes its connections. */
  close(): void;
}

export interface ConfluentRegistryOptions {
  /** Up to where `/subjects` would follow; several servers of one registry with commas in between. */
  readonly url: string;
  /** How long one request may take in all, milliseconds; 10 s if nothing is said. */
  readonly timeoutMs?: number | undefined;
  /** Instead of credentials within the URL. */
  readonly auth?: Auth | undefined;
  readonly tls?: Tls | undefined;
}

export type Auth =
  { readonly user: string; readonly password: string } | { readonly token: string };

/** In PEM. */
export interface Tls {
  /** An authority of one's own, in place of the system's. */
  readonly ca?: string | undefined;
  /** For a registry that knows its clients by certificates. */
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
}

const timeoutMsDefault = 10_000;
/** What the client remembers of a version is for ever true, but not which one is the last. */
const rememberedSeconds = 60;
/** Schemas have some kB. */
const answerBytesMax = 16 * 1024 * 1024;

/**
 * The registry behind the URL, through Confluent's own client. Only its look-ups are used: its serde takes types from
 * values.
 *
 * All that goes wrong is an ordinary error, which may pass, with one exception: the registry itself says that it never
 * gave out an id.
 *
 * @throws UsageError if the URL is none, or a certificate comes without its key; nothing is asked yet
 */
export async function openConfluentRegistry(
  options: ConfluentRegistryOptions,
): Promise<ConfluentRegistry> {
  const { timeoutMs = timeoutMsDefault } = options;
  const { urls, auth } = addressIn(options);
  const agents = {
    httpAgent: new http.Agent({ keepAlive: true }),
    httpsAgent: new https.Agent({ keepAlive: true, ...tlsFrom(options.tls) }),
  };
  // Half a second and 171 MB, for those alone who have such a registry.
  const { Compatibility, SchemaRegistryClient } = await import('@confluentinc/schemaregistry');
  const client = new SchemaRegistryClient({
    baseURLs: [...urls],
    cacheLatestTtlSecs: rememberedSeconds,
    // Whoever asks will ask again: only one layer does.
    maxRetries: 0,
    createAxiosDefaults: {
      ...agents,
      timeout: timeoutMs,
      // A page to log in at is no answer.
      maxRedirects: 0,
      maxContentLength: answerBytesMax,
      // Confluent's own tells the reasons with a verdict, if asked.
      params: { verbose: true },
      transformResponse: [answerFrom],
      headers: authorization(auth),
    },
  });
  const where = `the schema registry ${urls.join(',')}`;
  const secrets = secretsIn(auth, options.tls);
  const texts = new Map<number, string>();

  /** What a request fails with leaves here as a sentence: the client's errors carry the request, credentials included. */
  async function ask<Answer>(what: string, request: () => Promise<Answer>): Promise<Answer> {
    try {
      return await request();
    } catch (error) {
      if (error instanceof Incompatible || error instanceof PermanentError) throw error;
      // The client remembers an answer before anyone has looked at it.
      if (isUnusable(error)) client.clearCaches();
      const sentence = sentenceFor(error, where, what, timeoutMs);
      throw new RegistryError(
        oneLine(withoutSecrets(sentence, secrets), sentenceLength),
        isMissing(error),
      );
    }
  }

  /** Null if the registry says that there is no such thing. */
  async function find<Answer>(
    what: string,
    request: () => Promise<Answer>,
  ): Promise<Answer | null> {
    try {
      return await ask(what, request);
    } catch (error) {
      if (error instanceof RegistryError && error.missing) return null;
      throw error;
    }
  }

  const versionOf = (subject: string, version: number): Promise<SchemaVersion | null> =>
    find(`version ${version} of ${subject}`, async () =>
      versionFrom(await client.getSchemaMetadata(subject, version)),
    );

  const knownAs = (subject: string, info: SchemaInfo): Promise<number | null> =>
    find(`the schema of ${subject}`, async () =>
      numberFrom(await client.getId(subject, info, true)),
    );

  /** Registries come with other rules: Apicurio with none, Confluent's with one that looks at the last version only. */
  async function demandCompatibility(subject: string): Promise<void> {
    const rule = Compatibility.FULL_TRANSITIVE;
    const isSet = async (): Promise<boolean> =>
      rule ===
      (await find(`the compatibility rule of ${subject}`, () => client.getCompatibility(subject)));
    if (await isSet()) return;
    try {
      await ask(`setting the compatibility rule of ${subject} to ${rule}`, () =>
        client.updateCompatibility(subject, rule),
      );
    } catch (error) {
      // Of several that start at once one sets it, and Apicurio tells the others of a conflict.
      if (!(await isSet())) throw error;
    }
  }

  /** What the registry has against the schema by its own rules, in its words if it has any; null if nothing. */
  async function objections(
    subject: string,
    version: number,
    info: SchemaInfo,
  ): Promise<readonly string[] | null> {
    try {
      await ask(`comparing a schema with version ${version} of ${subject}`, async () =>
        verdictFrom(await client.testCompatibility(subject, version, info)),
      );
      return null;
    } catch (error) {
      if (error instanceof Incompatible) return error.reasons;
      throw error;
    }
  }

  return {
    identity: urls.join(','),

    async register(subject, schema) {
      parseSchema(schema);
      const info = infoOf(schema);
      // Looked up first: most starts find it, and then need no right to write.
      const known = await knownAs(subject, info);
      if (known === null) await demandCompatibility(subject);
      const id =
        known ??
        (await ask(`registering a schema for ${subject}`, async () =>
          numberFrom(await client.register(subject, info, true)),
        ));
      client.clearLatestCaches();
      if (!texts.has(id)) texts.set(id, normalised(schema));
      return id;
    },

    async idOf(subject, schema) {
      parseSchema(schema);
      return knownAs(subject, infoOf(schema));
    },

    async byId(id) {
      const known = texts.get(id);
      if (known !== undefined) return known;
      const text = await find(`the schema ${id}`, async () =>
        textFrom(await client.getBySubjectAndId('', id), `schema ${id} of ${where}`),
      );
      if (text === null) {
        throw new PermanentError('unknown-schema', `no schema has the id ${id} in ${where}`);
      }
      texts.set(id, text);
      return text;
    },

    latest: (subject) =>
      find(`the last version of ${subject}`, async () =>
        versionFrom(await client.getLatestSchemaMetadata(subject)),
      ),

    byVersion: versionOf,

    async incompatibilities(subject, schema) {
      const type = parseSchema(schema);
      const versions =
        (await find(`the versions of ${subject}`, async () =>
          numbersFrom(await client.getAllVersions(subject)),
        )) ?? [];
      const reasons: string[] = [];
      for (const version of versions) {
        const before = await versionOf(subject, version);
        if (!before) continue;
        // Both are asked: the registry may still follow another rule, and Apicurio gives no reasons.
        const ours = misfits(type, before);
        const theirs = await objections(subject, version, infoOf(schema));
        const told = theirs ?? [];
        reasons.push(...ours, ...told.map((reason) => `version ${version} against it: ${reason}`));
        if (theirs?.length === 0 && ours.length === 0) {
          reasons.push(`${where} says that it does not fit version ${version}, and not why`);
        }
      }
      return reasons;
    },

    close() {
      void client.close();
      agents.httpAgent.destroy();
      agents.httpsAgent.destroy();
    },
  };
}

/** A request that failed; it may succeed later, or when someone has mended what the sentence says. */
class RegistryError extends Unavailable {
  /** The registry said that there is no such thing. */
  readonly missing: boolean;

  constructor(message: string, missing: boolean) {
    super(message);
    this.missing = missing;
  }
}

/** The registry's answer that a schema does not fit, as an error: the client hands out the verdict alone. */
class Incompatible extends Error {
  readonly reasons: readonly string[];

  constructor(messages: unknown) {
    super('incompatible');
    this.reasons = Array.isArray(messages) ? messages.flatMap(reasonIn) : [];
  }
}

/** Of `{errorType:'…', description:'…', additionalInfo:'…'}` the sentence; the whole old schema follows, and is left out. */
function reasonIn(message: unknown): readonly string[] {
  const text = String(message);
  const [, description] = /description:'(.*)', additionalInfo:/s.exec(text) ?? [];
  if (description !== undefined) return [oneLine(description, sentenceLength)];
  return /^\{(?:oldSchema|validateFields|compatibility)/.test(text)
    ? []
    : [oneLine(text, sentenceLength)];
}

/** Long enough for two names and a reason. */
const sentenceLength = 500;

/** @throws Error if it is no JSON, whatever its status says: a proxy's page is no answer */
function answerFrom(data: unknown, _headers: unknown, status?: number): unknown {
  let answer: unknown;
  try {
    answer = JSON.parse(String(data));
  } catch {
    answer = null;
  }
  if (typeof answer === 'object' && answer !== null) {
    if ('is_compatible' in answer && answer.is_compatible === false) {
      throw new Incompatible('messages' in answer ? answer.messages : []);
    }
    return answer;
  }
  // A failure is told by its status; of a success something was expected.
  if (status === undefined || status >= 300) return null;
  throw new Error(
    'the answer is no JSON: is this the address of a registry, or of a page before it?',
  );
}

/** The registry's own word for "no such subject, version or schema"; a 404 without it is a path that leads nowhere. */
function isMissing(error: unknown): boolean {
  const { status, errorCode } = detailsOf(error);
  return status === 404 && errorCode >= 40_400 && errorCode < 40_500;
}

/** An answer came, and it was none to the question. */
function isUnusable(error: unknown): boolean {
  const { status, code } = detailsOf(error);
  return status === null && code === '';
}

function sentenceFor(error: unknown, where: string, what: string, timeoutMs: number): string {
  const { status, code } = detailsOf(error);
  if (status === null) {
    if (code === 'ECONNABORTED' || code === 'ETIMEDOUT') {
      return `${where} did not answer within ${timeoutMs / 1000} s (${what}): is it up?`;
    }
    if (/CERT|SIGNATURE|SSL|TLS/.test(code)) {
      return `${where} and we do not trust each other (${what}): ${messageOf(error)}. Are the authority and the client's certificate the right ones?`;
    }
    const why = messageOf(error) || code;
    return isUnusable(error)
      ? `${where} gave an answer that cannot be used (${what}): ${why}`
      : `${where} cannot be reached (${what}): ${why}. Is it up, and the URL right?`;
  }
  const said = messageOf(error).replace(/; Error code: -?\d+$/, '');
  if (status === 401) {
    return `${where} does not know us (401, ${what}): check the user and the password, or the token`;
  }
  if (status === 403) {
    return `${where} does not allow it (403, ${what}): give the user of these credentials the right to`;
  }
  if (status === 404 && !isMissing(error)) {
    return `${where} has nothing there (404, ${what}): the URL goes up to where /subjects would follow, such as …/apis/ccompat/v7`;
  }
  if (status < 400) {
    return `${where} sends us elsewhere (${status}, ${what}): is there a page to log in at before it?`;
  }
  return `${where} answered ${status} (${what}): ${said}`;
}

/** The client throws its own errors for answers, and axios's where there was none. */
function detailsOf(error: unknown): {
  readonly status: number | null;
  readonly errorCode: number;
  readonly code: string;
} {
  const known = error as {
    readonly status?: unknown;
    readonly errorCode?: unknown;
    readonly code?: unknown;
  } | null;
  const number = (value: unknown) => (typeof value === 'number' ? value : null);
  return {
    status: number(known?.status),
    errorCode: number(known?.errorCode) ?? -1,
    code: typeof known?.code === 'string' ? known.code : '',
  };
}

/**
 * The same for every way to write it. Apicurio takes `"{}"` for an object that got its quotes by mistake, strips them
 * (3.0.9, in its Confluent API), and refuses what is left of a default of ours; JSON has another way to write a brace.
 */
const infoOf = (schema: string): SchemaInfo => ({
  schema: normalised(schema).replaceAll('"{', '"\\u007b'),
  schemaType: 'AVRO',
});

function numberFrom(value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  throw new Error(`a number was expected, and ${oneLine(inspect(value))} came`);
}

function numbersFrom(list: unknown): readonly number[] {
  if (Array.isArray(list)) return list.map(numberFrom);
  throw new Error('a list of versions was expected');
}

function verdictFrom(verdict: unknown): void {
  if (verdict !== true) throw new Error('a verdict was expected');
}

const versionFrom = (found: SchemaMetadata): SchemaVersion => ({
  id: numberFrom(found.id),
  version: numberFrom(found.version),
  schema: textFrom(found, `version ${found.version} of ${found.subject}`),
});

/** @throws PermanentError if it is a schema of another kind, or one that leans on others */
function textFrom({ schema, schemaType, references }: SchemaInfo, what: string): string {
  if (typeof schema !== 'string') throw new Error(`no schema came for ${what}`);
  if ((schemaType ?? 'AVRO') !== 'AVRO') {
    throw new PermanentError('decode', `${what} is ${oneLine(schemaType ?? '')}, and not Avro`);
  }
  if (references && references.length > 0) {
    throw new PermanentError('decode', `${what} refers to other schemas, which ours never do`);
  }
  try {
    return normalised(schema);
  } catch (error) {
    throw new PermanentError('decode', `${what} is no JSON: ${messageOf(error)}`, { cause: error });
  }
}

/** @throws UsageError if one of the URLs is none */
function addressIn({ url, auth }: ConfluentRegistryOptions): {
  readonly urls: readonly string[];
  readonly auth: Auth | undefined;
} {
  const parsed = url.split(',').map((text) => {
    const one = URL.parse(text.trim());
    if (one && ['http:', 'https:'].includes(one.protocol)) return one;
    // Whatever it is, it may have a password in it.
    const shown = oneLine(text.replace(/\/\/.*@/s, '//'));
    throw new UsageError(
      `the URL of the schema registry begins with http:// or https://: ${shown}`,
    );
  });
  const named = parsed.find(({ username }) => username !== '');
  const within = named && {
    user: decodeURIComponent(named.username),
    password: decodeURIComponent(named.password),
  };
  const urls = parsed.map(({ origin, pathname }) => `${origin}${pathname}`.replace(/\/+$/, ''));
  return { urls, auth: auth ?? within };
}

const authorization = (auth: Auth | undefined): Readonly<Record<string, string>> => {
  if (!auth) return {};
  return { Authorization: 'token' in auth ? `Bearer ${auth.token}` : `Basic ${basic(auth)}` };
};

const basic = ({ user, password }: { readonly user: string; readonly password: string }): string =>
  Buffer.from(`${user}:${password}`).toString('base64');

/** @throws UsageError if only one of certificate and key is there */
function tlsFrom({ ca, certificate, key }: Tls = {}): https.AgentOptions {
  if ((certificate === undefined) !== (key === undefined)) {
    throw new UsageError('the schema registry needs certificate and key of the client, or neither');
  }
  return {
    ...(ca !== undefined && { ca }),
    ...(certificate !== undefined && { cert: certificate }),
    ...(key !== undefined && { key }),
  };
}

/** No sentence of ours has them; what a server answers might. */
function secretsIn(auth: Auth | undefined, tls: Tls = {}): readonly string[] {
  const key = tls.key === undefined ? [] : [tls.key];
  if (!auth) return key;
  return 'token' in auth ? [...key, auth.token] : [...key, auth.password, basic(auth)];
}
