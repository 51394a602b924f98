import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { folder, spar } from './support.ts';

const noComma = { instruction_id_list: ['punctuation:no_comma'], kwargs: [{}] };
const lines = {
  fine: JSON.stringify({ key: 7, prompt: 'Write a line without commas.', ...noComma }),
  plain: JSON.stringify({ key: 8, prompt: 'Write a line.' }),
  mismatch: JSON.stringify({ key: 9, prompt: 'Write another line.', ...noComma }),
  contradiction: JSON.stringify({
    key: '10\u001b[31m',
    prompt: 'First repeat, then answer without commas. Write it, now.',
    instruction_id_list: ['punctuation:no_comma', 'combination:repeat_prompt'],
    kwargs: [{}, { prompt_to_repeat: 'Write it, now.' }],
  }),
  argument: JSON.stringify({
    key: 11,
    prompt: 'Write in Klingon.',
    instruction_id_list: ['language:response_language'],
    kwargs: [{ language: 'tlh' }],
  }),
  bad: '{"key": 12',
};

async function check(...given: readonly string[]) {
  const file = join(await folder(), 'in.jsonl');
  await writeFile(file, `${given.join('\n')}\n`);
  return async (...args: readonly string[]) => {
    const { code, out, err } = await spar('check', file, ...args);
    expect(err).toBe('');
    return { code, out: out.replaceAll(file, 'FILE') };
  };
}

test('nothing to say, and nothing but guesses, end well', async () => {
  expect(await (await check(lines.fine, lines.plain))()).toEqual({
    code: 0,
    out: '2 instructions with 1 constraint: nothing found.\n',
  });
  expect(await (await check(lines.fine, lines.mismatch))()).toEqual({
    code: 0,
    out:
      'FILE:2: 9 mismatch: punctuation:no_comma: the text does not mention commas\n' +
      '2 instructions with 2 constraints: 1 mismatch.\n',
  });
});

test.each([
  [
    'a contradiction',
    lines.contradiction,
    'FILE:1: 10 [31m contradiction: combination:repeat_prompt + punctuation:no_comma: "Write it, now.", but no commas\n',
  ],
  ['an argument', lines.argument, /^FILE:1: 11 argument: language:response_language: .* has to be/],
  ['a line', lines.bad, /^FILE:1: line: not JSON/],
  ['a line twice', `${lines.fine}\n${lines.fine}`, /^FILE:2: line: the same row as line 1\.\n/],
])('%s is said with its line, and the exit code is 1', async (_name, line, said) => {
  const { code, out } = await (await check(line))();
  expect(code).toBe(1);
  if (typeof said === 'string') expect(out).toContain(said);
  else expect(out).toMatch(said);
});

test('as JSON: a line for each finding, and one for all', async () => {
  const { code, out } = await (await check(...Object.values(lines)))('--json');
  expect(code).toBe(1);
  const told = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(told.slice(0, -1).map(({ line, kind }) => [line, kind])).toEqual([
    [3, 'mismatch'],
    [4, 'contradiction'],
    [5, 'argument'],
    [6, 'line'],
  ]);
  expect(told.at(-1)).toEqual({
    instructions: 5,
    constraints: 5,
    findings: { contradiction: 1, argument: 1, mismatch: 1, drawn: 0, line: 1 },
  });
});
