import { expect, test, vi } from 'vitest';
import { settingsOf } from '../../infra/config/settings.ts';
import { Unavailable } from '../../infra/errors.ts';
import { silentLogger } from '../../infra/logger.ts';
import { isOpen } from '../../infra/run/iteration.ts';
import { work } from '../../infra/run/worker.ts';
import { systemTime } from '../../infra/time.ts';
import { memoryHome } from '../support/home.ts';
import { instantModel } from '../support/model.ts';
import { configOf, endpointOf } from './support.ts';

/** A worker in this process, on a log of its own. */
async function workerWith(change: object = {}) {
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
      progress: () => undefined,
      progressMs: 5,
      notice: () => undefined,
      stop: stop.signal,
    });
  return { home, settings, stop, start };
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
