import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';

test('whoever comes first makes a file, and all who come at the same time use it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'spar-sqlite-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const files = Array.from({ length: 20 }, (_, index) => join(folder, `${index}.sqlite`));
  const gate = new Int32Array(new SharedArrayBuffer(4 * files.length));
  const openers = 2;
  const said = await Promise.all(
    Array.from({ length: openers }, async () => {
      const worker = new Worker(new URL('./opener.ts', import.meta.url), {
        workerData: { files, gate, openers },
      });
      const [message] = (await once(worker, 'message')) as [readonly string[]];
      return message;
    }),
  );
  expect(said.flat().filter((one) => one !== 'fine')).toEqual([]);
});
