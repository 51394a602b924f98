import { describe, expect, test, vi } from 'vitest';
import { settingsOf } from '../../infra/config/settings.ts';
import { Unavailable } from '../../infra/errors.ts';
import { silentLogger } from '../../infra/logger.ts';
import { isOpen } from '../../infra/run/iteration.ts';
import { work, type WorkerProgress } from '../../infra/run/worker.ts';
import { systemTime } from '../../infra/time.ts';
import { memoryHome } from '../support/home.ts';
import { instantModel } from '../support/model.ts';
import { configOf, endpointOf } from './support.ts';

/** A worker in this process, on a log of its own. */
async function workerWith(change: object = {}) {
  const said: WorkerProgress[] = [];
  const home = await memoryHome();
  const config = configOf({ retries: { max_delay_ms: 8 }, ...change });
  const endpoint = endpointOf();
  const { version } = endpoint;
  const settings = settingsOf(config, '1', { actor: version, judge: version, refiner: version });
  const stop = new AbortController();
  const start = () =>
    work({
      home,
      config,
      settings,
      endpoints: { actor: endpoint, judge: endpoint, refiner: endpoint },
      connect: () => instantModel({ failRate: 0.4, refineRate: 0.4 }),
      stages: null,
      time: systemTime,
      logger: silentLogger,
      progress: (progress) => said.push(progress),
      progressMs: 5,
      notice: () => undefined,
      stop: stop.signal,
    });
  return { home, settings, stop, start, said };
}

const away = new Unavailable('the brokers do not answer');

test('whoever begins while the log is away waits for it', async () => {
  const { home, settings, stop, start } = await workerWith();
  vi.spyOn(home.log, 'append').mockRejectedValueOnce(away).mockRejectedValueOnce(away);
  const working = start();
  await expect.poll(() => isOpen(home.log, home.serde, home.pipeline, settings)).toBe(true);
  stop.abort();
  await working;
});

test('but not for longer than settings say', async () => {
  const { home, start } = await workerWith({ limits: { down_ms: 20 } });
  vi.spyOn(home.log, 'append').mockRejectedValue(away);
  await expect(start()).rejects.toThrow('the brokers do not answer');
});

test('and may be stopped meanwhile', async () => {
  const { home, stop, start } = await workerWith();
  const append = vi.spyOn(home.log, 'append').mockRejectedValue(away);
  const working = start();
  await expect.poll(() => append.mock.calls.length).toBeGreaterThan(1);
  stop.abort();
  await working;
});

describe('what goes away while it works', () => {
  const error = 'the brokers a:1 do not answer (following topics: closed)';

  test('is what it says, and no longer once it is back', async () => {
    const { home, stop, start, said } = await workerWith();
    const working = start();
    const spy = vi
      .spyOn(home.log, 'away')
      .mockReturnValue({ sinceMs: systemTime.monotonic(), error });
    await expect.poll(() => said.at(-1)?.away).toBe(error);
    spy.mockReturnValue(null);
    await expect.poll(() => said.at(-1)?.away).toBeNull();
    stop.abort();
    await working;
  });

  test('ends it in a sentence after as long as settings say', async () => {
    const { home, start } = await workerWith({ limits: { down_ms: 20 } });
    const sinceMs = systemTime.monotonic();
    vi.spyOn(home.log, 'away').mockReturnValue({ sinceMs, error });
    await expect(start()).rejects.toThrow(
      `for 0 minutes ${error}. Nothing is lost: the same command goes on.`,
    );
    expect(systemTime.monotonic() - sinceMs).toBeGreaterThan(20);
  });
});
