import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { exportAll } from '../../infra/exports/export.ts';
import { pushExport, type PushRequest } from '../../infra/exports/hub.ts';
import { defaultExportSettings, type ExportSettings } from '../../infra/exports/settings.ts';
import { sha256, startHub, type HubServer } from './hub-server.ts';
import { logOf, request, runOf } from './support.ts';

let hub: HubServer;
let folder = '';
beforeEach(async () => {
  hub = await startHub();
  folder = await mkdtemp(join(tmpdir(), 'spar-hub-'));
});
afterEach(async () => {
  await hub.close();
  await rm(folder, { recursive: true });
});

const token = 'hf_notforanybody';

async function push(settings: Partial<ExportSettings> = {}, changes: Partial<PushRequest> = {}) {
  const { files } = await exportAll({
    ...request(await logOf(runOf(['a', 'b'])), folder),
    settings: { ...defaultExportSettings, formats: ['huggingface', 'trl'], ...settings },
  });
  const pushed = await pushExport({
    repository: 'me/pairs',
    token,
    url: hub.url,
    isPublic: false,
    folder,
    files,
    ...changes,
  });
  return { files, pushed };
}

test('the files for a hub go into a private repository, in one commit', async () => {
  const { files, pushed } = await push();
  expect(hub.visibility).toBe('private');
  expect([...hub.files!.keys()].toSorted()).toEqual([
    'README.md',
    'preference/train.parquet',
    'refiner_sft/train.parquet',
    'spar.json',
  ]);
  for (const { path, sha256: hash } of files.filter((file) => file.path.endsWith('.parquet'))) {
    expect(sha256(hub.files!.get(path.slice('huggingface/'.length))!)).toBe(hash);
  }
  expect(JSON.parse(hub.files!.get('spar.json')!)).toMatchObject({ made_by: 'spar' });
  expect(hub.commits).toMatchObject([{ title: 'spar export: 12 rows' }]);
  expect(pushed).toMatchObject({ commit: `${hub.url}/commit/c1`, removed: [] });
});

test('the token goes to the hub, and not to where the bytes go', async () => {
  await push();
  const [api, storage] = [true, false].map((isApi) =>
    hub.requests.filter(({ path }) => path.startsWith('/object/') !== isApi),
  );
  expect(new Set(api!.map(({ token: sent }) => sent))).toEqual(new Set([`Bearer ${token}`]));
  expect(storage).toHaveLength(2);
  expect(new Set(storage!.map(({ token: sent }) => sent))).toEqual(new Set(['']));
});

test('everybody may see it if so asked', async () => {
  await push({}, { isPublic: true });
  expect(hub.visibility).toBe('public');
});

test('a second push replaces the first, and leaves what is not ours', async () => {
  await push();
  hub.files!.set('LICENSE', 'mine').set('.gitattributes', '').set('mine/notes.txt', 'mine');
  const { pushed } = await push({ sets: ['preference'] });
  expect(pushed.removed).toEqual(['refiner_sft/train.parquet']);
  expect([...hub.files!.keys()].toSorted()).toEqual([
    '.gitattributes',
    'LICENSE',
    'README.md',
    'mine/notes.txt',
    'preference/train.parquet',
    'spar.json',
  ]);
});

test('a repository that holds something else is left alone', async () => {
  hub.files = new Map([['README.md', 'mine']]);
  await expect(push()).rejects.toThrow('me/pairs holds something that is no export of spar');
  expect([...hub.files]).toEqual([['README.md', 'mine']]);
});

test('a repository that was made by hand, and is empty, is taken', async () => {
  hub.files = new Map([['.gitattributes', '']]);
  await push();
  expect(hub.files.has('spar.json')).toBe(true);
});

test.each([403, 500])('what the hub says to %i is told, without the token', async (status) => {
  hub.refuseWith = status;
  const error = (await push().catch((refused: unknown) => refused)) as Error;
  expect(error.message).toContain('nothing was pushed to me/pairs: no: Bearer [redacted]');
  expect(hub.commits).toEqual([]);
});

test('an export without files for a hub is not pushed', async () => {
  await expect(push({ formats: ['trl'] })).rejects.toThrow('has no files for a hub');
  expect(hub.requests).toEqual([]);
});
