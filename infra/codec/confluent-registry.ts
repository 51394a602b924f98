import { PermanentError } from '../../processors/processor.ts';
import type { RegistrySettings } from '../config/cluster.ts';
import { Unavailable } from '../errors.ts';
import type { SchemaRegistry } from './registry.ts';

/** Until the real one is merged. */
export function openConfluentRegistry({ url }: RegistrySettings): SchemaRegistry {
  const ask = async (path: string, method = 'GET', body?: unknown): Promise<unknown> => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    }).catch((error: unknown) => {
      throw new Unavailable(`${url} does not answer`, { cause: error });
    });
    if (response.status === 404) return null;
    if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
    return response.json();
  };
  const versionOf = async (subject: string, version: string) => {
    const found = (await ask(`/subjects/${subject}/versions/${version}`)) as {
      id: number;
      version: number;
      schema: string;
    } | null;
    return found && { id: found.id, version: found.version, schema: found.schema };
  };
  return {
    async register(subject, schema) {
      await ask(`/config/${subject}`, 'PUT', { compatibility: 'FULL_TRANSITIVE' });
      const { id } = (await ask(`/subjects/${subject}/versions?normalize=true`, 'POST', {
        schema,
      })) as {
        id: number;
      };
      return id;
    },
    async byId(id) {
      const found = (await ask(`/schemas/ids/${id}`)) as { schema: string } | null;
      if (!found)
        throw new PermanentError('unknown-schema', `no schema has the id ${id} in ${url}`);
      return found.schema;
    },
    latest: (subject) => versionOf(subject, 'latest'),
    byVersion: (subject, version) => versionOf(subject, String(version)),
    async incompatibilities(subject, schema) {
      const found = (await ask(`/compatibility/subjects/${subject}/versions?verbose=true`, 'POST', {
        schema,
      })) as { is_compatible: boolean; messages?: string[] } | null;
      return !found || found.is_compatible ? [] : (found.messages ?? ['incompatible']);
    },
  };
}
