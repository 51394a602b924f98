import { openAsBlob } from 'node:fs';
import { join } from 'node:path';
import { RunError, UsageError } from '../errors.ts';
import { messageOf, oneLine, withoutSecrets } from '../text.ts';
import type { ExportedFile } from './files.ts';

export interface PushRequest {
  /** `OWNER/NAME` of a data set. */
  readonly repository: string;
  readonly token: string;
  /** Where the hub is; null for the one that the package knows. */
  readonly url: string | null;
  /** Whether everybody may see a repository that has to be made. */
  readonly isPublic: boolean;
  /** The folder of a whole export that has files for a hub. */
  readonly folder: string;
  readonly files: readonly ExportedFile[];
}

export interface PushReport {
  readonly repository: string;
  /** The page of the commit, as the hub names it. */
  readonly commit: string | null;
  readonly uploaded: readonly string[];
  readonly removed: readonly string[];
}

const part = 'huggingface/';

/** Says that a repository is ours, and what is in it. */
const markName = 'spar.json';

/** What an export may put into a repository; whatever else is in it stays. */
const isOurs = (path: string): boolean => /^\w+\/(train|test)\.parquet$/.test(path);

/** A request that takes longer than this is not answered any more. */
const requestMsMax = 60 * 60 * 1000;

/**
 * Puts the hub's folder of an export into a repository, in one commit: a reader never sees half of it. Files of an
 * export before that this one has not are removed.
 *
 * @throws UsageError if the repository holds something else, or the package for it is not installed; RunError if the
 *   hub refuses
 */
export async function pushExport(request: PushRequest): Promise<PushReport> {
  const hub = await hubPackage();
  const ours = request.files.filter(({ path }) => path.startsWith(part));
  if (ours.length === 0) throw new RunError(`${request.folder} has no files for a hub`);
  try {
    return await push(hub, request, ours);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const why = withoutSecrets(messageOf(error), [request.token]);
    throw new RunError(`nothing was pushed to ${request.repository}: ${oneLine(why, 500)}`, {
      cause: error,
    });
  }
}

async function push(
  hub: Hub,
  { repository, token, url, isPublic, folder }: PushRequest,
  files: readonly ExportedFile[],
): Promise<PushReport> {
  const access = {
    repo: { type: 'dataset', name: repository } as const,
    accessToken: token,
    fetch: bounded,
    ...(url === null ? {} : { hubUrl: url }),
  };
  const isThere = await hub.repoExists(access);
  if (!isThere) {
    await hub.createRepo({ ...access, visibility: isPublic ? 'public' : 'private' });
  }
  const there = isThere ? await pathsIn(hub, access) : [];
  if (there.some((path) => path !== '.gitattributes') && !there.includes(markName)) {
    throw new UsageError(
      `${repository} holds something that is no export of spar: name another repository`,
    );
  }
  const uploaded = files.map(({ path }) => path.slice(part.length));
  const removed = there.filter((path) => isOurs(path) && !uploaded.includes(path));
  const contents = await Promise.all(
    files.map(async ({ path }) => ({
      operation: 'addOrUpdate' as const,
      path: path.slice(part.length),
      content: await openAsBlob(join(folder, path)),
    })),
  );
  const rows = files.reduce((sum, file) => sum + (file.rows ?? 0), 0);
  const commit = await hub.commit({
    ...access,
    title: `spar export: ${rows} rows`,
    operations: [
      ...contents,
      { operation: 'addOrUpdate', path: markName, content: new Blob([mark(files)]) },
      ...removed.map((path) => ({ operation: 'delete' as const, path })),
    ],
  });
  return { repository, commit: commit?.commit.url ?? null, uploaded, removed };
}

function mark(files: readonly ExportedFile[]): string {
  const described = files.map(({ path, rows, sha256 }) => ({
    path: path.slice(part.length),
    rows,
    sha256,
  }));
  return `${JSON.stringify({ made_by: 'spar', files: described }, null, 2)}\n`;
}

type Hub = typeof import('@huggingface/hub');
/** An optional dependency: most exports go nowhere. */
async function hubPackage(): Promise<Hub> {
  try {
    return await import('@huggingface/hub');
  } catch (error) {
    throw new UsageError(
      'to push, the package @huggingface/hub must be there: npm install @huggingface/hub',
      { cause: error },
    );
  }
}

const bounded: typeof fetch = (input, init) => {
  const timeout = AbortSignal.timeout(requestMsMax);
  const signal = init?.signal ? AbortSignal.any([init.signal, timeout]) : timeout;
  return fetch(input, { ...init, signal });
};

async function pathsIn(
  hub: Hub,
  access: Parameters<Hub['listFiles']>[0],
): Promise<readonly string[]> {
  const entries = await Array.fromAsync(hub.listFiles({ ...access, recursive: true }));
  return entries.filter(({ type }) => type === 'file').map(({ path }) => path);
}
