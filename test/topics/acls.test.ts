import { describe, expect, test } from 'vitest';
import { aclsOf, type Acl, type AclsAsked } from '../../infra/topics/acls.ts';
import { dataflow } from '../../topology/dataflow.ts';
import { groupOf, nameOnLog, ownOutputs } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';

function aclsFor(command: string, change: Partial<AclsAsked> = {}): readonly Acl[] {
  const all = aclsOf({ dataflow, pipeline: 'spar', iteration: null, stages: null, ...change });
  return all.find(({ commands }) => commands.includes(command))!.acls;
}

/** One line for each entry: `topic spar.* Read+Describe`. */
const lines = (acls: readonly Acl[]) =>
  acls.map(
    ({ resource, pattern, name, operations }) =>
      `${resource} ${name}${pattern === 'prefixed' ? '*' : ''} ${operations.join('+')}`,
  );

/** What the entries allow, as the brokers read them. */
function allows(
  acls: readonly Acl[],
  resource: Acl['resource'],
  name: string,
  operation: Acl['operations'][number],
): boolean {
  const including = {
    Describe: ['Describe', 'Read', 'Write'],
    DescribeConfigs: ['DescribeConfigs', 'AlterConfigs'],
  };
  const enough: readonly string[] =
    operation in including ? including[operation as keyof typeof including] : [operation];
  return acls.some(
    (acl) =>
      acl.resource === resource &&
      (acl.pattern === 'prefixed' ? name.startsWith(acl.name) : name === acl.name) &&
      acl.operations.some((one) => enough.includes(one)),
  );
}

const onLog = (topic: { readonly name: string }) => nameOnLog('spar', topic);

/** To work for every stage. */
const ofAllGroups = [
  'group spar.sample.* Read',
  ...['judge', 'fan-out', 'expand', 'evaluate', 'pair'].map((stage) => `group spar.${stage} Read`),
  'transactional-id spar.sample.* Write',
  ...['judge', 'fan-out', 'expand', 'evaluate', 'pair'].map(
    (stage) => `transactional-id spar.${stage}-* Write`,
  ),
];

describe('the least that a command needs', () => {
  test.each<[string, readonly string[]]>([
    ['topics apply', ['topic spar.* AlterConfigs+Create+Describe']],
    ['topics plan', ['topic spar.* Describe+DescribeConfigs']],
    ['topics check', ['topic spar.* Describe+DescribeConfigs']],
    ['topics describe', ['topic spar.* Describe+DescribeConfigs']],
    ['doctor', ['topic spar.* Describe+DescribeConfigs']],
    [
      'ingest',
      [
        'topic spar.* Describe+DescribeConfigs',
        'topic spar.instructions Read+Write',
        'topic spar.iterations Read+Write',
      ],
    ],
    ['tap', ['topic spar.* Read', 'group spar.* Describe']],
    ['status', ['topic spar.* Read', 'group spar.* Describe']],
    [
      'dead-letters retry',
      [
        'topic spar.* Describe+DescribeConfigs',
        'topic spar.dead-letters Read',
        'topic spar.instructions Read+Write',
        'topic spar.responses Read+Write',
        'topic spar.verdicts Read+Write',
        'topic spar.search.expand Read+Write',
        'topic spar.search.evaluate Read+Write',
        'topic spar.refinements Read+Write',
        'topic spar.outcomes Read',
        'transactional-id spar.append.* Write',
      ],
    ],
    ...['reject', 'purge'].map((command): [string, readonly string[]] => [
      command,
      [
        'topic spar.* Describe+DescribeConfigs',
        'topic spar.preference-pairs Read',
        'topic spar.instructions Read',
        'topic spar.removals Read+Write',
      ],
    ]),
    ['copy', ['topic spar.* DescribeConfigs+Read+Write', ...ofAllGroups]],
    [
      'run',
      [
        'topic spar.* DescribeConfigs+Read',
        // All but what people decide.
        ...[
          ...['instructions', 'iterations', 'responses', 'dead-letters', 'outcomes', 'verdicts'],
          ...['negatives', 'search.expand', 'search.evaluate', 'search.nodes', 'refinements'],
          'preference-pairs',
        ].map((name) => `topic spar.${name} Write`),
        ...ofAllGroups,
      ],
    ],
  ])('spar %s', (command, expected) => {
    expect(lines(aclsFor(command))).toEqual(expected);
  });

  test.each<[readonly string[], readonly string[]]>([
    [
      ['judge'],
      [
        'topic spar.* Describe+DescribeConfigs',
        'topic spar.responses Read+Write',
        'topic spar.verdicts Read+Write',
        'topic spar.dead-letters Write',
        'topic spar.outcomes Write',
        'topic spar.iterations Read',
        'group spar.judge Read',
        'transactional-id spar.judge-* Write',
      ],
    ],
    [
      ['sample'],
      [
        'topic spar.* Describe+DescribeConfigs',
        'topic spar.instructions Read+Write',
        'topic spar.responses Read+Write',
        'topic spar.dead-letters Write',
        'topic spar.outcomes Write',
        'topic spar.iterations Read+Write',
        'group spar.sample.* Read',
        'group spar.judge Describe',
        'group spar.fan-out Describe',
        'group spar.expand Describe',
        'group spar.evaluate Describe',
        'group spar.pair Describe',
        'transactional-id spar.sample.* Write',
      ],
    ],
    [
      ['pair'],
      [
        'topic spar.* Describe+DescribeConfigs',
        'topic spar.refinements Read+Write',
        'topic spar.preference-pairs Read+Write',
        'topic spar.outcomes Write',
        'topic spar.negatives Read',
        'topic spar.dead-letters Write',
        'topic spar.iterations Read',
        'group spar.pair Read',
        'transactional-id spar.pair-* Write',
      ],
    ],
  ])('spar worker --stages %s', (stages, expected) => {
    expect(lines(aclsFor('worker', { stages }))).toEqual(expected);
  });

  test('for one iteration are the names of its group alone', () => {
    const found = lines(aclsFor('worker', { stages: ['sample'], iteration: '7' }));
    expect(found).toContain('group spar.sample.7 Read');
    expect(found).toContain('transactional-id spar.sample.7-* Write');
  });

  test('has the name of the pipeline, and of no other', () => {
    const commands = aclsOf({ dataflow, pipeline: 'mine', iteration: null, stages: null });
    const names = commands.flatMap(({ acls }) => acls.map(({ name }) => name));
    expect(names.filter((name) => !name.startsWith('mine.'))).toEqual([]);
  });
});

describe('a worker of any stage', () => {
  const stages = Object.entries(dataflow);

  test.each(stages)('%s may do what its step is wired to do', (name, step) => {
    const acls = aclsFor('worker', { stages: [name] });
    const tables = 'tables' in step ? Object.values(step.tables) : [];
    const own = ownOutputs(dataflow, name);
    for (const topic of [step.from, ...tables, ...own, topics.iterations]) {
      expect(allows(acls, 'topic', onLog(topic), 'Read'), `${topic.name} is read`).toBe(true);
    }
    for (const topic of [...Object.values(step.to), topics.deadLetters, topics.outcomes]) {
      expect(allows(acls, 'topic', onLog(topic), 'Write'), `${topic.name} is written`).toBe(true);
    }
    const group = groupOf('spar', name, name === 'sample' ? '1' : null);
    expect(allows(acls, 'group', group, 'Read')).toBe(true);
    expect(allows(acls, 'transactional-id', `${group}-${onLog(step.from)}-0`, 'Write')).toBe(true);
    for (const topic of Object.values(topics)) {
      expect(allows(acls, 'topic', onLog(topic), 'Describe')).toBe(true);
      expect(allows(acls, 'topic', onLog(topic), 'Create')).toBe(false);
    }
  });

  test.each(stages)('%s may not do what others do', (name, step) => {
    const acls = aclsFor('worker', { stages: [name] });
    const written = [step.from, ...Object.values(step.to), topics.deadLetters, topics.outcomes];
    const own = [...written, ...(name === 'sample' ? [topics.iterations] : [])];
    for (const topic of Object.values(topics).filter((one) => !own.includes(one))) {
      expect(allows(acls, 'topic', onLog(topic), 'Write'), `${topic.name} is written`).toBe(false);
    }
    for (const [other] of stages.filter(([one]) => one !== name)) {
      const group = groupOf('spar', other, other === 'sample' ? '1' : null);
      expect(allows(acls, 'group', group, 'Read')).toBe(false);
      expect(allows(acls, 'transactional-id', `${group}-x-0`, 'Write')).toBe(false);
    }
    // A group's name may be the beginning of another's.
    expect(allows(acls, 'transactional-id', 'spar.append.1', 'Write')).toBe(false);
  });

  test('all of them together may do no more than each', () => {
    const together = aclsFor('worker');
    for (const topic of Object.values(topics)) {
      const operations = ['Read', 'Write'] as const;
      for (const operation of operations) {
        const each = stages.some(([name]) =>
          allows(aclsFor('worker', { stages: [name] }), 'topic', onLog(topic), operation),
        );
        expect(allows(together, 'topic', onLog(topic), operation)).toBe(each);
      }
    }
  });
});

test('whoever only looks may write nothing, and move no group', () => {
  for (const command of [
    'doctor',
    'status',
    'tree',
    'pair',
    'tap',
    'export',
    'dead-letters list',
  ]) {
    const operations = aclsFor(command).flatMap((acl) => acl.operations);
    expect(operations.filter((one) => !/^(Read|Describe.*)$/.test(one))).toEqual([]);
    expect(allows(aclsFor(command), 'group', 'spar.judge', 'Read')).toBe(false);
  }
});

test('nothing is said twice', () => {
  for (const stages of [null, ['sample', 'judge'], ['evaluate', 'expand']]) {
    const all = aclsOf({ dataflow, pipeline: 'spar', iteration: null, stages });
    for (const { acls } of all) {
      const things = acls.map(({ resource, pattern, name }) => `${resource} ${pattern} ${name}`);
      expect(new Set(things).size).toBe(things.length);
      for (const acl of acls) {
        const others = acls.filter((one) => one !== acl);
        for (const operation of acl.operations) {
          expect(
            allows(others, acl.resource, acl.name, operation) && acl.pattern === 'literal',
            `${acl.name} ${operation}`,
          ).toBe(false);
        }
      }
    }
  }
});
