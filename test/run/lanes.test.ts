import type { ServerResponse } from 'node:http';
import { describe, expect, test } from 'vitest';
import type { ResolvedEndpoint } from '../../infra/config/settings.ts';
import { RunError } from '../../infra/errors.ts';
import { createMemoryJournal } from '../../infra/journal/memory.ts';
import type { Journal } from '../../infra/journal/journal.ts';
import { CallError } from '../../infra/model/endpoint.ts';
import { createLedger } from '../../infra/model/ledger.ts';
import { openLanes, remarksOn } from '../../infra/run/lanes.ts';
import type { SimulatorSettings } from '../../infra/simulator/settings.ts';
import { clientOf, never, says, serverOf, simulatorOf, type Received } from '../model/support.ts';
import { instantTime } from '../support/time.ts';
import { endpointOf } from './support.ts';

const retries = {
  attempts: 2,
  firstDelayMs: 1,
  maxDelayMs: 1,
  maxRetryAfterMs: 1,
  downAfter: 5,
  busyAfter: 5,
  downFirstDelayMs: 1,
  downMaxDelayMs: 1,
};

/** The lanes of a run whose roles have these endpoints. */
function lanesOf(
  endpoints: Partial<Record<'actor' | 'judge' | 'refiner', Partial<ResolvedEndpoint>>>,
  journal: Journal = createMemoryJournal(),
  probeMs = 5_000,
) {
  const opened: string[] = [];
  const of = (role: 'actor' | 'judge' | 'refiner') =>
    endpointOf({ model: 'simulated', ...endpoints.actor, ...endpoints[role] });
  const lanes = openLanes(
    { actor: of('actor'), judge: of('judge'), refiner: of('refiner') },
    (url, { model, apiKey }) => {
      opened.push(url);
      return clientOf(url, { model, apiKey });
    },
    retries,
    probeMs,
    instantTime(),
  );
  const ledger = createLedger(journal);
  lanes.probeWith(journal, ledger, '1');
  return { lanes, opened, ledger, journal };
}

const served = async (change: Partial<SimulatorSettings> = {}) => {
  const simulator = await simulatorOf(change);
  return { simulator, urls: [simulator.url] };
};

describe('the endpoints of a run', () => {
  test('roles that use the same model at the same place share what is learnt about it', async () => {
    const { urls } = await served();
    const { lanes, opened } = lanesOf({ actor: { urls } });
    expect(opened).toEqual(urls);
    expect(lanes.all).toHaveLength(1);
    expect(lanes.roles.judge?.lanes[0]).toBe(lanes.roles.refiner?.lanes[0]);
  });

  test.each<[string, Partial<ResolvedEndpoint>]>([
    ['model', { model: 'other' }],
    ['key', { apiKey: 'other-key' }],
    ['extra body', { extraBody: { top_k: 1 } }],
  ])('another %s is another endpoint', async (_what, judge) => {
    const { urls } = await served();
    expect(lanesOf({ actor: { urls }, judge }).lanes.all).toHaveLength(2);
  });

  test('roles that share it keep a deadline and a bound of choices of their own', async () => {
    const { urls } = await served();
    const { lanes } = lanesOf({
      actor: { urls, deadlineMs: 10, maxChoices: 3 },
      judge: { deadlineMs: 20, maxChoices: 1 },
      refiner: { deadlineMs: 30, maxChoices: null },
    });
    expect(lanes.all).toHaveLength(1);
    const { actor, judge, refiner } = lanes.roles;
    expect([actor, judge, refiner].map((role) => [role?.deadlineMs, role?.choicesMax])).toEqual([
      [10, 3],
      [20, 1],
      [30, 128],
    ]);
  });

  test('replicas are each made ready, and the least context of all counts', async () => {
    const [one, other] = [
      await served({ contextTokens: 4096 }),
      await served({ contextTokens: 2048 }),
    ];
    const { lanes } = lanesOf({ actor: { urls: [...one.urls, ...other.urls] } });
    expect(lanes.contextTokens).toBeNull();
    expect(await lanes.ready(never)).toHaveLength(2);
    expect(lanes.contextTokens).toBe(2048);
  });

  test('what the settings say of the context goes first', async () => {
    const { urls } = await served();
    const { lanes } = lanesOf({ actor: { urls, contextTokens: 100 } });
    await lanes.ready(never);
    expect(lanes.contextTokens).toBe(100);
  });
});

describe('what is learnt', () => {
  test.each<[string, Partial<SimulatorSettings>, number, boolean, RegExp[]]>([
    ['all we would like', {}, Infinity, true, []],
    ['n ignored', { nMode: 'ignored' }, 1, true, [/does not give several choices.*n is ignored/]],
    ['n refused', { nMode: 'refused' }, 1, true, [/does not give several choices.*n is refused/]],
    ['usage of one', { usageMode: 'one' }, Infinity, false, [/missing ones are estimated/]],
    ['no usage', { usageMode: 'none' }, Infinity, false, [/missing ones are estimated/]],
  ])('%s', async (_name, change, choicesMax, usageCoversAll, remarks) => {
    const { urls } = await served(change);
    const { lanes } = lanesOf({ actor: { urls } });
    const [readiness] = await lanes.ready(never);
    expect(lanes.all[0]).toMatchObject({ choicesMax, usageCoversAll });
    const said = readiness ? remarksOn(readiness) : [];
    expect(said).toHaveLength(remarks.length);
    for (const [index, words] of remarks.entries()) expect(said[index]).toMatch(words);
  });

  test('is asked once, counted as probe, and kept in the home for the next run', async () => {
    const { urls, simulator } = await served();
    const first = lanesOf({ actor: { urls } });
    await Promise.all([first.lanes.ready(never), first.lanes.ready(never)]);
    const asked = simulator.ledger();
    expect([...simulator.calls()]).toHaveLength(1);
    expect(first.ledger.thisRun).toMatchObject({ 'calls.probe': 1 });
    const second = lanesOf({ actor: { urls } }, first.journal);
    expect(await second.lanes.ready(never)).toMatchObject([{ fresh: false }]);
    expect(second.ledger.thisRun).toEqual({});
    expect(second.lanes.all[0]).toMatchObject({ choicesMax: Infinity });
    expect(simulator.ledger()).toEqual(asked);
  });

  test('is tried with as many choices as any of the roles will ask for', async () => {
    const { urls, simulator } = await served();
    const { lanes } = lanesOf({ actor: { urls, choicesWanted: 3 }, judge: { choicesWanted: 9 } });
    await lanes.ready(never);
    expect([...simulator.calls()].map(({ n }) => n)).toEqual([9]);
  });
});

test('the question whether an endpoint is back is one small choice, counted as probe', async () => {
  const { urls, simulator } = await served();
  const { lanes, ledger } = lanesOf({ actor: { urls } });
  let failures = 5;
  const attempt = () =>
    failures-- > 0
      ? Promise.reject(new CallError('down', 'nobody there'))
      : Promise.resolve('answer');
  await lanes.all[0]?.policy.run(attempt, 0, never, () => undefined);
  expect([...simulator.calls()].map(({ role, n }) => [role, n])).toEqual([['probe', 1]]);
  const { prompt_tokens, completion_tokens } = simulator.ledger().total;
  expect(ledger.thisRun).toEqual({
    'calls.probe': 1,
    'generations.probe': 1,
    'tokens.prompt': prompt_tokens,
    'tokens.completion': completion_tokens,
  });
});

describe('an endpoint that cannot be used', () => {
  test.each<[string, Partial<SimulatorSettings>, RegExp]>([
    ['answers with a web page', { html: true }, /not a chat completion/],
    ['wants a key', { apiKey: 'right' }, /OPENAI_API_KEY/],
    ['has another model', { model: 'other' }, /does not know the model "simulated"/],
  ])('%s: the run ends before it starts', async (_name, change, words) => {
    const { urls } = await served(change);
    const ready = lanesOf({ actor: { urls } }).lanes.ready(never);
    await expect(ready).rejects.toThrow(RunError);
    await expect(ready).rejects.toThrow(words);
  });

  test.each([
    ['answers nothing', () => undefined],
    [
      'lists its models and answers nothing else',
      (response: ServerResponse, { path }: Received) => {
        if (path.endsWith('/models')) says({ data: [{ id: 'simulated' }] })(response);
      },
    ],
  ])('takes the question and %s: the run ends before it starts', async (_name, answer) => {
    const { url } = await serverOf(answer);
    const { lanes } = lanesOf({ actor: { urls: [url] } }, createMemoryJournal(), 100);
    const startedMs = performance.now();
    await expect(lanes.ready(never)).rejects.toThrow(
      /does not answer within 100 ms\. Is the model still being loaded.*limits\.probe_ms/,
    );
    expect(performance.now() - startedMs).toBeLessThan(2_000);
  });

  test('serves another model than the home has noted: it is found out again', async () => {
    const { urls, simulator } = await served();
    const { journal, lanes } = lanesOf({ actor: { urls } });
    await lanes.ready(never);
    await simulator.close();
    const changed = await simulatorOf({ port: simulator.port, model: 'other' });
    expect(changed.url).toBe(simulator.url);
    await expect(lanesOf({ actor: { urls } }, journal).lanes.ready(never)).rejects.toThrow(
      /does not know the model/,
    );
  });
});
