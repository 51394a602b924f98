import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { noteSource } from '../../infra/run/iteration.ts';
import { writeExports } from '../../infra/run/write-exports.ts';
import { topics } from '../../topology/topics.ts';
import { startHub, type HubServer } from '../exports/hub-server.ts';
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

test('a file that a gate needs and that is not there is said before a run asks anything', async () => {
  const made = await folder();
  const [config, input] = [join(made, 'spar.yaml'), join(made, 'in.jsonl')];
  await writeFile(config, 'export:\n  gates:\n    benchmarks:\n      files: [/nowhere.jsonl]\n');
  await writeFile(input, '{"prompt": "a"}\n');
  const model = ['--model-url', 'http://127.0.0.1:9/v1', '--model', 'none'];
  const at = join(made, 'home');
  const ran = await spar('run', input, '--home', at, '--config', config, ...model);
  expect(ran.code).toBe(2);
  expect(ran.err).toContain('/nowhere.jsonl');
  expect(await readdir(made)).toEqual(['in.jsonl', 'spar.yaml']);
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

test('--check shows what was written, as its loader has it', async () => {
  const { at, out } = await homeAndOut();
  const ran = await spar('export', '--home', at, '--out', out, '--check');
  expect(ran.code).toBe(0);
  expect(ran.out).toMatch(/trl\/preference\/train\.jsonl {2}1 row {2}good\n {2}prompt +user: /);
  expect(ran.out).toContain(`4 data files in ${out} can be loaded as they are.\n`);
});

test('--check with a folder needs no home, writes nothing, and fails if something is wrong', async () => {
  const { at, out } = await homeAndOut();
  await spar('export', '--home', at, '--out', out);
  await rm(at, { recursive: true });
  expect((await spar('export', '--check', out)).code).toBe(0);
  await writeFile(join(out, 'trl/preference/train.jsonl'), '{"prompt": "x"}\n');
  const ran = await spar('export', '--check', out);
  expect(ran.code).toBe(1);
  expect(ran.out).toMatch(
    /trl\/preference\/train\.jsonl:1: the prompt must be a list of messages\. Mend or remove the row/,
  );
  expect(ran.err).toContain(`in the files of ${out}`);
  const json = await spar('export', '--check', out, '--json');
  expect(JSON.parse(json.out)).toMatchObject({ problems: [{ line: null }, { line: 1 }] });
});

test('--check of a folder that holds no export says which to name', async () => {
  const ran = await spar('export', '--check', await folder());
  expect(ran.code).toBe(1);
  expect(ran.err).toContain('name a folder that spar export or spar run wrote');
});

describe('--push', () => {
  let hub: HubServer;
  beforeEach(async () => {
    hub = await startHub();
    vi.stubEnv('HF_ENDPOINT', `${hub.url}/`);
    vi.stubEnv('HF_TOKEN', 'hf_notforanybody');
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await hub.close();
  });

  test('writes what a hub wants as well, and puts it there', async () => {
    const { at, out } = await homeAndOut();
    const ran = await spar('export', '--home', at, '--out', out, '--push', 'me/pairs');
    expect(ran.out).toContain('3 files pushed to me/pairs: http://127.0.0.1');
    expect(ran.code).toBe(0);
    expect(await readdir(out)).toEqual(['huggingface', 'llamafactory', 'manifest.json', 'trl']);
    expect([...hub.files!.keys()]).toContain('preference/train.parquet');
  });

  test('takes the token from a file', async () => {
    const { at, out } = await homeAndOut();
    const file = join(at, 'token');
    await writeFile(file, 'hf_fromfile\n');
    const args = ['export', '--home', at, '--out', out, '--push', 'me/pairs'];
    await spar(...args, '--token-file', file, '--public');
    expect(hub.requests[0]!.token).toBe('Bearer hf_fromfile');
    expect(hub.visibility).toBe('public');
  });

  test('never pushes a part', async () => {
    const { at, out } = await homeAndOut();
    const writing = await home(at);
    await put(writing, topics.instructions, instruction('emu'));
    const ran = await spar('export', '--home', at, '--out', out, '--push', 'me/pairs');
    expect(ran.code).toBe(1);
    expect(ran.err).toContain('a part is never pushed');
    expect(hub.requests).toEqual([]);
    await writing.close();
  });

  test.each([
    ['a name without an owner', ['--push', 'pairs'], 'expected OWNER/NAME'],
    ['a file that is not there', ['--push', 'me/pairs', '--token-file', '/nowhere'], 'cannot be'],
    ['a follower', ['--push', 'me/pairs', '--follow'], 'goes without --follow'],
  ])('refuses %s before it does anything', async (_name, args, message) => {
    const { at, out } = await homeAndOut();
    const ran = await spar('export', '--home', at, '--out', out, ...args);
    expect(ran.code).toBe(2);
    expect(ran.err).toContain(message);
    await expect(readdir(out)).rejects.toThrow('ENOENT');
  });

  test('says how to give the token', async () => {
    vi.stubEnv('HF_TOKEN', '');
    const { at } = await homeAndOut();
    const ran = await spar('export', '--home', at, '--push', 'me/pairs');
    expect(ran.code).toBe(2);
    expect(ran.err).toContain('set HF_TOKEN, or name a file');
  });
});
