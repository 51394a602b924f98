import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import type { InputItem } from '../../infra/input/read.ts';
import { defaultInputOptions, readInstructions } from '../../infra/input/read.ts';
import { chunked, collected, memorySeen, read } from './support.ts';

const prompts = (items: readonly InputItem[]) =>
  items.map((item) => (item.kind === 'instruction' ? item.instruction.messages[0]!.content : item));

const only = (items: readonly InputItem[]) => {
  expect(items).toHaveLength(1);
  const [item] = items;
  if (item?.kind !== 'instruction') throw new Error(JSON.stringify(item));
  return item.instruction;
};

describe('the format is known by its first bytes', () => {
  test.each([
    ['JSON lines', '{"prompt":"a"}\n{"prompt":"b"}\n', ['a', 'b']],
    ['without a last line end', '{"prompt":"a"}\n{"prompt":"b"}', ['a', 'b']],
    ['with Windows line ends', '{"prompt":"a"}\r\n{"prompt":"b"}\r\n', ['a', 'b']],
    ['with a byte order mark', '\ufeff{"prompt":"a"}\n', ['a']],
    [
      'with blank lines before and between',
      '\n \t\n{"prompt":"a"}\n\n\r\n{"prompt":"b"}',
      ['a', 'b'],
    ],
    ['a JSON array', '[{"prompt":"a"},{"prompt":"b"}]', ['a', 'b']],
    [
      'a JSON array over many lines',
      '\ufeff[\n  {\n "prompt": "a"\n },\n {"prompt":"b"}\n]\n',
      ['a', 'b'],
    ],
    [
      'an array whose texts hold its marks',
      '[{"prompt":"],}\\"[{"},{"prompt":"b\\\\"}]',
      ['],}"[{', 'b\\'],
    ],
    ['plain text', 'a\nb', ['a', 'b']],
    ['plain text with Windows line ends', 'a\r\n\r\nb\r\n', ['a', 'b']],
    [
      'plain text that opens with a bracket',
      '[Formal] Write a letter.',
      ['[Formal] Write a letter.'],
    ],
    ['plain text with blanks that are not ASCII', 'a\n\u00a0\u3000\nb', ['a', 'b']],
    ['one letter', 'a', ['a']],
    ['one bracket', '[', ['[']],
  ])('%s', async (_name, input, expected) => {
    expect(prompts(await read(input))).toEqual(expected);
  });

  test('and can be forced', async () => {
    expect(prompts(await read('{name}, hello', { format: 'text' }))).toEqual(['{name}, hello']);
    expect(prompts(await read('\ufeffa', { format: 'text' }))).toEqual(['a']);
    expect(await read('a', { format: 'jsonl' })).toMatchObject([{ reason: 'not-json' }]);
    expect(await read('{"prompt":"a"}', { format: 'json' })).toMatchObject([
      { kind: 'instruction' },
      { reason: 'broken-array' },
    ]);
  });
});

describe('a line becomes an instruction', () => {
  test('with its place, and its time left to the caller', async () => {
    expect(only(await read('\n\n{"prompt":" a ","id":"x"}'))).toEqual({
      id: 'x',
      messages: [{ role: 'user', content: ' a ' }],
      constraints: [],
      judge_by: null,
      source: 'in.jsonl',
      source_line: 3,
      responses: [],
      extra: '{}',
      added_at: 0,
    });
  });

  test('of a conversation', async () => {
    const messages = [
      { role: 'system', content: '' },
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'b' },
      { role: 'user', content: 'c' },
    ];
    expect(only(await read(JSON.stringify({ messages }))).messages).toEqual(messages);
  });

  test.each([
    ['a text', '{"prompt":"a","id":"x/1"}', 'x/1'],
    ['a number', '{"prompt":"a","id":7}', '7'],
    ['zero', '{"prompt":"a","key":0}', '0'],
    [
      'a number no double can hold',
      '{"prompt":"a","id":12345678901234567890}',
      '12345678901234567890',
    ],
    ['a key', '{"prompt":"a","key":1000}', '1000'],
    ['an id before a key', '{"prompt":"a","id":"x","key":1}', 'x'],
    ['a key where the id is null', '{"prompt":"a","id":null,"key":1}', '1'],
  ])('whose id is %s', async (_name, line, id) => {
    expect(only(await read(line)).id).toBe(id);
  });

  test('whose own responses come along', async () => {
    expect(only(await read('{"prompt":"a","responses":["b","c"]}')).responses).toEqual(['b', 'c']);
  });

  test('with who judges it', async () => {
    expect(only(await read('{"prompt":"a","judge_by":"both"}')).judge_by).toBe('both');
  });

  test('with constraints', async () => {
    const line =
      '{"prompt":"a","constraints":[{"id":"x","arguments":{"n":1}},{"id":"y","arguments":"{}"},{"id":"z"}]}';
    expect(only(await read(line)).constraints).toEqual([
      { id: 'x', arguments: '{"n":1}' },
      { id: 'y', arguments: '{}' },
      { id: 'z', arguments: '{}' },
    ]);
  });

  test("with IFEval's constraints, whose unused arguments are null", async () => {
    const line =
      '{"key":1000,"prompt":"a","instruction_id_list":["punctuation:no_comma","length:words"],"kwargs":[{},{"relation":"at least","num_words":300,"other":null}]}';
    expect(only(await read(line))).toMatchObject({
      id: '1000',
      constraints: [
        { id: 'punctuation:no_comma', arguments: '{}' },
        { id: 'length:words', arguments: '{"relation":"at least","num_words":300}' },
      ],
      extra: '{}',
    });
  });

  test('with every other field as it was', async () => {
    const line =
      '{"prompt":"a","id":"x","key":2,"deep":{"list":[1,null,"\\ud800"]},"big":12345678901234567890,"exact":1.50,"__proto__":{"x":1}}';
    expect(only(await read(line)).extra).toBe(
      '{"key":2,"deep":{"list":[1,null,"\\ud800"]},"big":12345678901234567890,"exact":1.50,"__proto__":{"x":1}}',
    );
  });

  test('whose text is hostile', async () => {
    const prompt = '"\\\n\u2028\u0000\ud83d\ude00';
    expect(prompts(await read(JSON.stringify({ prompt })))).toEqual([prompt]);
    expect(prompts(await read('{"prompt":"a\\ud800b"}'))).toEqual(['a\ufffdb']);
  });
});

describe('a bad line costs only itself', () => {
  test.each([
    ['is cut off', '{"prompt":"a"', 'not-json', /whole JSON object/],
    ['is no object', '["a"]', 'not-an-object', /got an array/],
    ['is null', 'null', 'not-an-object', /got null/],
    [
      'is a number no double can hold',
      '12345678901234567890',
      'not-an-object',
      /got 12345678901234567890/,
    ],
    ['has no prompt', '{"text":"a"}', 'no-prompt', /has only text/],
    ['has nothing', '{}', 'no-prompt', /no field at all/],
    ['has a prompt that is null', '{"prompt":null}', 'no-prompt', /needs `prompt` or `messages`/],
    ['has an empty prompt', '{"prompt":" \\n"}', 'empty-prompt', /`prompt` is empty/],
    [
      'has a prompt that is no text',
      '{"prompt":["a"]}',
      'wrong-type',
      /`prompt` must be a text, got an array/,
    ],
    ['has both', '{"prompt":"a","messages":[]}', 'prompt-and-messages', /keep one/],
    ['has no messages', '{"messages":[]}', 'empty-prompt', /at least one user turn/],
    ['has messages that are no array', '{"messages":"a"}', 'wrong-type', /an array/],
    ['has a message that is no object', '{"messages":["a"]}', 'wrong-type', /messages\[0\]/],
    [
      'has a content in parts',
      '{"messages":[{"role":"user","content":[]}]}',
      'wrong-type',
      /messages\[0\]\.content/,
    ],
    [
      'has an empty user turn',
      '{"messages":[{"role":"user","content":" "}]}',
      'empty-prompt',
      /messages\[0\]/,
    ],
    [
      'has an unknown role',
      '{"messages":[{"role":"human","content":"a"}]}',
      'unknown-role',
      /"human".*use system, user or assistant/,
    ],
    [
      'ends with the assistant',
      '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}',
      'last-turn',
      /assistant's/,
    ],
    [
      'ends with the system',
      '{"messages":[{"role":"system","content":"a"}]}',
      'last-turn',
      /system's/,
    ],
    ['has an empty id', '{"prompt":"a","id":""}', 'wrong-type', /`id`.*empty text/],
    ['has an id of another type', '{"prompt":"a","key":true}', 'wrong-type', /`key`.*got true/],
    [
      'has responses that are no array',
      '{"prompt":"a","responses":"b"}',
      'wrong-type',
      /`responses`/,
    ],
    [
      'has a response that is no text',
      '{"prompt":"a","responses":["b",1]}',
      'wrong-type',
      /responses\[1\]/,
    ],
    [
      'has a constraint without an id',
      '{"prompt":"a","constraints":[{}]}',
      'wrong-type',
      /constraints\[0\]\.id/,
    ],
    [
      'has arguments that are no object',
      '{"prompt":"a","constraints":[{"id":"x","arguments":"[1]"}]}',
      'wrong-type',
      /constraints\[0\]\.arguments/,
    ],
    [
      'has arguments that do not parse',
      '{"prompt":"a","constraints":[{"id":"x","arguments":"{"}]}',
      'wrong-type',
      /constraints\[0\]\.arguments/,
    ],
    [
      'has fewer arguments than types',
      '{"prompt":"a","instruction_id_list":["x","y"],"kwargs":[{}]}',
      'wrong-type',
      /as many/,
    ],
    [
      'has arguments without types',
      '{"prompt":"a","kwargs":[{}]}',
      'wrong-type',
      /instruction_id_list/,
    ],
  ])('that %s', async (_name, line, reason, message) => {
    const items = await read(`{"prompt":"before"}\n${line}\n{"prompt":"after"}`);
    expect(items.map(({ kind }) => kind)).toEqual(['instruction', 'rejected', 'instruction']);
    expect(items[1]).toMatchObject({ line: 2, reason });
    expect(items[1]).toHaveProperty('message', expect.stringMatching(/^in\.jsonl:2: .*\.$/));
    expect(items[1]).toHaveProperty('message', expect.stringMatching(message));
  });

  test('that is not UTF-8', async () => {
    const items = await read([Buffer.from([0x61, 0x0a, 0xff, 0x0a]), 'b']);
    expect(items).toMatchObject([
      { line: 1, kind: 'instruction' },
      {
        line: 2,
        reason: 'not-utf8',
        message: 'in.jsonl:2: not valid UTF-8; save the file as UTF-8.',
      },
      { line: 3, kind: 'instruction' },
    ]);
  });

  test.each([
    ['of JSON lines', (text: string) => `{"prompt":"a"}\n{"prompt":"${text}"}\n{"prompt":"b"}`],
    ['of an array', (text: string) => `[{"prompt":"a"},\n{"prompt":"${text}"},\n{"prompt":"b"}]`],
    ['of plain text', (text: string) => `a\n${text}\nb`],
  ])('that is too long, %s', async (_name, input) => {
    const items = await read(input('x'.repeat(5_000_000)));
    expect(items.map(({ kind, line }) => `${kind} ${line}`)).toEqual([
      'instruction 1',
      'rejected 2',
      'instruction 3',
    ]);
    expect(items[1]).toHaveProperty(
      'message',
      expect.stringMatching(/^in\.jsonl:2: 50000\d+ bytes/),
    );
  });

  test('that is exactly as long as allowed is read', async () => {
    expect(await read('abcd\nabcde', { maxLineBytes: 4 })).toMatchObject([
      { kind: 'instruction' },
      { reason: 'too-long', message: expect.stringContaining('raise max_line_bytes') },
    ]);
  });

  test('of an array: the rest of it goes on, with the right lines', async () => {
    const items = await read(
      '[\n{"prompt":"a"},\n{"prompt" 1},,\n{"prompt":"cut\n},\n{"prompt":"b"},\n]\n x',
    );
    expect(
      items.map((item) => [item.line, item.kind === 'rejected' ? item.reason : item.kind]),
    ).toEqual([
      [2, 'instruction'],
      [3, 'not-json'],
      [3, 'broken-array'],
      [4, 'not-json'],
      [6, 'instruction'],
      [7, 'broken-array'],
      [8, 'broken-array'],
    ]);
  });

  test.each(['[{"prompt":"a"}', '[{"prompt":"a"},', '[{"prompt":"a"}\n'])(
    'of an array that is cut off after %j',
    async (input) => {
      const items = await read(input);
      expect(prompts(items)[0]).toBe('a');
      expect(items.at(-1)).toMatchObject({ reason: 'broken-array' });
    },
  );

  test.each(['', '\n\n', '\ufeff', ' [ ] '])(
    'and %j holds no instruction at all',
    async (input) => {
      expect(await read(input)).toMatchObject([{ line: 1, reason: 'nothing' }]);
    },
  );

  test('and terminals are safe from what a name or a line holds', async () => {
    const source = { name: 'a\u001b[31m', chunks: chunked('{\u001b]0;x\u0007}') };
    const [item] = await collected(
      readInstructions(source, { ...defaultInputOptions, seen: memorySeen() }),
    );
    // eslint-disable-next-line no-control-regex -- control characters are what must not be there
    expect(item).toHaveProperty('message', expect.not.stringMatching(/[\u0000-\u001f]/));
  });
});

describe('an id is taken once', () => {
  test('the same content again is a duplicate', async () => {
    expect(await read('{"id":1,"prompt":"a"}\n\n{"id":"1","prompt":" a\\r\\n"}')).toMatchObject([
      { kind: 'instruction', line: 1 },
      { kind: 'duplicate', line: 3, id: '1', first: 1 },
    ]);
  });

  test.each([
    ['another prompt', '{"id":1,"prompt":"b"}'],
    [
      'another role',
      '{"id":1,"messages":[{"role":"system","content":""},{"role":"user","content":"a"}]}',
    ],
    ['other constraints', '{"id":1,"prompt":"a","constraints":[{"id":"x"}]}'],
  ])('with %s it is refused, and both lines are named', async (_name, line) => {
    const [, second] = await read(`{"id":1,"prompt":"a"}\n${line}`);
    expect(second).toMatchObject({
      line: 2,
      reason: 'same-id',
      message:
        'in.jsonl:2: line 1 has the id "1" too, with other content than line 2; give one of them another id.',
    });
  });

  test('other responses and other fields are the same content', async () => {
    const lines = '{"id":1,"prompt":"a"}\n{"id":1,"prompt":"a","responses":["b"],"more":1}';
    expect(await read(lines)).toMatchObject([{ kind: 'instruction' }, { kind: 'duplicate' }]);
  });

  test('a refused line does not take an id', async () => {
    const lines = '{"id":1,"prompt":""}\n{"id":1,"prompt":"a"}';
    expect(await read(lines)).toMatchObject([{ reason: 'empty-prompt' }, { kind: 'instruction' }]);
  });

  property.prop([fc.string({ unit: 'grapheme', minLength: 1 }), fc.constantFrom('NFC', 'NFD')])(
    'an id that is a hash does not depend on Unicode form, line ends or outer blanks',
    async (text, form) => {
      const prompt = `a${text}\nb`;
      const again = `\t ${prompt.replaceAll('\n', '\r\n').normalize(form)}\r\n`;
      const items = await read(
        `${JSON.stringify({ prompt })}\n${JSON.stringify({ prompt: again })}`,
      );
      expect(items.map(({ kind }) => kind)).toEqual(['instruction', 'duplicate']);
    },
  );

  test('two prompts have two hashes of 128 bits', async () => {
    const [first, second] = await read('a\nb');
    expect(first).toHaveProperty('instruction.id', expect.stringMatching(/^[0-9a-f]{32}$/));
    expect(second).not.toHaveProperty('instruction.id', only([first!]).id);
  });
});

describe('reading keeps pace with whoever asks', () => {
  const hostile = fc
    .array(
      fc.oneof(
        fc.string(),
        fc.constantFrom(
          '{"prompt":"a"}',
          '{"id":1,"prompt":"é\u2028"}',
          '[',
          ']',
          ',',
          '"',
          '\\',
          '\n',
          '\r\n',
          '\ufeff',
        ),
      ),
      { maxLength: 30 },
    )
    .map((parts) => Buffer.from(parts.join('')));

  property.prop([
    hostile,
    fc.array(fc.integer({ min: 0, max: 200 })),
    fc.constantFrom('auto', 'jsonl', 'json', 'text'),
  ])('where chunks end does not matter', async (bytes, cuts, format) => {
    const ends = [...cuts, bytes.length]
      .map((cut) => Math.min(cut, bytes.length))
      .sort((a, b) => a - b);
    const parts = ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
    const options = { format, maxLineBytes: 24 } as const;
    expect(await read(parts, options)).toEqual(await read(bytes, options));
  });

  property.prop([
    fc.array(fc.record({ prompt: fc.string({ minLength: 1 }), any: fc.jsonValue() })),
  ])('an array and its elements as lines are the same instructions', async (objects) => {
    const bare = (items: readonly InputItem[]) =>
      items.map((item) =>
        item.kind === 'instruction' ? { ...item.instruction, source_line: 0 } : item.kind,
      );
    const asArray = await read(JSON.stringify(objects, null, 1), { format: 'json' });
    const asLines = await read(objects.map((object) => JSON.stringify(object)).join('\n'), {
      format: 'jsonl',
    });
    expect(bare(asArray)).toEqual(bare(asLines));
  });

  test('nothing is read ahead, and whoever stops early closes the source', async () => {
    let taken = 0;
    let closed = false;
    async function* endless() {
      try {
        for (;;) {
          await Promise.resolve();
          yield Buffer.from(`prompt ${taken++}\n`);
        }
      } finally {
        closed = true;
      }
    }
    const items = readInstructions(
      { name: 'endless', chunks: endless() },
      { ...defaultInputOptions, seen: memorySeen() },
    );
    for await (const item of items) if (item.line === 3) break;
    expect(taken).toBeLessThanOrEqual(4);
    expect(closed).toBe(true);
  });
});
