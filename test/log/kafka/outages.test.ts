import { expect, test } from 'vitest';
import { createOutages } from '../../../infra/log/kafka/outages.ts';
import { systemTime } from '../../../infra/time.ts';

test('of all that waits for brokers the longest is told, once it is more than a moment, until it is over', () => {
  let nowMs = 1000;
  const outages = createOutages(['a:1', 'b:2'], { ...systemTime, monotonic: () => nowMs });
  expect(outages.away()).toBeNull();
  outages.began('following topics', new Error('closed'));
  expect(outages.away()).toBeNull();
  nowMs += 4000;
  outages.began('the group g', new Error('no heartbeat'));
  outages.began('following topics', new Error('refused'));
  nowMs += 2000;
  expect(outages.away()).toEqual({
    sinceMs: 1000,
    error: 'the brokers a:1, b:2 do not answer (following topics: refused)',
  });
  outages.ended('following topics');
  expect(outages.away()).toBeNull();
  nowMs += 4000;
  expect(outages.away()).toMatchObject({ sinceMs: 5000 });
  outages.ended('the group g');
  expect(outages.away()).toBeNull();
});
