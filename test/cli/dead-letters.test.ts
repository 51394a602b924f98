import { expect, test } from 'vitest';
import { scan } from '../../infra/log/scan.ts';
import type { Home } from '../../infra/home/home.ts';
import type { LogRecord } from '../../infra/log/log.ts';
import { topics } from '../../topology/topics.ts';
import {
  deadLetter,
  finishStages,
  folder,
  home,
  instruction,
  outcome,
  put,
  smallHome,
  spar,
  type Ran,
} from './support.ts';

/** A small home whose folder is called HOME in what is printed; `prepare` writes more into it first. */
async function inHome(
  prepare: (at: string) => Promise<void> = () => Promise.resolve(),
): Promise<{ readonly at: string; readonly run: (...args: readonly string[]) => Promise<Ran> }> {
  const at = await folder();
  await smallHome(at);
  await prepare(at);
  return {
    at,
    async run(...args) {
      const { code, out, err } = await spar('dead-letters', ...args, '--home', at);
      return { code, out: out.replaceAll(at, 'HOME'), err: err.replaceAll(at, 'HOME') };
    },
  };
}

async function instructionsIn(at: string): Promise<readonly LogRecord[]> {
  const written = await home(at);
  const records: LogRecord[] = [];
  for await (const record of scan(written.log, 'spar.instructions')) records.push(record);
  await written.close();
  return records;
}

test('list: the newest first, with cause and error, and never raw', async () => {
  const { run } = await inHome(async (at) => {
    const written = await home(at);
    await put(written, topics.deadLetters, {
      ...deadLetter(written, 'zoo'),
      id: 'instructions/0/9',
      key: null,
      cause: 'decode',
      error: 'broke\u001b[2J it',
    });
    await written.close();
  });
  expect(await run('list')).toEqual({
    code: 0,
    err: '',
    out: [
      'instructions/0/9  2026-01-31T12:00:24.000Z  decode  (no key)',
      '  broke [2J it',
      'instructions/0/3  2026-01-31T12:00:24.000Z  context  yak',
      '  the prompt is longer than the context',
      '',
      'Look at one: spar dead-letters show ID --home HOME',
      '',
    ].join('\n'),
  });
  const { out } = await run('list', '--limit', '1');
  expect(out).toContain('instructions/0/9');
  expect(out).not.toContain('instructions/0/3');
  expect(out).toContain('… and 1 more (--limit)\n');
});

test('list --json: one object a line, and whether it was retried', async () => {
  const { run } = await inHome();
  const { out } = await run('list', '--json');
  expect(JSON.parse(out)).toMatchObject({ id: 'instructions/0/3', attempts: 1, retried: false });
});

test('list: none is said to be good news', async () => {
  const at = await folder();
  await (await home(at)).close();
  const { code, err } = await spar('dead-letters', 'list', '--home', at);
  expect(code).toBe(1);
  expect(err).toMatch(/^spar: there are no dead letters in .*: everything could be processed/);
});

test('show: where it came from, the error, and the value as it is read', async () => {
  const { run } = await inHome();
  const { code, out } = await run('show', 'instructions/0/3');
  expect(code).toBe(0);
  expect(out).toContain(
    [
      'Dead letter instructions/0/3',
      '  stage     sample',
      '  key       yak',
      '  iteration 1',
      '  cause     context',
      '  error     the prompt is longer than the context',
      '  attempts  1, retried 0 times before',
      '  headers   {"iteration":"1"}',
      '  value',
      '    {',
      '      "id": "yak",',
    ].join('\n'),
  );
  expect(out).toContain('Try it again: spar dead-letters retry instructions/0/3 --home HOME\n');
  const { out: json } = await run('show', 'instructions/0/3', '--json');
  expect(JSON.parse(json)).toMatchObject({ id: 'instructions/0/3', value: instruction('yak') });
});

test('show: bytes that are no record are shown as bytes', async () => {
  const { run } = await inHome(async (at) => {
    const written = await home(at);
    await put(written, topics.deadLetters, {
      ...deadLetter(written, 'bad'),
      id: 'instructions/0/8',
      value: Buffer.from([0, 255, 1]),
    });
    await written.close();
  });
  expect((await run('show', 'instructions/0/8')).out).toContain('"base64": "AP8B"');
});

test('show: an instruction in plain JSON is shown as its stage read it, with the key for an id', async () => {
  const { run } = await inHome(async (at) => {
    const written = await home(at);
    await put(written, topics.deadLetters, {
      ...deadLetter(written, 'gnu'),
      id: 'instructions/0/8',
      offset: 8,
      value: Buffer.from('{"prompt":"Say it."}'),
    });
    await written.close();
  });
  const { out } = await run('show', 'instructions/0/8', '--json');
  expect(JSON.parse(out)).toMatchObject({ value: { id: 'gnu', source_line: 8 } });
});

test('retry: a record that was too large to be kept stays where it is, and the others go', async () => {
  const { run } = await inHome(async (at) => {
    const written = await home(at);
    await put(written, topics.deadLetters, {
      ...deadLetter(written, 'elk'),
      ...{ id: 'instructions/0/9', offset: 9, cause: 'too-large', value: Buffer.alloc(0) },
    });
    await written.close();
  });
  expect(await run('retry', 'instructions/0/9')).toEqual({
    code: 1,
    out: '',
    err:
      'spar: instructions/0/9 cannot be tried again: its record is larger than any that is read, and is still at ' +
      'offset 9 of partition 0 of instructions. Put it into the stream in a smaller form.\n',
  });
  expect(await run('retry', '--all')).toMatchObject({
    out: expect.stringMatching(/^1 record is back in the stream/) as unknown,
    err: '1 dead letter stays: its record is too large to be read, or in no form that can be read.\n',
  });
});

test('retry: the original bytes, key and headers go to their topic again, one revision on', async () => {
  const { at, run } = await inHome();
  expect(await run('retry', 'instructions/0/3')).toEqual({
    code: 0,
    err: '',
    out: '1 record is back in the stream. Give the same spar run command again to process it.\n',
  });
  const records = await instructionsIn(at);
  expect(records).toHaveLength(5);
  const [before, after] = [records[3]!, records[4]!];
  expect(after).toMatchObject({ topic: 'spar.instructions', partition: 0, key: 'yak' });
  expect(after.headers).toEqual({
    iteration: '1',
    revision: '1',
    'retry-of': 'instructions/0/3',
  });
  expect(Buffer.compare(after.value, before.value)).toBe(0);
});

test('retry: a record that failed twice goes on with its revision', async () => {
  const { at, run } = await inHome(async (made) => {
    const written = await home(made);
    await put(written, topics.deadLetters, {
      ...deadLetter(written, 'owl'),
      id: 'instructions/0/7',
      headers: '{"iteration":"1","revision":"1","retry-of":"instructions/0/2"}',
      revision: 1,
    });
    await written.close();
  });
  await run('retry', 'instructions/0/7');
  const [last] = (await instructionsIn(at)).slice(-1);
  expect(last!.headers).toEqual({
    iteration: '1',
    revision: '2',
    'retry-of': 'instructions/0/7',
  });
});

test('retry --all: each once, however often it is given; then the list says so', async () => {
  const { at, run } = await inHome(async (made) => {
    const written = await home(made);
    for (let index = 0; index < 40; index++) {
      const letter = { ...deadLetter(written, `b${index}`), id: `instructions/0/${4 + index}` };
      await put(written, topics.instructions, instruction(`b${index}`));
      await put(written, topics.deadLetters, letter);
    }
    await finishStages(written);
    await written.close();
  });
  expect((await run('retry', '--all')).out).toMatch(/^41 records are back in the stream/);
  expect(await run('retry', '--all')).toEqual({
    code: 1,
    out: '',
    err: 'spar: there is nothing to retry in HOME\n',
  });
  expect(await run('retry', 'instructions/0/3')).toMatchObject({
    code: 1,
    err: 'spar: instructions/0/3 was retried already: if it failed again, it left another dead letter\n',
  });
  expect(await instructionsIn(at)).toHaveLength(44 + 41);
  expect((await run('list')).out).toContain('context  yak  retried\n');
  const status = await spar('status', '--home', at);
  // What is retried had been admitted before: it is no new instruction.
  expect(status.out).toContain('instructions  4 of 44 ended\n');
  expect(status.out).toContain('waiting       41 for sample\n');
  expect(status.out).toContain('not finished');
});

test('retry --all: nor one whose topic has forgotten that it was retried', async () => {
  const letter = (written: Home, name: string, offset: number, revision = 0) => ({
    ...deadLetter(written, name),
    ...{ id: `search.evaluate/0/${offset}`, topic: 'search.evaluate', stage: 'evaluate' },
    ...{ key: `1/${name}/0`, offset, revision },
  });
  const { run } = await inHome(async (made) => {
    const written = await home(made);
    const failed = (name: string, revision: number) =>
      put(
        written,
        topics.outcomes,
        { ...outcome(name, 'failed'), revision },
        { headers: { iteration: '1', ...(revision > 0 && { revision: String(revision) }) } },
      );
    // Retried a week ago, with success; retried, and failed again; never retried.
    await put(written, topics.deadLetters, letter(written, 'elk', 1));
    await failed('elk', 0);
    await failed('elk', 1);
    await put(written, topics.deadLetters, letter(written, 'emu', 2));
    await failed('emu', 0);
    await put(written, topics.deadLetters, letter(written, 'emu', 3, 1));
    await failed('emu', 1);
    await put(written, topics.deadLetters, letter(written, 'ewe', 4));
    await failed('ewe', 0);
    await written.close();
  });
  const listed = (await run('list', '--json')).out
    .trim()
    .split('\n')
    .map((line) => {
      const { id, retried } = JSON.parse(line) as {
        readonly id: string;
        readonly retried: boolean;
      };
      return `${id} ${String(retried)}`;
    });
  expect(listed).toEqual([
    'search.evaluate/0/4 false',
    'search.evaluate/0/3 false',
    'search.evaluate/0/2 true',
    'search.evaluate/0/1 true',
    'instructions/0/3 false',
  ]);
  expect((await run('retry', 'search.evaluate/0/1')).err).toContain('was retried already');
  expect((await run('retry', '--all')).out).toMatch(/^3 records are back in the stream/);
  expect((await run('retry', '--all')).err).toContain('there is nothing to retry');
});

test.each([
  [['retry'], 2, 'spar: name one dead letter, or give --all\n'],
  [['retry', 'x', '--all'], 2, 'spar: name one dead letter, or give --all\n'],
  [
    ['retry', 'x/0/0'],
    1,
    'spar: there is no dead letter x/0/0: spar dead-letters list --home HOME lists them\n',
  ],
  [
    ['show', 'x\u001b[2J'],
    1,
    'spar: there is no dead letter x [2J: spar dead-letters list --home HOME lists them\n',
  ],
] as const)('%j is refused', async (args, code, err) => {
  const { run } = await inHome();
  expect(await run(...args)).toEqual({ code, out: '', err });
});

test('retry waits for no run that is going on: it is refused by name', async () => {
  const { at, run } = await inHome();
  const writing = await home(at);
  const { code, err } = await run('retry', '--all');
  expect(code).toBe(2);
  expect(err).toContain('is being written by another run');
  // Looking is free.
  expect((await run('list')).code).toBe(0);
  await writing.close();
});
