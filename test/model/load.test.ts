import { describe, expect, test } from 'vitest';
import type { Endpoint } from '../../infra/model/endpoint.ts';
import type { Load } from '../../infra/model/limiter.ts';
import { watchingLoad } from '../../infra/model/load.ts';
import { readLoad } from '../../infra/model/openai.ts';
import { CallQueue } from '../../infra/model/queue.ts';
import { manualTime } from '../support/time.ts';
import { callOf, clientOf, never, says, serverOf } from './support.ts';

describe('what a server says at /metrics', () => {
  const engine = (name: string, number: string) =>
    `vllm:num_requests_${name}{engine="0"} ${number}`;
  test.each<[string, string, Load | null]>([
    [
      'of one engine',
      `${engine('running', '12.0')}\n${engine('waiting', '3.0')}`,
      { running: 12, waiting: 3 },
    ],
    [
      'of several, which are summed',
      ['running', 'waiting', 'running', 'waiting'].map((name) => engine(name, '2')).join('\n'),
      { running: 4, waiting: 4 },
    ],
    [
      'without labels',
      'vllm:num_requests_running 1\nvllm:num_requests_waiting 0',
      { running: 1, waiting: 0 },
    ],
    ['with one of them only', engine('running', '1'), null],
    ['with what is no number', `${engine('running', 'NaN')}\n${engine('waiting', '1')}`, null],
    ['of another server', '# HELP up\nup 1', null],
    ['of a waiting time, which is another gauge', 'vllm:num_requests_waiting_s 1', null],
  ])('%s', (_name, metrics, load) => {
    expect(readLoad(metrics)).toEqual(load);
  });

  test('is asked beside the API, and is nothing where it is missing', async () => {
    const text = 'vllm:num_requests_running 5\nvllm:num_requests_waiting 6';
    const told = await serverOf((response) => response.end(text));
    expect(await clientOf(told.url).load?.(1000)).toEqual({ running: 5, waiting: 6 });
    expect(told.received.map(({ path }) => path)).toEqual(['/metrics']);
    const silent = await serverOf(says({}, 404));
    expect(await clientOf(silent.url).load?.(1000)).toBeNull();
  });
});

describe('asking for it', () => {
  /** So many answers, a second apart. */
  async function after(answers: number, load: () => Promise<Load | null>) {
    let asked = 0;
    const heard: Load[] = [];
    const limiter = {
      limit: 1,
      most: 1,
      answered: () => undefined,
      refused: () => undefined,
      observed: (told: Load) => heard.push(told),
    };
    const endpoint: Endpoint = {
      name: 'm',
      send: () => Promise.resolve({ choices: [], usage: null }),
      models: () => Promise.resolve(null),
      load: () => (asked++, load()),
    };
    const time = manualTime();
    const watching = watchingLoad(endpoint, new CallQueue(limiter), time);
    for (let answer = 0; answer < answers; answer++) {
      await watching.send(callOf(), never);
      await time.advance(1000);
    }
    return { asked, heard };
  }

  test.each<[string, () => Promise<Load | null>, number]>([
    ['every five seconds at most', () => Promise.resolve({ running: 1, waiting: 2 }), 4],
    ['three times in vain, and no more', () => Promise.resolve(null), 3],
    ['a failure is in vain, too', () => Promise.reject(new Error('no')), 3],
    ['one question at a time', () => new Promise(() => undefined), 1],
  ])('%s', async (_name, load, questions) => {
    const { asked, heard } = await after(20, load);
    expect(asked).toBe(questions);
    expect(heard).toHaveLength(questions === 4 ? 4 : 0);
  });
});
