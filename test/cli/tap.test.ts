import { expect, test } from 'vitest';
import { nameOnLog } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { folder, home, outcome, pair, put, smallHome, spar } from './support.ts';

const rows = (out: string): readonly Record<string, unknown>[] =>
  out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

const at = async (): Promise<string> => {
  const made = await folder();
  await smallHome(made);
  return made;
};

test('a record is one line: where it is, when it came, its key and its value', async () => {
  const { code, out } = await spar('tap', 'outcomes', '--limit', '1', '--home', await at());
  expect(code).toBe(0);
  expect(out.endsWith('}\n')).toBe(true);
  expect(rows(out)).toEqual([
    {
      topic: 'outcomes',
      partition: 0,
      offset: 0,
      timestamp: 1769860820000,
      key: '1/cat/0',
      value: outcome('cat', 'paired'),
    },
  ]);
});

test('csv has a header and the flat fields, quoted where they need it', async () => {
  const made = await at();
  const written = await home(made);
  await put(written, topics.outcomes, { ...outcome('x', 'failed'), cause: 'says "no",\nand more' });
  await written.close();
  const { out } = await spar('tap', 'outcomes', '--format', 'csv', '--home', made);
  const [header, first] = out.split('\n');
  expect(header).toBe(
    'topic,partition,offset,timestamp,key,id,iteration,instruction_id,tree,trees,outcome,cause,' +
      'revision,evaluated,calls,generations,prompt_tokens,completion_tokens,tokens_estimated,cost,' +
      'saved_responses,saved_lazy_votes,saved_early_votes,saved_code_votes,saved_children,cancelled_calls',
  );
  expect(first).toBe(
    'outcomes,0,0,1769860820000,1/cat/0,1/cat/0,1,cat,0,1,paired,,0,3,9,41,900,400,false,,0,0,0,0,0,0',
  );
  expect(out).toContain(',failed,"says ""no"",\nand more",0,3,');
});

test('csv is harmless: no control character but the ends of lines, and no formula', async () => {
  const made = await at();
  const written = await home(made);
  const causes = [
    '=1+1',
    '+1',
    '-1',
    '@SUM(A1)',
    '\t=1',
    '\r=1',
    'a\u001b[2J\u009b1m\r\nb\u202ec',
    '- a list',
  ];
  for (const cause of causes) {
    await put(written, topics.outcomes, { ...outcome('x', 'failed'), cause, calls: -7 });
  }
  await written.close();
  const { out } = await spar(
    ...['tap', 'outcomes', '--format', 'csv', '--key', '1/x/0', '--home', made],
  );
  // eslint-disable-next-line no-control-regex -- these are what must not be there
  expect(out).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
  const cells = [...out.matchAll(/,failed,("[^"]*"|[^,]*),0,3,-7,/g)].map(([, cell]) => cell);
  expect(cells).toEqual([
    "'=1+1",
    "'+1",
    "'-1",
    "'@SUM(A1)",
    "'\t=1",
    `"'\n=1"`,
    '"a\ufffd[2J\ufffd1m\nb\ufffdc"',
    "'- a list",
  ]);
});

test('lists and records are no columns, and a field with the name of a column says whose it is', async () => {
  const { out } = await spar('tap', 'dead-letters', '--format', 'csv', '--home', await at());
  expect(out.split('\n')[0]).toBe(
    'topic,partition,offset,timestamp,key,id,value_topic,value_partition,value_offset,value_key,' +
      'headers,value,stage,iteration,cause,error,attempts,revision',
  );
  const pairs = await spar('tap', 'preference-pairs', '--format', 'csv', '--home', await at());
  expect(pairs.out).not.toContain('messages');
});

test.each([
  ['the earliest', ['--from', 'earliest'], [0, 1, 2, 3]],
  ['the latest', ['--from', 'latest'], []],
  ['milliseconds', ['--from', '1769860822000'], [2, 3]],
  ['a time', ['--from', '2026-01-31T12:00:22Z'], [2, 3]],
  ['a time in another zone', ['--from', '2026-01-31T14:00:22+02:00'], [2, 3]],
  ['a time before all', ['--from', '2020-01-01'], [0, 1, 2, 3]],
  ['a key', ['--key', '1/owl'], [2]],
  ['a limit', ['--limit', '2'], [0, 1]],
  ['a partition', ['--partition', '0'], [0, 1, 2, 3]],
] as const)('from %s', async (_name, flags, offsets) => {
  const { code, out } = await spar('tap', 'outcomes', ...flags, '--home', await at());
  expect(code).toBe(0);
  expect(out === '' ? [] : rows(out).map(({ offset }) => offset)).toEqual(offsets);
});

test.each([
  [['tap', 'nonsense'], /there is no topic nonsense. The topics are:\n {2}instructions +what/],
  [['tap', 'outcomes', '--from', 'noon'], /Expected earliest, latest, a time such as/],
  [['tap', 'outcomes', '--partition', '7'], /there is no partition 7: every topic has 1/],
  [['tap', 'outcomes', '--json', '--format', 'csv'], /exclude each other/],
] as const)('%j is a usage error', async (args, message) => {
  const { code, err } = await spar(...args, '--home', await at());
  expect(code).toBe(2);
  expect(err).toMatch(message);
});

test('a folder without a home is said to be one', async () => {
  const { code, err } = await spar('tap', 'outcomes', '--home', await folder());
  expect(code).toBe(2);
  expect(err).toMatch(/there is no home in .*: name the one of your run with --home/);
});

test('a value that is no record is printed as its bytes, and so are bytes within one', async () => {
  const made = await at();
  const written = await home(made);
  await put(written, topics.outcomes, outcome('x', 'failed'), { value: Buffer.from([0, 255, 1]) });
  await written.close();
  const bad = await spar('tap', 'outcomes', '--key', '1/x/0', '--home', made);
  expect(rows(bad.out)[0]!['value']).toEqual({ base64: 'AP8B' });
  const letter = await spar('tap', 'dead-letters', '--home', made);
  const { value } = rows(letter.out)[0]!['value'] as { readonly value: string };
  expect(Buffer.from(value, 'base64').toString()).toContain('Write a line about a yak.');
});

test('text from a model cannot steer the terminal, and is still the same text to a program', async () => {
  const made = await at();
  const hostile = '\u001b[2J\u0007\u009b1m\u202egnp.exe\u2028\u007f';
  const written = await home(made);
  await put(written, topics.pairs, { ...pair('x'), chosen: hostile });
  await written.close();
  const { out } = await spar('tap', 'preference-pairs', '--key', '1/x/0', '--home', made);
  // eslint-disable-next-line no-control-regex -- these are what must not be there
  expect(out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2028]/);
  expect(rows(out)[0]!['value']).toMatchObject({ chosen: hostile });
});

test('a tap reads beside the process that writes, and follows what it appends', async () => {
  const made = await at();
  const written = await home(made);
  const following = spar(
    'tap',
    'outcomes',
    '--from',
    'latest',
    '--follow',
    '--limit',
    '2',
    '--home',
    made,
  );
  await expect.poll(() => process.listenerCount('SIGINT')).toBeGreaterThan(0);
  // The tap has found the end of the topic before anything is appended behind it.
  await new Promise((resolve) => setTimeout(resolve, 100));
  await put(written, topics.outcomes, outcome('x', 'paired'));
  await put(written, topics.outcomes, outcome('y', 'paired'));
  const { code, out } = await following;
  expect(code).toBe(0);
  expect(rows(out).map(({ key }) => key)).toEqual(['1/x/0', '1/y/0']);
  await written.close();
});

test('an interrupt ends a tap that follows, without an error and without a trace', async () => {
  const made = await at();
  const before = process.listeners('SIGINT');
  const following = spar('tap', 'outcomes', '--follow', '--home', made);
  await expect.poll(() => process.listenerCount('SIGINT')).toBe(before.length + 1);
  const ours = process.listeners('SIGINT').find((listener) => !before.includes(listener))!;
  await new Promise((resolve) => setTimeout(resolve, 50));
  ours('SIGINT');
  const { code, out } = await following;
  expect(code).toBe(0);
  expect(rows(out)).toHaveLength(4);
  expect(process.listeners('SIGINT')).toEqual(before);
});

test('every partition is printed, and a long topic in pages', async () => {
  const made = await folder();
  const written = await home(made, 3);
  const topic = nameOnLog('spar', topics.outcomes);
  await written.log.append(
    Array.from({ length: 900 }, (_, index) => ({
      topic,
      partition: index % 3,
      key: String(index),
      headers: {},
      value: written.serde.encode(topics.outcomes, outcome(String(index), 'paired')),
    })),
  );
  await written.close();
  const all = rows((await spar('tap', 'outcomes', '--home', made)).out);
  expect(new Set(all.map(({ key }) => key)).size).toBe(900);
  const one = rows((await spar('tap', 'outcomes', '--partition', '2', '--home', made)).out);
  expect(one.map(({ offset }) => offset)).toEqual(Array.from({ length: 300 }, (_, index) => index));
});
