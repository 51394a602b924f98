import { describe, expect, test } from 'vitest';
import { partsOf } from '../../processors/rules/ids.ts';
import type { DeadLetter, Outcome, PreferencePair } from '../../schemas/records.ts';
import { nameOnLog, type TopicInfo } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { RunError, UsageError } from '../../infra/errors.ts';
import type { Home } from '../../infra/home/home.ts';
import { scan } from '../../infra/log/scan.ts';
import { CallError } from '../../infra/model/endpoint.ts';
import { settingsOf, versionsOf } from '../../infra/config/settings.ts';
import { plan } from '../../infra/run/plan.ts';
import { systemTime } from '../../infra/time.ts';
import { memoryHome } from '../support/home.ts';
import { deadModel, instantModel, type InstantModel } from '../support/model.ts';
import { standingOf } from '../../infra/cli/standing.ts';
import type { Summary } from '../../infra/run/summary.ts';
import { configOf, endpointOf, runWith, sourceOf } from './support.ts';

const lines = (count: number, from = 0) =>
  Array.from({ length: count }, (_, index) =>
    JSON.stringify({ id: `i${from + index}`, prompt: `Write ${from + index} words.` }),
  );

const model = () => instantModel({ failRate: 0.4, refineRate: 0.4 });

async function recordsOf<Row>(home: Home, topic: TopicInfo): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for await (const record of scan(home.log, nameOnLog(home.pipeline, topic))) {
    rows.push((await home.serde.decode(topic.schema, record.value)) as Row);
  }
  return rows;
}

const sortedPairs = async (home: Home): Promise<readonly PreferencePair[]> =>
  (await recordsOf<PreferencePair>(home, topics.pairs)).toSorted((a, b) => (a.id < b.id ? -1 : 1));

const sum = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((total, count) => total + count, 0);

const callId = ({ seed, n, messages }: InstantModel['calls'][number]) =>
  JSON.stringify([seed, n, messages]);

describe('from instructions to pairs', () => {
  test('every instruction ends once, and every pair has its outcome', async () => {
    const home = await memoryHome();
    const instant = model();
    const summary = await runWith(home, instant, lines(40));
    expect(summary).toMatchObject({ admitted: 40, duplicates: 0, complete: true, deadLetters: 0 });
    expect(sum(summary.outcomes)).toBe(40);
    const outcomes = await recordsOf<Outcome>(home, topics.outcomes);
    expect(new Set(outcomes.map(({ instruction_id }) => instruction_id)).size).toBe(40);
    const pairs = await recordsOf<PreferencePair>(home, topics.pairs);
    expect(pairs.length).toBe(summary.outcomes.paired);
    expect(pairs.length).toBeGreaterThan(10);
    for (const pair of pairs) {
      expect(pair.chosen_value).toBeGreaterThan(pair.gate);
      expect(pair.rejected_no).toBeGreaterThan(pair.rejected_yes);
      expect(pair.path.at(0)?.text).toBe(pair.rejected);
      expect(pair.path.at(-1)?.text).toBe(pair.chosen);
    }
  });

  test('the summary agrees with what the model was asked, to the call and the token', async () => {
    const home = await memoryHome();
    const instant = model();
    const summary = await runWith(home, instant, lines(20));
    const purposes = Object.groupBy(instant.calls, ({ purpose }) => purpose);
    for (const purpose of ['probe', 'sample', 'judge', 'refine'] as const) {
      const calls = purposes[purpose] ?? [];
      expect(summary.modelCalls[purpose]).toBe(calls.length);
      expect(summary.generations[purpose]).toBe(calls.reduce((count, { n }) => count + n, 0));
    }
    expect(summary.thisRun.modelCalls).toEqual(summary.modelCalls);
    const outcomes = await recordsOf<Outcome>(home, topics.outcomes);
    const calls = outcomes.reduce((count, outcome) => count + outcome.calls, 0);
    expect(calls + summary.modelCalls.probe).toBe(instant.calls.length);
  });

  test('neither the limit of calls in flight nor the partitions change the pairs', async () => {
    const pairsWith = async (maxInFlight: number, partitions: number) => {
      const home = await memoryHome(partitions);
      const endpoint = endpointOf({ maxInFlight });
      await runWith(home, model(), lines(15), {
        endpoints: { actor: endpoint, judge: endpoint, refiner: endpoint },
      });
      return sortedPairs(home);
    };
    const expected = await pairsWith(1000, 1);
    expect(expected.length).toBeGreaterThan(5);
    expect(await pairsWith(1, 1)).toEqual(expected);
    expect(await pairsWith(16, 3)).toEqual(expected);
  });

  test('several trees of one instruction each have an outcome, and the calls add up', async () => {
    const home = await memoryHome();
    const instant = model();
    const config = configOf({ negatives_per_instruction: 3 });
    const summary = await runWith(home, instant, lines(10), { config });
    const outcomes = await recordsOf<Outcome>(home, topics.outcomes);
    const trees = Map.groupBy(outcomes, ({ instruction_id }) => instruction_id);
    expect(trees.size).toBe(10);
    for (const ended of trees.values()) {
      expect(new Set(ended.map(({ tree }) => tree)).size).toBe(ended.length);
      expect(ended.every(({ trees: k }) => k === 0 || k === ended.length)).toBe(true);
    }
    expect(outcomes.reduce((count, { calls }) => count + calls, 0)).toBe(
      sum(summary.modelCalls) - summary.modelCalls.probe,
    );
  });

  test('responses that the source brings are judged, not sampled', async () => {
    const home = await memoryHome();
    const instant = model();
    const own = [{ id: 'own', prompt: 'Say it.', responses: ['bad 1', 'good 1'] }];
    const summary = await runWith(
      home,
      instant,
      own.map((line) => JSON.stringify(line)),
    );
    expect(summary.modelCalls.sample).toBe(0);
    expect(summary.outcomes.paired).toBe(1);
    const [pair] = await recordsOf<PreferencePair>(home, topics.pairs);
    expect(pair?.rejected).toBe('bad 1');
  });
});

describe('the same command again', () => {
  test('asks nothing, contacts nobody and changes nothing', async () => {
    const home = await memoryHome();
    const first = await runWith(home, model(), lines(12));
    const before = await recordsOf(home, topics.outcomes);
    const again = await runWith(home, deadModel(), lines(12));
    expect(again.thisRun).toMatchObject({ admitted: 0, modelCalls: { sample: 0, judge: 0 } });
    expect({ ...again, thisRun: null, seconds: 0 }).toEqual({
      ...first,
      thisRun: null,
      seconds: 0,
    });
    expect(await recordsOf(home, topics.outcomes)).toEqual(before);
  });

  test('with more lines goes on with those', async () => {
    const home = await memoryHome();
    await runWith(home, model(), lines(5));
    const summary = await runWith(home, model(), lines(12));
    expect(summary).toMatchObject({ admitted: 12, thisRun: { admitted: 7 } });
    expect(sum(summary.outcomes)).toBe(12);
  });

  test('under another iteration processes exactly its own instructions', async () => {
    const home = await memoryHome();
    await runWith(home, model(), lines(12));
    const instant = model();
    const second = await runWith(home, instant, lines(5, 3), { iteration: '2' });
    expect(second).toMatchObject({ admitted: 5, duplicates: 0, complete: true });
    expect(sum(second.outcomes)).toBe(5);
    const outcomes = await recordsOf<Outcome>(home, topics.outcomes);
    expect(outcomes.filter(({ iteration }) => iteration === '2').length).toBe(5);
    expect(outcomes.length).toBe(17);
  });

  test('after being stopped at any moment, ends the same and pays for nothing twice', async () => {
    const whole = await memoryHome();
    const straight = model();
    const expected = await runWith(whole, straight, lines(60));

    const home = await memoryHome();
    const asked: string[] = [];
    let summary = null;
    for (let stops = 0; summary?.complete !== true && stops < 60; stops++) {
      const instant = model();
      const stop = new AbortController();
      const slow: InstantModel = {
        ...instant,
        send: async (call, signal) => {
          await systemTime.sleep(2, signal);
          if (instant.calls.length >= 40) stop.abort(new Error('enough for now'));
          return instant.send(call, signal);
        },
      };
      summary = await runWith(home, slow, lines(60), { stop: stop.signal });
      asked.push(...instant.calls.map(callId));
    }
    expect(summary).toMatchObject({ complete: true, outcomes: expected.outcomes });
    expect(new Set(asked).size).toBe(asked.length);
    expect(asked.toSorted()).toEqual(straight.calls.map(callId).toSorted());
    expect(await sortedPairs(home)).toEqual(await sortedPairs(whole));
  });

  test('leaves the topics as they are, the manifest too', async () => {
    const home = await memoryHome();
    const ends = async () =>
      Promise.all(
        Object.values(topics).map((topic) => home.log.ends(nameOnLog(home.pipeline, topic))),
      );
    await runWith(home, model(), lines(3));
    const before = await ends();
    await runWith(home, deadModel(), lines(3));
    expect(await ends()).toEqual(before);
  });

  test('with other semantic settings is refused, and the differences are named', async () => {
    const home = await memoryHome();
    await runWith(home, model(), lines(2));
    const other = runWith(home, model(), lines(2), {
      config: configOf({ seed: 7, search: { depth: 2 } }),
    });
    await expect(other).rejects.toThrow(UsageError);
    await expect(other).rejects.toThrow(/search\.depth: 3 when it was opened, 2 now/);
    await expect(other).rejects.toThrow(/seed: 0 when it was opened, 7 now/);
  });

  test('of another iteration leaves the open trees of the first to the model that opened them', async () => {
    const whole = await memoryHome();
    await runWith(whole, model(), lines(20));
    const home = await memoryHome();
    const stop = new AbortController();
    const instant = model();
    const interrupted: InstantModel = {
      ...instant,
      send: (call, signal) => {
        if (instant.calls.length >= 60) stop.abort(new Error('enough for now'));
        return instant.send(call, signal);
      },
    };
    await runWith(home, interrupted, lines(20), { stop: stop.signal });

    const other = endpointOf({ model: 'other', version: 'other' });
    const others: InstantModel = { ...model(), models: () => Promise.resolve(null) };
    const notices: string[] = [];
    const second = await runWith(home, others, lines(5), {
      iteration: '2',
      endpoints: { actor: other, judge: other, refiner: other },
      notice: (message) => notices.push(message),
    });
    expect(second).toMatchObject({ complete: true, admitted: 5, deadLetters: 0 });
    expect(notices.join()).toMatch(/\d+ records of iteration 1 wait for the models/);

    const first = await runWith(home, model(), lines(20));
    expect(first).toMatchObject({ complete: true, admitted: 20, deadLetters: 0 });
    const ofFirst = (await sortedPairs(home)).filter(({ iteration }) => iteration === '1');
    expect(ofFirst).toEqual(await sortedPairs(whole));
  });

  test('with other operational settings is the same run', async () => {
    const home = await memoryHome();
    await runWith(home, model(), lines(2));
    const summary = await runWith(home, deadModel(), lines(2), {
      config: configOf({ limits: { max_in_flight: 3, linger_ms: 0 } }),
    });
    expect(summary.complete).toBe(true);
  });
});

describe('a source that was not read to its end', () => {
  /** Some lines, and then nothing more, until the run is stopped. */
  async function interrupted(home: Home, name: string, count: number): Promise<Summary> {
    const stop = new AbortController();
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield Buffer.from(`${lines(count).join('\n')}\n`);
      await new Promise(() => undefined);
    }
    return runWith(home, model(), [], {
      source: { name, chunks: endless() },
      stop: stop.signal,
      progress: ({ tally }) => {
        if (tally.ended === count) stop.abort(new Error('enough'));
      },
      progressMs: 5,
    });
  }
  const standing = (home: Home) =>
    standingOf(
      { ...home, counters: (iteration) => home.journal.counters(iteration), notes: () => [] },
      '1',
    );

  test('leaves the iteration incomplete, although all that was admitted has ended', async () => {
    const home = await memoryHome();
    const summary = await interrupted(home, 'a.jsonl', 4);
    expect(summary).toMatchObject({ admitted: 4, complete: false, unreadSources: ['a.jsonl'] });
    expect(await standing(home)).toMatchObject({
      tally: { admitted: 4, ended: 4 },
      unreadSources: ['a.jsonl'],
      complete: false,
    });
  });

  test('is remembered through runs of others, until it is read', async () => {
    const home = await memoryHome();
    await interrupted(home, 'a.jsonl', 4);
    await interrupted(home, 'b.jsonl', 6);
    expect((await standing(home)).unreadSources).toEqual(['a.jsonl', 'b.jsonl']);
    const other = await runWith(home, model(), lines(3, 20), {
      source: sourceOf(lines(3, 20), 'c'),
    });
    expect(other).toMatchObject({ complete: false, unreadSources: ['a.jsonl', 'b.jsonl'] });
    await runWith(home, model(), [], { source: sourceOf(lines(8), 'a.jsonl') });
    const last = await runWith(home, model(), [], { source: sourceOf(lines(6), 'b.jsonl') });
    expect(last).toMatchObject({ admitted: 11, complete: true, unreadSources: [] });
    expect(await standing(home)).toMatchObject({ unreadSources: [], complete: true });
  });

  test('is read as far as one likes with a limit', async () => {
    const home = await memoryHome();
    await interrupted(home, 'a.jsonl', 4);
    const source = sourceOf(lines(100), 'a.jsonl');
    expect(await runWith(home, deadModel(), [], { source, limit: 4 })).toMatchObject({
      admitted: 4,
      complete: true,
    });
    expect((await standing(home)).complete).toBe(true);
  });

  test('is one where a strict run met a bad line', async () => {
    const home = await memoryHome();
    await runWith(home, model(), [...lines(2), 'not JSON {'], { strict: true, format: 'jsonl' });
    expect(await standing(home)).toMatchObject({ unreadSources: ['test.jsonl'], complete: false });
  });

  test('concerns its iteration only', async () => {
    const home = await memoryHome();
    await interrupted(home, 'a.jsonl', 4);
    const second = await runWith(home, model(), lines(2), { iteration: '2' });
    expect(second).toMatchObject({ complete: true, unreadSources: [] });
  });
});

describe('a server that does not answer', () => {
  /** What would take minutes, in milliseconds. */
  const hasty = configOf({
    retries: { attempts: 3, first_delay_ms: 1, max_delay_ms: 5, record_attempts: 2, busy_after: 5 },
    limits: { down_ms: 60_000, probe_ms: 1000 },
  });
  /** The instant model, which fails as told: by what is asked, or null to answer. */
  const failing = (why: (call: InstantModel['calls'][number]) => CallError | null) => {
    const instant = model();
    let calls = 0;
    return {
      ...instant,
      get sent() {
        return calls;
      },
      send: (call: InstantModel['calls'][number], signal: AbortSignal) => {
        const error = why(call);
        calls++;
        return error ? Promise.reject(error) : instant.send(call, signal);
      },
    };
  };
  const about = (call: InstantModel['calls'][number], text: string): boolean =>
    call.messages.some(({ content }) => content.includes(text));

  test.each([
    ['forbids', 'forbidden', 'refused', /refuses this request.*\(403: no\)/, 1],
    ['is too slow for', 'timeout', 'attempts', /too slow/, 2],
    ['breaks down over', 'server-error', 'attempts', /too slow/, 2],
  ] as const)(
    'that %s single prompts: they end as their own failure, the others as ever',
    async (_name, kind, cause, words, attempts) => {
      const home = await memoryHome();
      const errors = { status: 403, said: 'no' };
      const odd = failing((call) =>
        about(call, 'Write 3 words.') || about(call, 'Write 7 words.')
          ? new CallError(kind, 'too slow', errors)
          : null,
      );
      const summary = await runWith(home, odd, lines(12), { config: hasty });
      expect(summary).toMatchObject({ admitted: 12, complete: true, deadLetters: 2 });
      expect(summary.outcomes.failed).toBe(2);
      const letters = await recordsOf<DeadLetter>(home, topics.deadLetters);
      expect(letters).toMatchObject([
        { cause, attempts },
        { cause, attempts },
      ]);
      for (const { error } of letters) expect(error).toMatch(words);
    },
  );

  test.each(['rate-limited', 'timeout', 'forbidden', 'denied', 'server-error'] as const)(
    'anybody (%s), for a while: it waits, and loses nothing',
    async (kind) => {
      const expected = await runWith(await memoryHome(), model(), lines(12));
      const home = await memoryHome();
      let answered = 0;
      const until = { ms: Infinity };
      const waiting = new Set<string | null>();
      const odd = failing(() => {
        if (++answered < 20 || performance.now() > until.ms) return null;
        // Ten times as long as all tries of all records take.
        if (until.ms === Infinity) until.ms = performance.now() + 1500;
        return new CallError(kind, 'not now', { status: 429 });
      });
      const summary = await runWith(home, odd, lines(12), {
        config: hasty,
        progress: ({ down }) => waiting.add(down),
        progressMs: 20,
      });
      expect(summary).toMatchObject({
        complete: true,
        deadLetters: 0,
        outcomes: expected.outcomes,
      });
      expect(waiting).toEqual(new Set([null, 'not now']));
    },
  );

  test('anybody, for longer than one would wait: it gives up in a sentence, and loses nothing', async () => {
    const expected = await runWith(await memoryHome(), model(), lines(12));
    const home = await memoryHome();
    let answered = 0;
    const full = failing(() =>
      ++answered < 20 ? null : new CallError('rate-limited', 'it is full. Come back later.'),
    );
    const config = { ...hasty, limits: { ...hasty.limits, down_ms: 300 } };
    const run = runWith(home, full, lines(12), { config });
    await expect(run).rejects.toThrow(RunError);
    await expect(run).rejects.toThrow(
      'instant has been down for 0 minutes: it is full. Come back later. Nothing is lost: the same command goes on.',
    );
    expect(await recordsOf(home, topics.deadLetters)).toEqual([]);
    expect(await runWith(home, model(), lines(12))).toMatchObject({
      complete: true,
      deadLetters: 0,
      outcomes: expected.outcomes,
    });
  });
});

describe('what goes wrong', () => {
  test('an endpoint that cannot be reached is said before anything is admitted', async () => {
    const home = await memoryHome();
    await expect(runWith(home, deadModel(), lines(3))).rejects.toThrow(RunError);
    expect(await recordsOf(home, topics.instructions)).toEqual([]);
    // Nor is the iteration fixed to settings that never worked.
    const corrected = await runWith(home, model(), lines(3), { config: configOf({ seed: 5 }) });
    expect(corrected).toMatchObject({ admitted: 3, complete: true });
  });

  test('the same id with other content than the home has is refused, with both places', async () => {
    const home = await memoryHome();
    await runWith(home, model(), lines(2));
    const notices: string[] = [];
    const summary = await runWith(home, model(), ['{"id":"i1","prompt":"Something else."}'], {
      notice: (message) => notices.push(message),
    });
    expect(summary).toMatchObject({ rejected: 1, admitted: 2 });
    expect(notices.join()).toMatch(/test\.jsonl:1: .*"i1" with other content, from test\.jsonl:2/);
  });

  test('a line that the log cannot hold costs only itself', async () => {
    const home = await memoryHome();
    const notices: string[] = [];
    const huge = JSON.stringify({ id: 'huge', prompt: 'x'.repeat(8 * 1024 * 1024) });
    const summary = await runWith(home, model(), [huge, ...lines(2)], {
      config: configOf({ limits: { max_line_bytes: 16 * 1024 * 1024 } }),
      notice: (message) => notices.push(message),
    });
    expect(summary).toMatchObject({ rejected: 1, admitted: 2, complete: true });
    expect(notices.join()).toMatch(/^test\.jsonl:1: .*bytes.*shorten it/);
  });

  test('strict stops at the first bad line', async () => {
    const home = await memoryHome();
    const summary = await runWith(home, model(), [...lines(2), '{"prompt":', ...lines(3, 2)], {
      strict: true,
    });
    expect(summary).toMatchObject({ rejected: 1, admitted: 2, complete: false });
  });

  test.each([
    ['no bytes of ours', Buffer.from('hello')],
    ['an unknown schema', Buffer.from([0, 0, 0, 99, 99, 1, 2, 3])],
    ['six hostile bytes', Buffer.from([0, 0, 0, 0, 1, 254, 255, 255, 255, 15])],
  ])('a poison record (%s) is one dead letter and one outcome', async (_name, value) => {
    const home = await memoryHome();
    const instruction = { topic: nameOnLog('spar', topics.responses), partition: 0 };
    await runWith(home, model(), lines(1));
    await home.log.append([
      { ...instruction, key: '1/poison', headers: { iteration: '1' }, value },
    ]);
    const summary = await runWith(home, model(), lines(3));
    expect(summary).toMatchObject({ complete: true, deadLetters: 1 });
    const [letter] = await recordsOf<DeadLetter>(home, topics.deadLetters);
    expect(Buffer.from(letter?.value ?? [])).toEqual(value);
    expect(letter).toMatchObject({ topic: 'responses', stage: 'judge', attempts: 1 });
    const outcomes = await recordsOf<Outcome>(home, topics.outcomes);
    const failed = outcomes.filter(({ outcome }) => outcome === 'failed');
    expect(failed.map(({ id }) => partsOf(id))).toEqual([['1', 'poison']]);
    expect(outcomes.length).toBe(4);
  });

  test('a refinement whose negative is gone fails with its cause', async () => {
    const home = await memoryHome();
    await runWith(home, model(), lines(6));
    let moved = null;
    for await (const record of scan(home.log, nameOnLog('spar', topics.refinements)))
      moved = record;
    if (!moved) expect.fail('the run accepted no refinement');
    const key = '1/nobody/0';
    await home.log.append([
      {
        ...moved,
        key,
        value: home.serde.encode(topics.refinements, {
          ...((await home.serde.decode('refinement', moved.value)) as object),
          id: key,
          instruction_id: 'nobody',
        }),
      },
    ]);
    const summary = await runWith(home, model(), lines(6), {
      config: configOf({ limits: { table_wait_ms: 50 } }),
    });
    expect(summary).toMatchObject({ complete: true, deadLetters: 1 });
    const failed = (await recordsOf<Outcome>(home, topics.outcomes)).filter(
      ({ outcome }) => outcome === 'failed',
    );
    expect(failed).toMatchObject([{ id: key, cause: 'no-negative', tree: 0 }]);
  });
});

describe('code judges, and there is no judge', () => {
  const config = configOf({ judge: { by: 'code' }, sample: { responses: 4 } });
  const endpoints = { actor: endpointOf(), refiner: endpointOf() };
  const noCommas = [{ id: 'punctuation:no_comma', arguments: {} }];
  const line = (id: string, more: object) =>
    JSON.stringify({ id, prompt: `Write ${id}.`, constraints: noCommas, ...more });
  const rows = [
    line('plain', {}),
    line('none', { constraints: [] }),
    line('voted', { judge_by: 'both' }),
  ];

  test('nobody is asked for a vote; an instruction that wants some is refused by its line', async () => {
    const home = await memoryHome();
    const notices: string[] = [];
    const summary = await runWith(home, model(), rows, {
      config,
      endpoints,
      notice: (text) => notices.push(text),
    });
    expect(summary).toMatchObject({
      state: 'complete',
      admitted: 2,
      rejected: 1,
      outcomes: { failed: 1 },
      modelCalls: { judge: 0 },
    });
    expect(notices).toContainEqual(
      expect.stringMatching(/^test\.jsonl:3: "voted" wants a model's/),
    );
    expect(await recordsOf<DeadLetter>(home, topics.deadLetters)).toMatchObject([
      { cause: 'no-constraints' },
    ]);
    await home.close();
  });

  test('a plan counts no votes then, and none for what cannot be sampled', async () => {
    const settings = settingsOf(config, '1', versionsOf(endpoints));
    const planned = await plan(sourceOf(rows), { format: 'auto' }, config, settings, endpoints);
    expect(planned).toMatchObject({
      instructions: 2,
      rejected: [expect.stringContaining('test.jsonl:3: "voted"')],
      generations: { sample: { least: 4, most: 4 }, judge: { least: 0, most: 0 } },
    });
  });

  test.each([
    // Code may spare those of the instruction that asks for both.
    ['model', { least: 2 * 4 * 5 }],
    // And here all but those of the instruction that it knows nothing of.
    ['both', { least: 4 * 5 }],
    ['code', { least: 0 }],
  ] as const)(
    'with a judge and judge.by: %s a plan counts those that may be cast',
    async (by, judge) => {
      const judged = configOf({ judge: { by }, sample: { responses: 4 } });
      const all = { ...endpoints, judge: endpointOf() };
      const settings = settingsOf(judged, '1', versionsOf(all));
      const planned = await plan(sourceOf(rows), { format: 'auto' }, judged, settings, all);
      expect(planned.generations).toMatchObject({ judge });
    },
  );
});
