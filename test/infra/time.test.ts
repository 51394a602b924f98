import { expect, test } from 'vitest';
import { systemTime } from '../../infra/time.ts';

test('a sleep longer than a timer holds is long, not over at once', async () => {
  const given = new AbortController();
  const asleep = systemTime.sleep(2 ** 31 + 5, given.signal);
  const first = await Promise.race([asleep.then(() => 'awake'), systemTime.sleep(50)]);
  expect(first).toBeUndefined();
  given.abort(new Error('enough'));
  await expect(asleep).rejects.toThrow('enough');
});
