import { describe, expect, test } from 'vitest';
import { settingsOf } from '../../infra/config/settings.ts';
import type { Home } from '../../infra/home/home.ts';
import type { Journal } from '../../infra/journal/journal.ts';
import { createMemoryJournal } from '../../infra/journal/memory.ts';
import type { Log } from '../../infra/log/log.ts';
import { silentLogger } from '../../infra/logger.ts';
import { createTallyReader } from '../../infra/run/tally.ts';
import { work, type WorkerProgress } from '../../infra/run/worker.ts';
import { batchingServer, type BatchingServer } from '../support/batching-server.ts';
import { memoryHome } from '../support/home.ts';
import { sharedLog } from '../support/shared-log.ts';
import { virtualTime } from '../support/virtual-time.ts';
import { admitTo, configOf, endpointOf } from './support.ts';

const count = 150;
const lines = Array.from({ length: count }, (_, index) =>
  JSON.stringify({ id: `i${index}`, prompt: `Describe thing ${index} in ${index + 10} words.` }),
);

interface Crew {
  readonly home: Home;
  /** As on machines of their own: nobody reads another's. */
  readonly journals: readonly Journal[];
}

const crewOf = async (workers: number): Promise<Crew> => {
  const home = await memoryHome(6);
  await admitTo(home, lines);
  return { home, journals: Array.from({ length: workers }, () => createMemoryJournal()) };
};

/**
 * Workers on one log, each with a journal, a server and a budget of its own and nobody between them, until nothing
 * more comes of them.
 */
async function workedBy(
  { home, journals }: Crew,
  options: { readonly budget: object; readonly seed?: number; readonly maxInFlight?: number },
) {
  const { budget, seed = 1, maxInFlight = 64 } = options;
  const time = virtualTime();
  const config = configOf({ budget, limits: { max_in_flight: maxInFlight } });
  const named = { urls: ['batching'], model: 'batching', version: 'batching' };
  const endpoint = endpointOf({ ...named, maxInFlight });
  const { version } = endpoint;
  const settings = settingsOf(config, '1', { actor: version, judge: version, refiner: version });
  const stop = new AbortController();
  const said = new Map<Journal, WorkerProgress>();
  const servers = journals.map(() =>
    batchingServer({ time, slots: maxInFlight, whenFull: 'queue', truth: { seed } }),
  );
  let quiet = 0;
  const lookWhetherOver = () => {
    const all = [...said.values()];
    // What a worker does not begin waits in the first stage.
    const isIdle = all.every(
      ({ stages, budgetEnd }) =>
        budgetEnd === 'cut-off' ||
        stages.every(
          ({ stage, inFlight }) => inFlight === 0 || (stage === 'sample' && budgetEnd !== null),
        ),
    );
    quiet = isIdle && all.length === journals.length ? quiet + 1 : 0;
    if (quiet > 5 * journals.length) stop.abort();
  };
  const shares = sharedLog(home.log, journals.length);
  await time.drive(
    Promise.all(
      journals.map((journal, index) =>
        work({
          home: { ...home, log: shares[index] as Log, journal, isShared: true },
          config,
          settings,
          endpoints: { actor: endpoint, judge: endpoint, refiner: endpoint },
          connect: () => servers[index] as BatchingServer,
          stages: null,
          time,
          logger: silentLogger,
          progress: (progress) => {
            said.set(journal, progress);
            lookWhetherOver();
          },
          progressMs: 5000,
          notice: () => undefined,
          stop: stop.signal,
        }),
      ),
    ),
  );
  const reader = createTallyReader(home.log, home.serde, home.pipeline, '1');
  const tally = await reader.refresh();
  reader.close();
  const answered = servers
    .flatMap(({ calls }) => calls)
    .filter(({ ending }) => ending === 'answered');
  return {
    tally,
    ends: [...said.values()].map(({ budgetEnd }) => budgetEnd),
    open: Math.max(...[...said.values()].map((progress) => progress.budget?.open ?? 0)),
    calls: answered.filter(({ purpose }) => purpose !== 'probe').length,
    spent: answered.reduce((sum, call) => sum + call.promptTokens + call.completionTokens, 0),
  };
}

describe('a budget of several workers without a coordinator', () => {
  // Each worker may begin one instruction at once whatever the others begin: about 20,000 tokens here.
  test.each([
    { workers: 1, tokens: 1_000_000, maxInFlight: 64, most: 1.02, seed: 1 },
    { workers: 2, tokens: 1_000_000, maxInFlight: 64, most: 1.04, seed: 1 },
    { workers: 3, tokens: 300_000, maxInFlight: 32, most: 1.1, seed: 1 },
    { workers: 3, tokens: 300_000, maxInFlight: 32, most: 1.1, seed: 2 },
    { workers: 3, tokens: 1_000_000, maxInFlight: 32, most: 1.04, seed: 1 },
    { workers: 3, tokens: 1_000_000, maxInFlight: 256, most: 1.04, seed: 1 },
    { workers: 3, tokens: 1_000_000, maxInFlight: 256, most: 1.04, seed: 2 },
  ])(
    '$workers of them with $maxInFlight in flight each: $tokens tokens are passed by one instruction for each further worker',
    async ({ workers, tokens, maxInFlight, most, seed }) => {
      const options = { budget: { max_tokens: tokens }, seed, maxInFlight };
      const { ends, tally, spent, open } = await workedBy(await crewOf(workers), options);
      expect(ends).toContain('used-up');
      expect(spent / tokens).toBeLessThanOrEqual(most);
      expect(spent / tokens).toBeGreaterThan(0.9);
      // All that was begun was finished, by whoever had the later stages.
      expect(open).toBe(0);
      expect(tally.ended).toBeLessThan(count);
      expect(tally.deadLetters).toBe(0);
    },
  );

  test('passed by far, is asked for nothing more; with a larger one they go on and pay for nothing twice', async () => {
    const straight = await workedBy(await crewOf(2), { budget: {} });
    expect(straight.tally.ended).toBe(count);

    const crew = await crewOf(2);
    const first = await workedBy(crew, { budget: { max_tokens: 6000 } });
    expect(first.ends).toContain('cut-off');
    expect(first.tally).toMatchObject({ ended: 0, deadLetters: 0 });
    const second = await workedBy(crew, { budget: { max_tokens: 400_000 } });
    expect(second.ends).toContain('used-up');
    const third = await workedBy(crew, { budget: { max_tokens: 100_000_000 } });
    expect(third.ends).toEqual([null, null]);
    expect(third.tally.outcomes).toEqual(straight.tally.outcomes);
    expect(first.calls + second.calls + third.calls).toBe(straight.calls);
  });

  test('a target is reached by all of them together', async () => {
    const { tally, ends } = await workedBy(await crewOf(3), { budget: { pairs: 20 } });
    expect(ends).toContain('target');
    expect(tally.outcomes.paired).toBeGreaterThanOrEqual(20);
    expect(tally.outcomes.paired).toBeLessThanOrEqual(30);
    expect(tally.ended).toBeLessThan(count);
  });
});
