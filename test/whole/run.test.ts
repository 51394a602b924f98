import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Outcome, PreferencePair, Verdicts } from '../../schemas/records.ts';
import { completion, says, serverOf } from '../model/support.ts';
import {
  filesIn,
  placeWith,
  simulator,
  spar,
  summaryIn,
  tapped,
  temporaryFolder,
} from './support.ts';

const topics = [
  'instructions',
  'responses',
  'verdicts',
  'negatives',
  'search.nodes',
  'refinements',
  'preference-pairs',
  'outcomes',
];

describe('a run against a model server', () => {
  test('ends every instruction once; the server counts the same calls and tokens; again, it asks nothing', async () => {
    const server = await simulator();
    const { args, home, out } = placeWith(40, server);
    const ended = await spar(args).ended;
    const summary = summaryIn(ended);
    expect(ended.code).toBe(0);
    expect(summary).toMatchObject({ admitted: 40, complete: true, rejected: 0, deadLetters: 0 });
    expect(Object.values(summary.outcomes).reduce((sum, count) => sum + count, 0)).toBe(40);

    const { roles, total } = server.ledger();
    for (const role of ['probe', 'sample', 'judge', 'refine'] as const) {
      expect(summary.modelCalls[role]).toBe(roles[role].answered);
      expect(summary.generations[role]).toBe(roles[role].generations);
    }
    expect(summary.tokens).toMatchObject({
      prompt: total.prompt_tokens,
      completion: total.completion_tokens,
    });

    const pairs = await tapped<PreferencePair>(home, 'preference-pairs');
    expect(pairs.length).toBe(summary.pairs);
    const verdicts = new Map(
      (await tapped<Verdicts>(home, 'verdicts')).map(({ value }) => [value.id, value]),
    );
    for (const { value: pair } of pairs) {
      expect(pair.chosen_value).toBeGreaterThan(pair.gate);
      const judged = verdicts.get(`${pair.iteration}/${pair.instruction_id}`);
      expect(judged?.judged[pair.rejected_index]?.verdict).toBe('fail');
      expect(judged?.responses[pair.rejected_index]?.text).toBe(pair.rejected);
    }

    const files = filesIn(out);
    const before = server.ledger().total.asked;
    const again = summaryIn(await spar(args).ended);
    expect(server.ledger().total.asked).toBe(before);
    expect({ ...again, thisRun: null, seconds: 0 }).toEqual({
      ...summary,
      thisRun: null,
      seconds: 0,
    });
    expect(filesIn(out)).toEqual(files);
  });

  test('other limits in flight make the same files', async () => {
    const server = await simulator();
    const [one, other] = [placeWith(20, server), placeWith(20, server, ['--max-in-flight', '3'])];
    await Promise.all([spar(one.args).ended, spar(other.args).ended]);
    const data = (out: string) => [...filesIn(out)].filter(([name]) => name.endsWith('.jsonl'));
    expect(data(one.out).length).toBeGreaterThan(2);
    expect(data(other.out)).toEqual(data(one.out));
  });
});

describe('a run that is cut off', () => {
  test('by SIGKILL, at random moments: nothing is paid for twice, nothing is lost or doubled', async () => {
    const server = await simulator({ latencyMs: 10, decodeMsPerToken: 1 });
    const undisturbed = placeWith(40, server);
    const expected = summaryIn(await spar(undisturbed.args).ended);
    const asked = server.ledger().total.asked;

    const place = placeWith(40, server);
    const kills: number[] = [];
    for (const delayMs of [700, 1100, 900]) {
      const { process: child, ended } = spar(place.args);
      await sleep(delayMs);
      child.kill('SIGKILL');
      kills.push(Date.now());
      expect((await ended).signal).toBe('SIGKILL');
    }
    const summary = summaryIn(await spar(place.args).ended);
    expect(summary).toMatchObject({
      admitted: 40,
      complete: true,
      outcomes: expected.outcomes,
      modelCalls: expected.modelCalls,
      tokens: expected.tokens,
      retries: expected.retries,
    });
    expect(filesIn(place.out)).toEqual(filesIn(undisturbed.out));

    const calls = [...server.calls()].slice(asked);
    for (const [index, killedAt] of kills.entries()) {
      const until = kills[index + 1] ?? Infinity;
      const before = new Map(
        calls.filter((call) => call.asked_at <= killedAt).map((call) => [call.id, call]),
      );
      const repeated = calls
        .filter((call) => call.asked_at > killedAt && call.asked_at <= until)
        .flatMap(({ id }) => before.get(id) ?? []);
      const safe = repeated.filter(({ answered_at: at }) => at !== null && at < killedAt - 1000);
      expect(safe).toEqual([]);
      // What was asked again was on its way when the process died: at most the places there are.
      expect(repeated.length).toBeLessThanOrEqual(256);
    }
    for (const topic of topics) {
      const keys = (await tapped(place.home, topic)).map(({ key }) => key);
      expect(new Set(keys).size, topic).toBe(keys.length);
    }
  });

  test('by SIGINT: stops within five seconds, says how to go on, and goes on', async () => {
    const server = await simulator({ latencyMs: 20, decodeMsPerToken: 2 });
    const { args, home, out } = placeWith(60, server);
    const { process: child, ended } = spar(args);
    // Until it is at work: a busy machine takes long to start a process.
    while (server.ledger().total.answered < 20) await sleep(20);
    const killedAt = performance.now();
    child.kill('SIGINT');
    const stopped = await ended;
    expect(performance.now() - killedAt).toBeLessThan(5000);
    expect(stopped.code).toBe(130);
    expect(stopped.stderr).toContain('nothing is lost');
    expect(summaryIn(stopped)).toMatchObject({ complete: false });
    // How long it takes to stop must not depend on how much there is.
    expect(existsSync(out)).toBe(false);
    const later = `spar export --home ${home} --out ${out}`;
    expect(stopped.stderr).toContain(`To write what there is: ${later}`);
    await spar(later.split(' ').slice(1)).ended;
    expect([...filesIn(out).keys()].every((name) => name.startsWith('partial/'))).toBe(true);

    const summary = summaryIn(await spar(args).ended);
    expect(summary).toMatchObject({ admitted: 60, complete: true });
    expect([...filesIn(out).keys()].some((name) => name.startsWith('partial/'))).toBe(false);
  });
});

test('a second signal ends a run at once, whatever it waits for', async () => {
  // It answers what the start asks, and nothing else.
  const { url, received } = await serverOf((response, { path, headers, body }) => {
    if (path.endsWith('/models')) says({ data: [{ id: 'simulated' }] })(response);
    if (headers['x-spar-role'] !== 'probe') return;
    const { n } = body as { readonly n?: number };
    says(completion(Array.from({ length: n ?? 1 }, (_, index) => ({ content: `${index}` }))))(
      response,
    );
  });
  const { args } = placeWith(3, { url });
  const config = join(temporaryFolder(), 'spar.yaml');
  writeFileSync(config, 'limits: { shutdown_ms: 60000 }\n');
  const { process: child, ended } = spar([...args, '--config', config]);
  await expect.poll(() => received.length, { timeout: 20_000 }).toBeGreaterThan(2);
  child.kill('SIGTERM');
  await sleep(1000);
  expect(child.exitCode).toBeNull();
  const killedAt = performance.now();
  child.kill('SIGINT');
  expect((await ended).code).toBe(130);
  expect(performance.now() - killedAt).toBeLessThan(500);
});

describe('a model server that misbehaves', () => {
  test('now and then: every instruction ends all the same, and no garbage is used', async () => {
    const server = await simulator({
      retryAfterMs: 100,
      faults: { rate_limited: 0.05, server_error: 0.05, hang: 0.02, cut: 0.02, garbage: 0.05 },
    });
    const { args, home, out } = placeWith(30, server);
    const config = join(temporaryFolder(), 'spar.yaml');
    writeFileSync(config, 'limits:\n  deadline_ms: 500\nretries:\n  first_delay_ms: 20\n');
    const summary = summaryIn(await spar([...args, '--config', config]).ended);
    expect(summary).toMatchObject({ admitted: 30, complete: true, deadLetters: 0 });
    expect(Object.values(summary.outcomes).reduce((sum, count) => sum + count, 0)).toBe(30);
    const { sample, judge, refine } = server.ledger().roles;
    const faults = (name: 'rate_limited' | 'server_error' | 'cut' | 'hang' | 'garbage') =>
      sample.faults[name] + judge.faults[name] + refine.faults[name];
    expect(summary.retries['429']).toBe(faults('rate_limited'));
    expect(summary.retries['5xx']).toBe(faults('server_error'));
    expect(summary.retries.cut).toBe(faults('cut'));
    expect(summary.retries.timeout).toBe(faults('hang'));
    // An answer of the refiner without marks is unusable, too.
    expect(summary.retries.unusable).toBeGreaterThanOrEqual(faults('garbage'));
    for (const name of ['rate_limited', 'server_error', 'cut', 'garbage'] as const) {
      expect(faults(name)).toBeGreaterThan(0);
    }
    const everything =
      [...filesIn(out).values()].join('') + JSON.stringify(await tapped(home, 'responses'));
    expect(everything).not.toContain('SIMULATED-GARBAGE');
  });

  test.each([
    ['think-tags', { reasoning: 'think-tags' }],
    ['field', { reasoning: 'field' }],
  ] as const)(
    'a reasoning model (%s): no thought is judged or exported',
    async (_name, settings) => {
      const server = await simulator(settings);
      const { args, home, out } = placeWith(15, server);
      const summary = summaryIn(await spar(args).ended);
      expect(summary.outcomes.paired).toBeGreaterThan(3);
      expect([...filesIn(out).values()].join('')).not.toContain('SIMULATED-THOUGHT');
      const verdicts = await tapped<Verdicts>(home, 'verdicts');
      const text = verdicts.map(({ value }) => value.responses.map((response) => response.text));
      expect(JSON.stringify(text)).not.toContain('SIMULATED-THOUGHT');
      // They are kept on the record.
      expect(verdicts[0]?.value.responses[0]?.reasoning).toContain('SIMULATED-THOUGHT');
      const outcomes = await tapped<Outcome>(home, 'outcomes');
      expect(outcomes.length).toBe(15);
    },
  );

  test.each([
    ['n is ignored', { nMode: 'ignored' }, /several choices/],
    ['n is refused', { nMode: 'refused' }, /several choices/],
    ['usage covers one choice', { usageMode: 'one' }, /tokens/],
    ['usage is missing', { usageMode: 'none' }, /tokens/],
  ] as const)('%s: it is said, and the run goes on', async (_name, settings, said) => {
    const server = await simulator(settings);
    const { args } = placeWith(8, server);
    const ended = await spar(args).ended;
    expect(ended.stderr).toMatch(said);
    const summary = summaryIn(ended);
    expect(summary).toMatchObject({ admitted: 8, complete: true });
    expect(summary.modelCalls.judge).toBe(server.ledger().roles.judge.answered);
  });

  test.each([
    ['it cannot be reached', {}, 'http://127.0.0.1:1/v1', /cannot be reached.*running/],
    ['the key is wrong', { apiKey: 'right' }, null, /refused the API key.*OPENAI_API_KEY/],
    ['the model is unknown', { model: 'another' }, null, /does not know the model "simulated"/],
    ['it answers HTML', { html: true }, null, /not a chat completion.*\/v1/],
  ] as const)(
    '%s: one sentence with the remedy, before anything is admitted',
    async (_name, settings, url, said) => {
      const server = await simulator(settings);
      const { args, home } = placeWith(3, { url: url ?? server.url });
      const ended = await spar(args).ended;
      expect(ended.code).toBe(1);
      expect(ended.stderr.trim().split('\n').at(-1)).toMatch(said);
      expect(await tapped(home, 'instructions')).toEqual([]);
      const doctor = await spar([
        'doctor',
        '--model-url',
        url ?? server.url,
        '--model',
        'simulated',
        '--home',
        home,
      ]).ended;
      expect(doctor.code).toBe(1);
      expect(doctor.stdout + doctor.stderr).toMatch(said);
    },
  );
});

describe('what a user may get wrong', () => {
  test('bad lines are named with file and line; the rest goes on; --strict asks nothing', async () => {
    const server = await simulator();
    const place = placeWith(3, server);
    const good = readFileSync(place.file, 'utf8');
    writeFileSync(
      place.file,
      Buffer.concat([
        Buffer.from(`${good}\n{"prompt": \n{"id":"x"}\n`),
        Buffer.from([0xff, 0xfe, 0x41, 0x0a]),
        Buffer.from(
          `{"prompt":"${'long '.repeat(1_000_000)}"}\n{"id":"last","prompt":"The last one."}\n`,
        ),
      ]),
    );
    const strict = await spar([...place.args, '--strict']).ended;
    expect(strict.code).toBe(2);
    expect(server.ledger().total.asked).toBe(0);
    const ended = await spar(place.args).ended;
    expect(ended.code).toBe(0);
    expect(summaryIn(ended)).toMatchObject({ admitted: 4, rejected: 4, complete: true });
    for (const line of [4, 5, 6, 7]) expect(ended.stderr).toContain(`instructions.jsonl:${line}: `);
  });

  test('whoever closes standard error loses what is said there, and nothing else', async () => {
    const server = await simulator({ nMode: 'ignored' });
    const place = placeWith(3, server);
    writeFileSync(place.file, `no JSON {\n${readFileSync(place.file, 'utf8')}\n{"prompt": \n`);
    const { process: child, ended } = spar([...place.args, '--format', 'jsonl']);
    child.stderr?.destroy();
    const { code, stdout, stderr } = await ended;
    expect(code).toBe(0);
    expect(summaryIn({ code, signal: null, stdout, stderr })).toMatchObject({
      admitted: 3,
      rejected: 2,
      complete: true,
    });
  });

  test('the same id twice: once with the same content is a duplicate, with other content an error', async () => {
    const server = await simulator();
    const place = placeWith(1, server);
    const lines = [
      { id: 'a', prompt: 'One.' },
      { id: 'a', prompt: ' One.\r\n' },
      { id: 'a', prompt: 'Two.' },
    ];
    writeFileSync(place.file, lines.map((line) => JSON.stringify(line)).join('\n'));
    const ended = await spar(place.args).ended;
    expect(summaryIn(ended)).toMatchObject({ admitted: 1, duplicates: 1, rejected: 1 });
    expect(ended.stderr).toMatch(/:3: line 1 has the id "a" too, with other content than line 3/);
    const again = await spar(place.args).ended;
    expect(summaryIn(again)).toMatchObject({ admitted: 1, duplicates: 1, rejected: 1 });
  });

  test('standard input is read as it comes', async () => {
    const server = await simulator();
    const { args, home, out } = placeWith(1, server);
    const ended = await spar(
      ['run', '-', '--home', home, '--out', out, ...args.slice(6)],
      'Write a haiku.\nWrite a limerick without the letter e.\n',
    ).ended;
    expect(summaryIn(ended)).toMatchObject({ admitted: 2, complete: true });
  });

  test.each(['SIGINT', 'SIGKILL'] as const)(
    'standard input that was cut off by %s is a part, and no whole, until it is read to its end',
    async (signal) => {
      const server = await simulator();
      const { args, home, out } = placeWith(1, server);
      const command = ['run', '-', '--home', home, '--out', out, ...args.slice(6)];
      const exported = ['export', '--home', home, '--out', out];
      const lines = ['Write a haiku.', 'Write a limerick.', 'Write a sonnet.'];
      const { process: child, ended } = spar(command, null);
      child.stdin?.write(`${lines.slice(0, 2).join('\n')}\n`);
      await expect
        .poll(() => tapped(home, 'outcomes').catch(() => []), { timeout: 20_000, interval: 200 })
        .toHaveLength(2);
      child.kill(signal);
      await ended;

      await spar(exported).ended;
      expect([...filesIn(out).keys()].every((name) => name.startsWith('partial/'))).toBe(true);
      const status = await spar(['status', '--home', home]).ended;
      expect(status.stdout).toMatch(/2 of 2 ended[^]*standard input was not read to its end/);

      const summary = summaryIn(await spar(command, lines.join('\n')).ended);
      expect(summary).toMatchObject({ admitted: 3, complete: true, unreadSources: [] });
      await spar(exported).ended;
      expect([...filesIn(out).keys()].some((name) => name.startsWith('partial/'))).toBe(false);
    },
  );

  test('a dry run asks nothing and says what would be asked', async () => {
    const server = await simulator();
    const { args, home } = placeWith(10, server);
    const { code, stdout } = await spar([...args, '--dry-run']).ended;
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      instructions: 10,
      generations: { sample: { least: 50, most: 50 }, judge: { least: 250 } },
    });
    expect(server.ledger().total.asked).toBe(0);
    expect((await spar(['status', '--home', home]).ended).code).not.toBe(0);
  });

  test('a home that another run writes is refused by name', async () => {
    const server = await simulator({ latencyMs: 200, decodeMsPerToken: 5 });
    const { args, home } = placeWith(20, server);
    const { process: child, ended } = spar(args);
    await sleep(1200);
    const second = await spar(args).ended;
    expect(second.code).toBe(2);
    expect(second.stderr).toContain(`the home ${home} is being written by another run`);
    // Looking is allowed meanwhile.
    expect((await spar(['status', '--home', home]).ended).code).toBe(0);
    child.kill('SIGINT');
    await ended;
  });

  test.each([
    ['a wrong key', 'serach:\n  depth: 2\n', /spar\.yaml:1:1: serach: there is no such setting/],
    [
      'a wrong type',
      'search:\n  depth: deep\n',
      /spar\.yaml:2:\d+: search\.depth: .*expected (number|int)/,
    ],
    ['no YAML', 'search: [\n', /spar\.yaml:\d+:\d+: /],
  ])('a config with %s is named by file, line and column', async (_name, text, said) => {
    const server = await simulator();
    const { args } = placeWith(1, server);
    const config = join(temporaryFolder(), 'spar.yaml');
    writeFileSync(config, text);
    const ended = await spar([...args, '--config', config]).ended;
    expect(ended.code).toBe(2);
    expect(ended.stderr).toMatch(said);
  });

  test('a missing or empty file, no URL, other semantic settings', async () => {
    const server = await simulator();
    const { args, file, home } = placeWith(2, server);
    const missing = await spar(['run', `${file}.not`, ...args.slice(2)]).ended;
    expect([missing.code, missing.stderr]).toEqual([2, expect.stringContaining('no such file')]);
    const noUrl = await spar(['run', file, '--home', home]).ended;
    expect([noUrl.code, noUrl.stderr]).toEqual([2, expect.stringContaining('--model-url')]);
    await spar(args).ended;
    const other = await spar([...args, '--seed', '9']).ended;
    expect([other.code, other.stderr]).toEqual([2, expect.stringMatching(/seed: 0 .* 9 now/)]);
    writeFileSync(file, '');
    const empty = await spar(args).ended;
    expect([empty.code, empty.stderr]).toEqual([2, expect.stringContaining('is empty')]);
  });

  test('secrets reach no log and no output, even if the server repeats them', async () => {
    const server = await simulator({ apiKey: 'sk-correct-horse' });
    const { args, home } = placeWith(2, server);
    const config = join(temporaryFolder(), 'spar.yaml');
    const key = join(temporaryFolder(), 'key');
    writeFileSync(key, 'sk-correct-horse\n');
    writeFileSync(config, `models:\n  default:\n    api_key_file: ${key}\nlog_level: trace\n`);
    const ended = await spar([...args, '--config', config]).ended;
    expect(summaryIn(ended).complete).toBe(true);
    const kept = [...filesIn(home).values()].join('') + ended.stdout + ended.stderr;
    expect(kept).not.toContain('sk-correct-horse');
  });
});
