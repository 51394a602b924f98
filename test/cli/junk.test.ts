import { expect, test } from 'vitest';
import { nameOnLog, type TopicInfo } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { finishStages, folder, home, smallHome, spar } from './support.ts';

/** What somebody else put into a topic, under a key of ours and under one of nobody's. */
async function putJunk(at: string): Promise<void> {
  const written = await home(at);
  const keys = ['1/cat/0', '1/cat', 'cat', '1/cat/0/r.0', 'instructions/0/3', 'nobody', null];
  // A manifest that cannot be read is no junk: it may be that the registry is another one.
  const others = Object.values<TopicInfo>(topics).filter((topic) => topic !== topics.iterations);
  for (const topic of others) {
    // An instruction that nobody can read is one, by its key; here it is one that was there before.
    const theirs = topic === topics.instructions ? ['cat', null] : keys;
    await written.log.append(
      theirs.map((key) => ({
        topic: nameOnLog('spar', topic),
        partition: 0,
        key,
        headers: { iteration: '1' },
        value: Buffer.from('junk'),
      })),
    );
  }
  await finishStages(written);
  await written.close();
}

test.each([
  [['pair']],
  [['pair', 'cat', '--full']],
  [['tree']],
  [['tree', 'cat']],
  [['dead-letters', 'list']],
  [['dead-letters', 'show', 'instructions/0/3']],
  [['dead-letters', 'retry', '--all']],
])('spar %j passes over what is no record, and finds what is', async ([...args]) => {
  const [clean, littered] = [await folder(), await folder()];
  await smallHome(clean);
  await smallHome(littered);
  await putJunk(littered);
  const before = await spar(...args, '--home', clean);
  const after = await spar(...args, '--home', littered);
  expect(before.code).toBe(0);
  expect({ ...after, out: after.out.replaceAll(littered, clean) }).toEqual(before);
});

test('spar status counts what is a record', async () => {
  const [clean, littered] = [await folder(), await folder()];
  await smallHome(clean);
  await smallHome(littered);
  await putJunk(littered);
  const before = JSON.parse((await spar('status', '--json', '--home', clean)).out) as object;
  const { code, out, err } = await spar('status', '--json', '--home', littered);
  expect(err).toBe('');
  expect(code).toBe(0);
  // All but what the topics themselves hold, which is more.
  const [one, other] = [before, JSON.parse(out) as object].map((status) =>
    Object.fromEntries(
      Object.entries(status).filter(([name]) => name !== 'stages' && name !== 'deadLetters'),
    ),
  );
  expect(one).toEqual(other);
});
