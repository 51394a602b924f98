import { describe, expect, test } from 'vitest';
import { savedText } from '../../infra/cli/account.ts';
import { standingOf } from '../../infra/cli/standing.ts';
import type { Home } from '../../infra/home/home.ts';
import { scan } from '../../infra/log/scan.ts';
import { systemTime } from '../../infra/time.ts';
import { noSavings } from '../../processors/rules/savings.ts';
import { noSpend } from '../../processors/rules/spend.ts';
import type { PreferencePair } from '../../schemas/records.ts';
import { nameOnLog } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { batchingServer } from '../support/batching-server.ts';
import { memoryHome } from '../support/home.ts';
import { instantModel, type InstantModel } from '../support/model.ts';
import { virtualTime } from '../support/virtual-time.ts';
import { configOf, endpointOf, runWith } from './support.ts';

const lines = (count: number) =>
  Array.from({ length: count }, (_, index) =>
    JSON.stringify({ id: `i${index}`, prompt: `Write ${index} words.` }),
  );

/** One that ends with its verdict in a line of its own, as our prompt asks for it. */
function model(): InstantModel {
  const instant = instantModel({ failRate: 0.4, refineRate: 0.4 });
  return {
    ...instant,
    send: async (call, signal) => {
      const { choices, usage } = await instant.send(call, signal);
      const content = (text: string) => text.replace(' Final', '\nFinal');
      return {
        choices: choices.map((choice) => ({ ...choice, content: content(choice.content) })),
        usage,
      };
    },
  };
}
const lean = configOf({ mode: 'lean' });

async function sortedPairs(home: Home): Promise<readonly PreferencePair[]> {
  const rows: PreferencePair[] = [];
  for await (const record of scan(home.log, nameOnLog(home.pipeline, topics.pairs))) {
    rows.push((await home.serde.decode(topics.pairs.schema, record.value)) as PreferencePair);
  }
  return rows.toSorted((one, other) => (one.id < other.id ? -1 : 1));
}

describe('a lean run', () => {
  test('says per pair what it cost, and what each switch saved', async () => {
    const home = await memoryHome();
    const instant = model();
    const summary = await runWith(home, instant, lines(40), { config: lean });
    const { perPair, saved, pairs, generations } = summary;
    expect(summary.complete).toBe(true);
    expect(perPair?.generations).toBeCloseTo(
      Object.values(generations).reduce((sum, count) => sum + count, 0) / pairs,
    );
    // The judge of this model never errs, so three votes always agree.
    expect(saved.earlyVotes.count).toBe((generations.judge / 3) * 2);
    expect(saved.responses.count + generations.sample).toBe(40 * 5);
    expect(saved.lazyVotes.count).toBe(saved.responses.count * 5);
    expect(saved.children.count).toBeGreaterThan(10);
    expect(saved.children.estimatedTokens).toBeGreaterThan(saved.children.count);
    expect(savedText(summary)).toMatch(
      /^\d+ responses not sampled \(about \S+ tokens\), \d+ votes by lazy judging \(.*\), \d+ votes by early agreement \(.*\), \d+ children not refined \(.*\)$/,
    );
    const view = {
      ...home,
      counters: (iteration: string) => home.journal.counters(iteration),
      notes: () => [],
    };
    expect((await standingOf(view, '1')).account).toEqual({ perPair, saved });
  });

  test('a faithful one saves nothing, and says nothing of it', async () => {
    const summary = await runWith(await memoryHome(), model(), lines(5));
    expect(savedText(summary)).toBeNull();
  });

  test('stopped at any moment, ends the same and pays for nothing twice', async () => {
    const whole = await memoryHome();
    const straight = model();
    await runWith(whole, straight, lines(40), { config: lean });
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
          if (instant.calls.length >= 30) stop.abort(new Error('enough for now'));
          return instant.send(call, signal);
        },
      };
      summary = await runWith(home, slow, lines(40), { config: lean, stop: stop.signal });
      asked.push(...instant.calls.map(({ seed, n }) => `${seed} ${n}`));
    }
    expect(summary?.complete).toBe(true);
    expect(asked.toSorted()).toEqual(
      straight.calls.map(({ seed, n }) => `${seed} ${n}`).toSorted(),
    );
    expect(await sortedPairs(home)).toEqual(await sortedPairs(whole));
    expect(summary?.pairs).toBeGreaterThan(20);
  });
});

describe('siblings that are cancelled', () => {
  const config = (maxInFlight: number) =>
    configOf({
      judge: { first_votes: 3 },
      search: { accept: 'first', cancel: true },
      limits: { max_in_flight: maxInFlight },
    });

  /** On a clock of its own, with so many slots. */
  async function runOn(slots: number, maxInFlight: number) {
    const time = virtualTime();
    const server = batchingServer({ time, slots, whenFull: 'queue' });
    const home = await memoryHome(1, 'spar', { time });
    const endpoint = endpointOf({ maxInFlight });
    const summary = await time.drive(
      runWith(home, server as never, lines(30), {
        time,
        config: config(maxInFlight),
        endpoints: { actor: endpoint, judge: endpoint, refiner: endpoint },
        progressMs: 60_000,
      }),
    );
    return { server, summary, pairs: await sortedPairs(home) };
  }

  test('free their slots at the server, and the pairs do not depend on who was first', async () => {
    const bare = (pairs: readonly PreferencePair[]) =>
      pairs.map((pair) => ({ ...pair, ...noSpend, ...noSavings }));
    const wide = await runOn(400, 400);
    const narrow = await runOn(12, 12);
    const brokenOff = wide.server.calls.filter(({ ending }) => ending === 'aborted');
    expect(brokenOff.length).toBeGreaterThan(0);
    expect(wide.summary.saved.cancelledCalls).toBeGreaterThanOrEqual(brokenOff.length);
    expect(brokenOff.every(({ purpose }) => purpose === 'judge')).toBe(true);
    expect(wide.server.busy.at(-1)?.[1]).toBe(0);
    expect(wide.server.waiting).toBe(0);
    expect(wide.summary).toMatchObject({ complete: true, deadLetters: 0 });
    expect(bare(narrow.pairs)).toEqual(bare(wide.pairs));
  });
});
