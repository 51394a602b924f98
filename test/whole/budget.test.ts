import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { filesIn, placeWith, simulator, spar, summaryIn, type Place } from './support.ts';

/** Without `--json`, what people read. */
const forPeople = (args: readonly string[]) => args.filter((arg) => arg !== '--json');

const statusOf = async ({ home }: Place): Promise<Record<string, unknown>> => {
  const { stdout } = await spar(['status', '--home', home, '--json']).ended;
  return JSON.parse(stdout) as Record<string, unknown>;
};

describe('a run within a budget', () => {
  test('ends with 3 and a sentence, leaves a part, and goes on with a larger one to the same files', async () => {
    const server = await simulator();
    const whole = placeWith(40, server);
    const expected = summaryIn(await spar(whole.args).ended);
    const askedForWhole = server.ledger().total.asked;

    const place = placeWith(40, server);
    const budget = 400_000;
    const ended = await spar([...place.args, '--max-tokens', String(budget)]).ended;
    const summary = summaryIn(ended);
    expect(ended.code).toBe(3);
    expect(summary).toMatchObject({ state: 'incomplete: budget', complete: false, admitted: 40 });
    const spent = summary.tokens.prompt + summary.tokens.completion;
    expect(spent).toBeLessThanOrEqual(1.1 * budget);
    // A part is never published as the whole.
    expect(existsSync(join(place.out, 'partial'))).toBe(true);
    expect([...filesIn(place.out).keys()].every((name) => name.startsWith('partial/'))).toBe(true);
    expect(await statusOf(place)).toMatchObject({
      budget: { tokens: { limit: budget, spent, reserved: 0 }, open: 0 },
    });

    const again = await spar([...forPeople(place.args), '--max-tokens', String(budget)]).ended;
    expect(again.code).toBe(3);
    expect(again.stdout).toMatch(/The budget is used up after 00:\d\d: \d+k of 400k tokens; /);
    expect(again.stdout).toMatch(
      /\d+ instructions not begun\. The same command with a larger budget/,
    );

    const done = await spar(place.args).ended;
    expect(done.code).toBe(0);
    expect(summaryIn(done)).toMatchObject({
      state: 'complete',
      outcomes: expected.outcomes,
      modelCalls: expected.modelCalls,
    });
    // Those of both places: nothing was asked twice.
    expect(server.ledger().total.asked).toBe(2 * askedForWhole);
    const data = ({ out }: Place) => [...filesIn(out)].filter(([name]) => name.endsWith('.jsonl'));
    expect(data(place)).toEqual(data(whole));
  });

  test('that is killed keeps count', async () => {
    const server = await simulator({ latencyMs: 5, decodeMsPerToken: 0.2 });
    const place = placeWith(40, server);
    const args = [...place.args, '--max-tokens', '400000', '--max-in-flight', '32'];
    for (const kills of [1, 2]) {
      const { process: child, ended } = spar(args);
      while (server.ledger().total.answered < kills * 60) await sleep(5);
      child.kill('SIGKILL');
      expect((await ended).signal).toBe('SIGKILL');
    }
    const last = await spar(args).ended;
    expect(last.code).toBe(3);
    const { prompt, completion } = summaryIn(last).tokens;
    expect(prompt + completion).toBeLessThanOrEqual(440_000);
    expect(prompt + completion).toBeGreaterThan(300_000);
  });

  test('of money needs prices, and says where they go', async () => {
    const server = await simulator();
    const place = placeWith(3, server, ['--max-cost', '2.50']);
    const refused = await spar(place.args).ended;
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/a limit of the cost needs prices.*set models\.default\.price/);
    expect(server.ledger().total.asked).toBe(0);

    const config = join(place.home, '..', 'spar.yaml');
    writeFileSync(config, 'models: { default: { price: { prompt: 1, completion: 2 } } }\n');
    const done = await spar([...place.args, '--config', config]).ended;
    expect(done.code).toBe(0);
    expect(summaryIn(done).budget).toMatchObject({ cost: { limit: 2.5 } });
  });

  test.each([
    ['--max-tokens', '0', /whole number from 1 on/],
    ['--max-cost', '-1', /amount above 0/],
    ['--max-cost', '0', /amount above 0/],
    ['--pairs', 'many', /whole number from 1 on/],
  ])('%s %s is refused', async (flag, value, words) => {
    const { code, stderr } = await spar(['run', 'x.jsonl', `${flag}=${value}`]).ended;
    expect(code).toBe(2);
    expect(stderr).toMatch(words);
  });

  test('is told beforehand for how many it will do', async () => {
    const server = await simulator();
    const { args } = placeWith(40, server, ['--max-tokens', '400000', '--dry-run']);
    const { code, stdout } = await spar(forPeople(args)).ended;
    expect(code).toBe(0);
    expect(stdout).toMatch(/budget {7}does for \d+ to \d+ of them/);
    expect(server.ledger().total.asked).toBe(0);
  });
});

describe('a run to a target', () => {
  test('ends with 0 once as many pairs are there, and publishes them', async () => {
    const server = await simulator();
    const place = placeWith(60, server);
    const ended = await spar([...place.args, '--pairs', '10']).ended;
    const summary = summaryIn(ended);
    expect(ended.code).toBe(0);
    expect(summary).toMatchObject({ state: 'target reached', complete: false });
    expect(summary.pairs).toBeGreaterThanOrEqual(10);
    expect(summary.pairs).toBeLessThan(30);
    expect([...filesIn(place.out).keys()].some((name) => name.startsWith('partial/'))).toBe(false);
    expect([...filesIn(place.out).keys()].length).toBeGreaterThan(3);
    const status = await spar(['status', '--home', place.home]).ended;
    expect(status.stdout).toMatch(/budget +\d+ of 10 pairs/);
  });

  test('that the instructions do not give is done, and says so', async () => {
    const server = await simulator();
    const { args } = placeWith(5, server, ['--pairs', '100']);
    const { code, stdout } = await spar(forPeople(args)).ended;
    expect(code).toBe(0);
    expect(stdout).toMatch(/The instructions gave \d+ of the 100 pairs that were wanted/);
  });
});
