import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A hub with one repository, as far as `@huggingface/hub` asks of it; what is in it, and what was asked. */
export interface HubServer {
  readonly url: string;
  /** Null until the repository is made. */
  files: Map<string, string> | null;
  readonly requests: { readonly method: string; readonly path: string; readonly token: string }[];
  readonly commits: { readonly title: string; readonly paths: readonly string[] }[];
  visibility: string | null;
  /** With what every further request is answered, in place of the truth. */
  refuseWith: number | null;
  close(): Promise<void>;
}

/** What requests say, as far as anybody looks at it. */
interface Asked {
  readonly visibility: string;
  readonly files: readonly { readonly path: string }[];
  readonly objects: readonly { readonly oid: string }[];
}

interface Line {
  readonly key: string;
  readonly value: {
    readonly summary: string;
    readonly path: string;
    readonly content: string;
    readonly oid: string;
  };
}

/** Large files go the way of LFS, as they do on the real one; text is a part of the commit. */
export async function startHub(): Promise<HubServer> {
  const objects = new Map<string, Buffer>();
  const hub: HubServer = {
    url: '',
    files: null,
    requests: [],
    commits: [],
    visibility: null,
    refuseWith: null,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };

  const commit = (body: string): object => {
    const files = hub.files ?? new Map<string, string>();
    const paths: string[] = [];
    let title = '';
    for (const line of body.split('\n')) {
      const { key, value } = JSON.parse(line) as Line;
      if (key === 'header') title = value.summary;
      else paths.push(`${key} ${value.path}`);
      if (key === 'file') files.set(value.path, Buffer.from(value.content, 'base64').toString());
      if (key === 'lfsFile') files.set(value.path, objects.get(value.oid)!.toString('latin1'));
      if (key === 'deletedFile') files.delete(value.path);
    }
    hub.files = files;
    hub.commits.push({ title, paths });
    return { commitOid: 'c1', commitUrl: `${hub.url}/commit/c1`, hookOutput: '' };
  };

  const answer = (method: string, path: string, body: Buffer): object | null => {
    const json = () => JSON.parse(body.toString()) as Asked;
    if (path === '/api/repos/create') {
      hub.files = new Map();
      hub.visibility = json().visibility;
      return { url: `${hub.url}/datasets/me/pairs`, id: '1' };
    }
    if (path.startsWith('/object/')) {
      objects.set(path.slice('/object/'.length), body);
      return {};
    }
    if (hub.files === null) return null;
    if (path === '/api/datasets/me/pairs') return { id: '1' };
    if (path === '/api/datasets/me/pairs/tree/main') {
      return [...hub.files.keys()].map((file) => ({ type: 'file', path: file, size: 1, oid: 'x' }));
    }
    if (path === '/api/datasets/me/pairs/preupload/main') {
      return {
        files: json().files.map(({ path: file }) => ({
          path: file,
          uploadMode: file.endsWith('.parquet') ? 'lfs' : 'regular',
        })),
      };
    }
    if (path === '/datasets/me/pairs.git/info/lfs/objects/batch') {
      return {
        transfer: 'basic',
        objects: json().objects.map(({ oid }) => ({
          oid,
          actions: { upload: { href: `${hub.url}/object/${oid}` } },
        })),
      };
    }
    return method === 'POST' && path === '/api/datasets/me/pairs/commit/main'
      ? commit(body.toString())
      : null;
  };

  const server = createServer((request, response) => {
    void bodyOf(request).then((body) => {
      const { method = '', url = '', headers } = request;
      const [path = ''] = url.split('?');
      hub.requests.push({ method, path, token: headers.authorization ?? '' });
      response.setHeader('content-type', 'application/json');
      const found = hub.refuseWith === null ? answer(method, path, body) : null;
      response.statusCode = hub.refuseWith ?? (found === null ? 404 : 200);
      response.end(JSON.stringify(found ?? { error: `no: ${headers.authorization}` }));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return Object.assign(hub, { url });
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks = await Array.fromAsync(request as AsyncIterable<Buffer>);
  return Buffer.concat(chunks);
}

export const sha256 = (text: string): string =>
  createHash('sha256').update(text, 'latin1').digest('hex');
