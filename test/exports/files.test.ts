import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Publication, removeExport } from '../../infra/exports/files.ts';
import { llamafactory } from '../../infra/exports/llamafactory.ts';
import { defaultExportSettings } from '../../infra/exports/settings.ts';
import { trl } from '../../infra/exports/trl.ts';
import { filesIn } from './support.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'spar-files-'));
});
afterEach(() => rm(folder, { recursive: true }));

const user = { role: 'user', content: 'a' };
const answer = { role: 'assistant', content: 'b' };
const sharegpt = llamafactory(defaultExportSettings);

describe('what a loader would drop in silence is never published', () => {
  test.each([
    [
      'an even prompt',
      sharegpt,
      { conversations: [user, answer], chosen: answer, rejected: answer },
    ],
    [
      'a side that is a list',
      sharegpt,
      { conversations: [user], chosen: [answer], rejected: answer },
    ],
    ['a side of the user', sharegpt, { conversations: [user], chosen: user, rejected: answer }],
    [
      'an empty side',
      sharegpt,
      { conversations: [user], chosen: answer, rejected: { ...answer, content: '' } },
    ],
    [
      'one key too many',
      sharegpt,
      { conversations: [user], chosen: answer, rejected: answer, id: 1 },
    ],
    ['a side that is no list', trl, { prompt: [user], chosen: answer, rejected: [answer] }],
    ['no prompt', trl, { prompt: [], chosen: [answer], rejected: [answer] }],
  ])('a pair with %s', async (_name, format, row) => {
    const publication = new Publication(folder);
    await publication.addRow('rows.jsonl', row, format.sets.preference!.check);
    await expect(publication.publish({})).rejects.toThrow(/^rows\.jsonl:1: /);
    await publication.abandon();
    expect(await filesIn(folder)).toEqual({});
  });

  test.each([
    ['ends with the user', sharegpt, { conversations: [user, answer, user] }],
    ['does not alternate', sharegpt, { conversations: [user, answer, answer] }],
    ['has no turns', sharegpt, { conversations: [] }],
    ['ends with the user', trl, { prompt: [user], completion: [user] }],
    ['has an answer that is no list', trl, { prompt: [user], completion: answer }],
    ['has no prompt', trl, { prompt: [], completion: [answer] }],
    ['is whole', trl, { messages: [user, answer] }],
  ])('a conversation that %s', async (_name, format, row) => {
    const publication = new Publication(folder);
    await publication.addRow('rows.jsonl', row, format.sets.refiner_sft!.check);
    await expect(publication.publish({})).rejects.toThrow(/^rows\.jsonl:1: /);
    await publication.abandon();
    expect(await filesIn(folder)).toEqual({});
  });
});

test('one bad file holds back all of them', async () => {
  const publication = new Publication(folder);
  await publication.addText('good.yaml', 'a: 1\n');
  await publication.addRow('bad.jsonl', { a: 1 }, () => 'bad');
  await expect(publication.publish({})).rejects.toThrow('bad.jsonl:1: bad');
  await publication.abandon();
  expect(await filesIn(folder)).toEqual({});
});

test('rows larger than the buffer arrive whole', async () => {
  const publication = new Publication(folder);
  for (let row = 0; row < 40; row += 1) {
    await publication.addRow('rows.jsonl', { text: 'é'.repeat(20_000) }, () => null);
  }
  expect(await publication.publish({})).toMatchObject([{ rows: 40, bytes: 40 * (40_000 + 12) }]);
});

describe('an export that was killed', () => {
  const row = { a: 1 };
  const published = async (paths: readonly string[], at = folder) => {
    const publication = new Publication(at);
    for (const path of paths) await publication.addRow(path, row, () => null);
    await publication.publish({});
  };
  const gone = 2 ** 30; // No system gives out ids as large.

  test('while it wrote: what it left goes, what a living one writes stays', async () => {
    for (const name of [`.writing-${gone}`, `.writing-${process.ppid}`, '.writing-mine']) {
      await mkdir(join(folder, name));
      await writeFile(join(folder, name, 'rows.jsonl'), 'half a r');
    }
    await published(['rows.jsonl']);
    expect(Object.keys(await filesIn(folder))).toEqual([
      `.writing-${process.ppid}/rows.jsonl`,
      '.writing-mine/rows.jsonl',
      'manifest.json',
      'rows.jsonl',
    ]);
  });

  test('while it moved files: the next one knows them, although no manifest names them', async () => {
    await mkdir(join(folder, 'old'));
    await writeFile(join(folder, 'old/rows.jsonl'), '{}\n');
    await writeFile(join(folder, 'notes.txt'), 'mine');
    const noted = { files: [{ path: 'old/rows.jsonl' }, { path: '../outside' }] };
    await writeFile(join(folder, '.publishing.json'), JSON.stringify(noted));
    await published(['new/rows.jsonl']);
    expect(Object.keys(await filesIn(folder))).toEqual([
      'manifest.json',
      'new/rows.jsonl',
      'notes.txt',
    ]);
  });

  test('is removed with all that it left', async () => {
    const part = join(folder, 'partial');
    await published(['rows.jsonl'], part);
    await mkdir(join(part, `.writing-${gone}`));
    await writeFile(join(part, '.publishing.json'), '{"files":[{"path":"x/rows.jsonl"}]}');
    await mkdir(join(part, 'x'));
    await writeFile(join(part, 'x/rows.jsonl'), '{}\n');
    await removeExport(part);
    expect(await readdir(folder)).toEqual([]);
  });
});
