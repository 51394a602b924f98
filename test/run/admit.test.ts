import { describe, expect, test } from 'vitest';
import type { InputItem } from '../../infra/input/read.ts';
import type { Log } from '../../infra/log/log.ts';
import { admit, withoutJudge, type AdmitOptions } from '../../infra/run/admit.ts';
import { PermanentError } from '../../processors/processor.ts';
import type { JudgeBy } from '../../schemas/records.ts';
import { topics } from '../../topology/topics.ts';
import { instruction, numbered, recordsOf } from '../runtime/support.ts';
import { memoryHome } from '../support/home.ts';
import { settingsWith } from '../support/script.ts';
import { instantTime } from '../support/time.ts';

const item = (id: string, text?: string): InputItem => ({
  kind: 'instruction',
  line: 1,
  instruction: instruction(id, text),
});

/** Admits these, and says what became of them. */
async function admitted(
  items: readonly InputItem[],
  change: Partial<AdmitOptions> & { readonly home?: Awaited<ReturnType<typeof memoryHome>> } = {},
) {
  const home = change.home ?? (await memoryHome(3));
  const admission = { taken: 0, admitted: 0, duplicates: 0, rejected: 0 };
  const messages: string[] = [];
  let asked = 0;
  const work = admit(
    (async function* () {
      yield* items;
      await Promise.resolve();
    })(),
    {
      log: home.log,
      serde: home.serde,
      pipeline: home.pipeline,
      iteration: '1',
      time: instantTime(),
      limit: null,
      strict: false,
      ready: () => {
        asked++;
        return Promise.resolve();
      },
      contextTokens: () => null,
      onRejected: (message) => messages.push(message),
      signal: new AbortController().signal,
      ...change,
    },
    admission,
  );
  const isRead = await work;
  const records = await recordsOf(home, topics.instructions);
  return { home, admission, messages, asked, records, isRead };
}

test('an instruction enters the stream once, stamped with its iteration, in a partition of its own', async () => {
  const { admission, records } = await admitted(numbered(20).map((id) => item(id)));
  expect(admission).toEqual({ taken: 20, admitted: 20, duplicates: 0, rejected: 0 });
  expect(records.map(({ key }) => key).sort()).toEqual([...numbered(20)].sort());
  expect(new Set(records.map(({ partition }) => partition)).size).toBe(3);
  expect(records.every(({ headers }) => headers['iteration'] === '1')).toBe(true);
});

test('what the home has already is taken, not admitted again, and no endpoint is asked', async () => {
  const { home } = await admitted([item('i0')]);
  const again = await admitted([item('i0')], { home });
  expect(again.admission).toMatchObject({ taken: 1, admitted: 0 });
  expect(again.asked).toBe(0);
  expect(again.records).toHaveLength(1);
  const other = await admitted([item('i0')], { home, iteration: '2' });
  expect(other.records.map(({ headers }) => headers['iteration'])).toEqual(['1', '2']);
});

test('what others wrote under its key, and nobody can read, is no reason to stop', async () => {
  const { home } = await admitted([item('i0')]);
  const decode = () => {
    throw new PermanentError('decode', 'not in the wire format');
  };
  const { admission } = await admitted([item('i0')], { home, serde: { ...home.serde, decode } });
  expect(admission).toEqual({ taken: 1, admitted: 1, duplicates: 0, rejected: 0 });
});

test('a limit counts what is taken, also what was there', async () => {
  const { home } = await admitted([item('i0')]);
  const { admission } = await admitted(
    numbered(9).map((id) => item(id)),
    { home, limit: 3 },
  );
  expect(admission).toMatchObject({ taken: 3, admitted: 2 });
});

describe('a source is read', () => {
  const items = numbered(3).map((id) => item(id));
  const bad: InputItem = { kind: 'rejected', line: 9, reason: 'not-utf8', message: 'bad' };

  test.each<[string, readonly InputItem[], Partial<AdmitOptions>, boolean]>([
    ['at its end', items, {}, true],
    ['with a bad line in it', [...items, bad, item('i9')], {}, true],
    ['as far as the limit asks', items, { limit: 2 }, true],
    ['not before the limit', items, { limit: 2, signal: AbortSignal.abort() }, false],
    ['not at a stop', items, { signal: AbortSignal.abort() }, false],
    ['not at a bad line of a strict run', [...items, bad], { strict: true }, false],
    ['at the end of a strict run', items, { strict: true }, true],
  ])('%s', async (_name, given, change, isRead) => {
    expect((await admitted(given, change)).isRead).toBe(isRead);
  });
});

describe('a prompt over the context', () => {
  const items = [item('i0', 'x'.repeat(401)), item('i1', 'x'.repeat(400))];

  test('is refused with its place, and the rest goes on', async () => {
    const { admission, messages } = await admitted(items, { contextTokens: () => 100 });
    expect(admission).toMatchObject({ taken: 1, admitted: 1, rejected: 1 });
    expect(messages).toEqual([
      "test:1: about 101 tokens, over the model's context of 100; shorten it.",
    ]);
  });

  test('ends a strict run', async () => {
    const { admission } = await admitted(items, { contextTokens: () => 100, strict: true });
    expect(admission).toMatchObject({ taken: 0, rejected: 1 });
  });

  test('is let through where the context is not known', async () => {
    expect((await admitted(items)).admission).toMatchObject({ admitted: 2 });
  });
});

test('nothing is taken after the stop', async () => {
  const { admission } = await admitted([item('i0')], { signal: AbortSignal.abort() });
  expect(admission.taken).toBe(0);
});

test('a disk that is full ends it: nothing is claimed that is not kept', async () => {
  const home = await memoryHome();
  const log: Log = { ...home.log, append: () => Promise.reject(new Error('disk full')) };
  await expect(admitted([item('i0')], { home, log })).rejects.toThrow('disk full');
});

test('what the iteration can do nothing with is refused by its place, before anything is asked', async () => {
  const settings = { ...settingsWith({ judge: { by: 'code' } }), models: noJudge };
  const wants = (id: string, judge_by: JudgeBy | null): InputItem => ({
    kind: 'instruction',
    line: 1,
    instruction: { ...instruction(id), source: 'in.jsonl', source_line: 7, judge_by },
  });
  const { admission, messages, asked } = await admitted([wants('m', 'model'), wants('b', 'both')], {
    refused: (one) => withoutJudge(one, settings),
  });
  expect(admission).toEqual({ taken: 0, admitted: 0, duplicates: 0, rejected: 2 });
  expect(asked).toBe(0);
  expect(messages).toEqual([
    `in.jsonl:7: "m" wants a model's votes (judge_by: model), and no judge is configured; ` +
      'give models.judge a url and a model in the config, or the instruction judge_by: code.',
    expect.stringContaining('in.jsonl:7: "b" wants a model\'s votes (judge_by: both)') as unknown,
  ]);
  const others = await admitted([wants('c', 'code'), wants('n', null)], {
    refused: (one) => withoutJudge(one, settings),
  });
  expect(others.admission).toMatchObject({ admitted: 2, rejected: 0 });
});

const noJudge = { actor: 'actor-1', judge: '', refiner: 'refiner-1' };
