import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { evaluateCommand } from '../../infra/cli/evaluate.ts';
import {
  CallError,
  type Call,
  type CallAnswer,
  type Endpoint,
} from '../../infra/model/endpoint.ts';
import { deadModel, instantModel } from '../support/model.ts';
import { captured, folder, type Ran } from './support.ts';

type Model = Endpoint & { close(): Promise<void> };

/** Says what is written after the prompt's last colon, and remembers what it was asked. */
function echo(answer: (call: Call) => Partial<CallAnswer> | CallError = () => ({})) {
  const asked: Call[] = [];
  const model: Model = {
    ...instantModel({ failRate: 0, refineRate: 0 }),
    send: (call) => {
      const prompt = call.messages.at(-1)?.content ?? '';
      const changed = answer(call);
      if (changed instanceof CallError) return Promise.reject(changed);
      if (call.purpose !== 'probe') asked.push(call);
      const content = prompt.slice(prompt.lastIndexOf(':') + 1).trim();
      const choices = Array.from({ length: call.n }, (_, index) => ({
        content: call.purpose === 'probe' ? `answer ${index}` : content,
        reasoning: null,
        finish_reason: 'stop',
      }));
      return Promise.resolve({
        choices,
        usage: { prompt_tokens: 10, completion_tokens: 5 },
        ...changed,
      });
    },
  };
  return { model, asked };
}

const rows = [
  ['1', 'No commas: fine', ['punctuation:no_comma'], [{}]],
  ['2', 'No commas: not, fine', ['punctuation:no_comma'], [{}]],
  [
    '3',
    'A title and two words: <<Joy>>',
    ['detectable_format:title', 'length_constraints:number_words'],
    [{}, { num_words: 2, relation: 'at least' }],
  ],
] as const;
const benchmark = rows.map(([key, prompt, instruction_id_list, kwargs]) =>
  JSON.stringify({ key, prompt, instruction_id_list, kwargs }),
);

async function place(lines: readonly string[] = benchmark) {
  const at = await folder();
  const file = join(at, 'bench.jsonl');
  await writeFile(file, `${lines.join('\n')}\n`);
  const run = async (model: Model, ...args: readonly string[]): Promise<Ran> => {
    vi.stubEnv('OPENAI_API_KEY', undefined);
    try {
      const flags = ['--home', join(at, 'home'), '--model-url', 'http://localhost:1/v1'];
      const command = evaluateCommand(() => model).exitOverride();
      const { code, out, err } = await captured(() =>
        command.parseAsync(['node', 'spar', file, ...flags, '--model', 'tiny', ...args]),
      );
      return { code, out: out.replaceAll(at, 'HERE'), err: err.replaceAll(at, 'HERE') };
    } finally {
      vi.unstubAllEnvs();
    }
  };
  return { at, file, run };
}

const reportOf = ({ out }: Ran) =>
  JSON.parse(out) as Record<string, unknown> & {
    readonly prompt: { readonly strict: { readonly followed: number; readonly of: number } };
  };

describe('spar evaluate', () => {
  test('asks for one response to each prompt, at temperature 0, and prints what was satisfied', async () => {
    const { run } = await place();
    const { model, asked } = echo();
    const { code, out, err } = await run(model);
    expect([code, err]).toEqual([0, '']);
    expect(out).toMatchInlineSnapshot(`
      "HERE/bench.jsonl · tiny
                                            n   strict                loose
        prompts                             3    33.3 (  6.1– 79.2)    33.3 (  6.1– 79.2)
        instructions                        4    50.0 (  0.0–100.0)    50.0 (  0.0–100.0)
        detectable_format:title             1   100.0 ( 20.7–100.0)   100.0 ( 20.7–100.0)
        length_constraints:number_words     1     0.0 (  0.0– 79.3)     0.0 (  0.0– 79.3)
        punctuation:no_comma                2    50.0 (  9.5– 90.5)    50.0 (  9.5– 90.5)
        4 model calls
        % satisfied (95 % interval)
      "
    `);
    expect(asked.map(({ n, sampling }) => [n, sampling.temperature])).toEqual([
      [1, 0],
      [1, 0],
      [1, 0],
    ]);
  });

  test('pays for no answer twice: the same command says the same, and another name asks anew', async () => {
    const { run } = await place();
    const { model, asked } = echo();
    const first = reportOf(await run(model, '--json'));
    const second = reportOf(await run(model, '--json'));
    expect(asked).toHaveLength(3);
    expect(second).toEqual({
      ...first,
      modelCalls: 0,
      tokens: { prompt: 0, completion: 0 },
    });
    await run(model, '--name', 'after-dpo');
    expect(asked).toHaveLength(6);
  });

  test('goes on where it was when the endpoint refused one of the prompts', async () => {
    const { run } = await place();
    let refuses = true;
    const { model, asked } = echo(({ messages }) =>
      refuses && messages.at(-1)?.content.includes('title')
        ? new CallError('rejected', 'the prompt is too odd')
        : {},
    );
    const broken = await run(model, '--json');
    expect(broken.code).toBe(1);
    expect(broken.err).toContain('no answer to 3: the prompt is too odd');
    expect(reportOf(broken)).toMatchObject({ unanswered: 1, prompt: { strict: { followed: 1 } } });
    refuses = false;
    const { code } = await run(model, '--json');
    expect([code, asked.length]).toEqual([0, 3]);
  });

  test('says so if the endpoint cannot be reached', async () => {
    const { run } = await place();
    await expect(run(deadModel())).rejects.toThrow('dead cannot be reached');
  });

  test('says how many responses were cut off', async () => {
    const { run } = await place();
    const choice = { content: 'so many', reasoning: null, finish_reason: 'length' };
    const { model } = echo(({ purpose }) => (purpose === 'probe' ? {} : { choices: [choice] }));
    expect((await run(model, '--max-tokens', '2')).out).toContain(
      '3 of 3 responses ended at max_tokens',
    );
  });

  test('writes responses that can be scored again, verdicts, and a plot', async () => {
    const { at, run } = await place();
    const { model, asked } = echo();
    const names = { save: join(at, 'r.jsonl'), verdicts: join(at, 'v.jsonl'), plot: join(at, 'p') };
    const first = reportOf(
      await run(model, '--json', ...Object.entries(names).flatMap(([f, n]) => [`--${f}`, n])),
    );
    const again = reportOf(await run(model, '--json', '--responses', names.save));
    expect(asked).toHaveLength(3);
    expect(again).toMatchObject({ prompt: first.prompt, model: null, modelCalls: 0 });
    const verdicts = (await readFile(names.verdicts, 'utf8')).trim().split('\n');
    expect(JSON.parse(verdicts[1]!)).toMatchObject({
      id: '2',
      line: 2,
      constraints: [{ strict: { satisfied: false, detail: '1 comma; none allowed' } }],
    });
    expect(await readFile(names.plot, 'utf8')).toMatch(/^<svg [\s\S]*punctuation:no_comma \(2\)/);
  });

  test('refuses two outputs of one name', async () => {
    const { run } = await place();
    await expect(run(echo().model, '--save', 'x', '--plot', 'x')).rejects.toThrow(/same file/);
  });
});

describe('a benchmark that is none', () => {
  test.each([
    ['no constraints', { prompt: 'a' }, 'bench.jsonl:2: has no instruction_id_list'],
    [
      'an unknown constraint',
      { prompt: 'a', instruction_id_list: ['a:b'], kwargs: [{}] },
      'bench.jsonl:2: there is no constraint a:b.',
    ],
    [
      'a wrong argument',
      {
        prompt: 'a',
        instruction_id_list: ['length_constraints:number_words'],
        kwargs: [{ num_words: -1 }],
      },
      'bench.jsonl:2: length_constraints:number_words: the argument num_words has to be a whole number',
    ],
    ['no prompt', { key: 4 }, 'bench.jsonl:2: needs `prompt` or `messages`'],
    ['a row twice', JSON.parse(benchmark[0]!) as object, 'the same row as line 1'],
  ])('%s: said with its line, and nobody is asked', async (_name, row, message) => {
    const { run } = await place([benchmark[0]!, JSON.stringify(row)]);
    const { model, asked } = echo();
    await expect(run(model)).rejects.toThrow(message);
    expect(asked).toEqual([]);
  });
});

describe('spar evaluate --responses', () => {
  async function scored(...lines: readonly unknown[]) {
    const { at, run } = await place();
    const file = join(at, 'r.jsonl');
    await writeFile(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    const { model, asked } = echo();
    const ran = await run(model, '--json', '--responses', file);
    expect(asked).toEqual([]);
    return ran;
  }
  const answer = (index: number, response = 'Fine') => ({ prompt: rows[index]![1], response });

  test('finds each response by its prompt, in any order', async () => {
    const ran = await scored(answer(2), answer(0), answer(1));
    expect([ran.code, ran.err]).toEqual([0, '']);
    expect(reportOf(ran).prompt.strict).toMatchObject({ followed: 2, of: 3 });
  });

  test.each([
    [
      'a prompt without a response',
      [answer(0), answer(1)],
      'HERE/bench.jsonl:3: has no answer in HERE/r.jsonl; it counts as not followed.',
      2,
    ],
    [
      'a prompt with two: the last counts',
      [answer(0, 'a, b'), answer(1), answer(2), answer(0)],
      'HERE/r.jsonl:4: answers the prompt of line 1 again; it counts.',
      2,
    ],
    [
      'a response to nothing that was asked',
      [answer(0), answer(1), answer(2), { prompt: 'Who?', response: '' }],
      'HERE/r.jsonl:4: answers no prompt of HERE/bench.jsonl; it is not counted.',
      2,
    ],
  ])('%s: said with its line, and the exit code is 1', async (_name, lines, message, followed) => {
    const ran = await scored(...lines);
    expect(ran.code).toBe(1);
    expect(ran.err).toBe(`${message}\n`);
    expect(reportOf(ran).prompt.strict.followed).toBe(followed);
  });

  test.each([
    ['no object', [1]],
    ['no response', [{ prompt: 'a' }]],
  ])('%s: refused with its line', async (_name, lines) => {
    await expect(scored(answer(0), ...lines)).rejects.toThrow(
      /r\.jsonl:2: needs the texts prompt and response\.\n1 bad line\. Nothing was scored\./,
    );
  });
});
