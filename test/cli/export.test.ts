import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { noteSource } from '../../infra/run/iteration.ts';
import { writeExports } from '../../infra/run/write-exports.ts';
import { topics } from '../../topology/topics.ts';
import { configOf } from '../run/support.ts';
import { outcome } from '../runtime/support.ts';
import { folder, home, instruction, put, smallHome, spar } from './support.ts';

const manifestIn = async (at: string): Promise<Readonly<Record<string, unknown>>> =>
  JSON.parse(await readFile(join(at, 'manifest.json'), 'utf8')) as Readonly<
    Record<string, unknown>
  >;

async function homeAndOut(): Promise<{ readonly at: string; readonly out: string }> {
  const made = await folder();
  const at = join(made, 'home');
  await smallHome(at);
  return { at, out: join(made, 'out') };
}

test('a finished iteration is written as a whole, and its files are named', async () => {
  const { at, out } = await homeAndOut();
  const ran = await spar('export', '--home', at, '--out', out);
  expect(ran.code).toBe(0);
  expect(ran.out).toContain(`1 preference pair and 4 refiner conversations in ${out}\n`);
  expect(ran.out).toMatch(/ {2}trl\/.* {2}1 row\n/);
  expect(ran.out).not.toContain('not finished');
  expect(await manifestIn(out)).toMatchObject({ complete: true, counts: { preference: 1 } });
  expect(await readdir(out)).toEqual(['llamafactory', 'manifest.json', 'trl']);
});

test('an iteration that is not finished is a part, also while another process writes it', async () => {
  const { at, out } = await homeAndOut();
  const writing = await home(at);
  await put(writing, topics.instructions, instruction('emu'));
  const ran = await spar('export', '--home', at, '--out', out);
  expect(ran.out).toContain('The iteration is not finished, so this is a part. See spar status');
  expect(await readdir(out)).toEqual(['partial']);
  expect(await manifestIn(join(out, 'partial'))).toMatchObject({ complete: false });
  await writing.close();
});

test('a source that was not read to its end makes it a part, although all that was admitted has ended', async () => {
  const { at, out } = await homeAndOut();
  const written = await home(at);
  await noteSource(written.log, written.serde, 'spar', '1', 'in.jsonl', 'unread');
  await written.close();
  const part = await spar('export', '--home', at, '--out', out);
  expect(part.out).toContain('so this is a part. See spar status');
  expect(await readdir(out)).toEqual(['partial']);

  const again = await home(at);
  await noteSource(again.log, again.serde, 'spar', '1', 'in.jsonl', 'read');
  await again.close();
  await spar('export', '--home', at, '--out', out);
  expect(await readdir(out)).toEqual(['llamafactory', 'manifest.json', 'trl']);
});

test('with --follow the files are written again once more has ended, until interrupted', async () => {
  const { at, out } = await homeAndOut();
  const writing = await home(at);
  const running = spar('export', '--home', at, '--out', out, '--follow', '--every', '1', '--json');
  await expect.poll(() => readdir(out).catch(() => [])).toContain('manifest.json');
  await put(writing, topics.instructions, instruction('emu'));
  await put(writing, topics.outcomes, {
    ...outcome('emu', { outcome: 'all-passed' }),
    iteration: '1',
  });
  // The first stage has not read the instruction, so what there is now is a part.
  await expect.poll(() => readdir(out), { timeout: 10_000 }).toContain('partial');
  process.emit('SIGINT');
  const ran = await running;
  const reports = ran.out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as object);
  expect(reports).toMatchObject([{ complete: true }, { complete: false }]);
  await writing.close();
});

test('format and config decide what is written', async () => {
  const { at, out } = await homeAndOut();
  const config = join(at, 'spar.yaml');
  await writeFile(config, 'export:\n  base_model: my/model\n  template: mine\n');
  const ran = await spar(
    ...['export', '--home', at, '--out', out, '--config', config, '--format', 'llamafactory'],
  );
  expect(ran.code).toBe(0);
  expect(await readdir(out)).toEqual(['llamafactory', 'manifest.json']);
  expect(await manifestIn(out)).toMatchObject({
    settings: { formats: ['llamafactory'], base_model: 'my/model', template: 'mine' },
  });
});

test('--json is the report', async () => {
  const { at, out } = await homeAndOut();
  const ran = await spar('export', '--home', at, '--out', out, '--json');
  expect(JSON.parse(ran.out)).toMatchObject({
    folder: out,
    complete: true,
    counts: { preference: 1 },
  });
});

test('an iteration that is not there, and a format that is not known', async () => {
  const { at, out } = await homeAndOut();
  const none = await spar('export', '--home', at, '--out', out, '--iteration', '9');
  expect(none.code).toBe(1);
  expect(none.err).toBe(
    `spar: there is no iteration 9 in ${at}: spar status --home ${at} lists what there is\n`,
  );
  const unknown = await spar('export', '--home', at, '--out', out, '--format', 'gguf');
  expect(unknown.code).toBe(2);
});

test('a run exports by the settings that its iteration was opened with', async () => {
  const { at, out } = await homeAndOut();
  const written = await home(at);
  const request = { home: written, out, config: configOf({ seed: 99 }), complete: true };
  const report = await writeExports({ ...request, iteration: '1' });
  expect(report.folder).toBe(out);
  expect(await manifestIn(out)).toMatchObject({ seed: 0 });
  await expect(writeExports({ ...request, iteration: '2' })).rejects.toThrow(
    'iteration 2 was never opened',
  );
  await written.close();
});
