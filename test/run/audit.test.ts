import { describe, expect, test } from 'vitest';
import { latestAudit } from '../../infra/run/audit.ts';
import type { Serde } from '../../infra/codec/serde.ts';
import type { Log } from '../../infra/log/log.ts';
import { auditReport } from '../../processors/rules/audit.ts';
import type { Check, SearchNode, Verdicts } from '../../schemas/records.ts';
import { nameOnLog, type TopicInfo } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { decode, encode, logOf, node, verdicts } from '../exports/support.ts';
import { votesOf } from '../support/votes.ts';

const noComma = 'punctuation:no_comma';
const lowercase = 'change_case:english_lowercase';

const checks = (outcomes: Readonly<Record<string, Check['outcome']>>): readonly Check[] =>
  Object.entries(outcomes).map(([id, outcome]) => ({ id, outcome, detail: '' }));

/** Of one response, on which the votes and code have said this. */
const judged = (name: string, letters: string, said: readonly Check[]): Verdicts => {
  const row = verdicts(name);
  const [first] = row.judged;
  if (!first) throw new Error('a record without a verdict');
  return { ...row, judged: [{ ...first, votes: votesOf(letters), checks: said }] };
};
const searched = (name: string, letters: string, said: readonly Check[]): SearchNode => ({
  ...node(name, 0, 0.6),
  votes: votesOf(letters),
  checks: said,
});

async function viewOf(
  records: readonly (readonly [
    topic: TopicInfo,
    row: { readonly id: string },
    iteration: string,
  ])[],
  partitions = 1,
) {
  const log: Log = await logOf({}, partitions);
  for (const [index, [topic, row, iteration]] of records.entries()) {
    await log.append([
      {
        topic: nameOnLog('spar', topic),
        partition: index % partitions,
        key: row.id,
        headers: { iteration },
        value: encode(row),
      },
    ]);
  }
  // Only what is read of it.
  return { log, serde: { decode } as unknown as Serde, pipeline: 'spar' };
}

describe('the latest audit', () => {
  const broken = checks({ [noComma]: 'broken', [lowercase]: 'satisfied' });
  const kept = checks({ [noComma]: 'satisfied', [lowercase]: 'satisfied' });
  const records = [
    [topics.verdicts, judged('a', 'yyy', broken), '1'],
    [topics.verdicts, judged('b', 'nny', broken), '1'],
    [topics.verdicts, judged('c', 'yyn', kept), '1'],
    [topics.nodes, searched('d', 'nnn', kept), '1'],
    [topics.nodes, searched('e', 'yyy', broken), '1'],
    // Of another iteration.
    [topics.verdicts, judged('f', 'yyy', broken), '2'],
  ] as const;

  test.each([1, 3])(
    'counts responses and nodes of the iteration, in %i partitions',
    async (partitions) => {
      const audit = await latestAudit(await viewOf(records, partitions), '1');
      // By hand: a and e are false passes of three that are broken, d is a false fail of two that are kept.
      expect(auditReport(audit)).toEqual({
        [noComma]: {
          ...{ broken: 3, falsePasses: 2, kept: 2, falseFails: 1 },
          ...{ agreement: 2 / 5, falsePass: 2 / 3, falseFail: 1 / 2 },
        },
        [lowercase]: {
          ...{ broken: 0, falsePasses: 0, kept: 2, falseFails: 1 },
          ...{ agreement: 1 / 2, falsePass: null, falseFail: 1 / 2 },
        },
      });
    },
  );

  test('is empty where nothing was judged', async () => {
    expect(await latestAudit(await viewOf([]), '1')).toEqual({});
    expect(await latestAudit(await viewOf(records), '3')).toEqual({});
  });

  test('looks at the newest 2,000 records of a topic', async () => {
    const old = Array.from(
      { length: 30 },
      (_, index) => [topics.verdicts, judged(`old ${index}`, 'nnn', broken), '1'] as const,
    );
    const newest = Array.from(
      { length: 2000 },
      (_, index) => [topics.verdicts, judged(`new ${index}`, 'yyy', broken), '1'] as const,
    );
    const audit = await latestAudit(await viewOf([...old, ...newest]), '1');
    expect(audit[noComma]).toMatchObject({ broken: 2000, falsePasses: 2000 });
  });
});
