import {
  firstSteps,
  groupOf,
  nameOnLog,
  ownOutputs,
  type Dataflow,
  type Step,
  type TopicInfo,
} from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';

/**
 * What a command may do to one thing on the brokers, or to all whose names begin so. As Kafka has it, Read and Write
 * include Describe, and AlterConfigs includes DescribeConfigs.
 */
export interface Acl {
  readonly resource: Resource;
  readonly pattern: 'literal' | 'prefixed';
  readonly name: string;
  /** In the order of their names. */
  readonly operations: readonly Operation[];
  readonly why: string;
}

export type Resource = 'topic' | 'group' | 'transactional-id';
export type Operation =
  'AlterConfigs' | 'Create' | 'Describe' | 'DescribeConfigs' | 'Read' | 'Write';

/** What commands of one kind need; each works with these alone. */
export interface CommandAcls {
  /** As they are typed after `spar`. */
  readonly commands: readonly string[];
  readonly acls: readonly Acl[];
}

export interface AclsAsked {
  readonly dataflow: Dataflow;
  readonly pipeline: string;
  /** The one that is sampled for; null for any. */
  readonly iteration: string | null;
  /** Of a worker; null for all. */
  readonly stages: readonly string[] | null;
}

/** One thing that is done, before what is done to the same thing is put together. */
interface Deed {
  readonly resource: Resource;
  readonly pattern: Acl['pattern'];
  readonly name: string;
  readonly operation: Operation;
  readonly why: string;
}

/** The least that each command needs, from the dataflow and from what the adapter in `infra/log/kafka` asks for. */
export function aclsOf(asked: AclsAsked): readonly CommandAcls[] {
  const all = everyTopic(asked);
  const opened = all('Describe', 'a log is opened with all of its topics');
  const checked = all(
    'DescribeConfigs',
    'a start looks at their configs; without it, it trusts them',
  );
  const reads = [
    opened,
    all('Read', 'any of them may be looked at'),
    prefixed('group', `${asked.pipeline}.`, 'Describe', 'where the stages stand'),
  ];
  const commands: readonly (readonly [readonly string[], readonly Deed[]])[] = [
    [
      ['topics apply'],
      [
        all('Create', 'those that are missing'),
        all('Describe', 'how they are'),
        all(
          'AlterConfigs',
          'configs that are not as they should be, with those that others have set',
        ),
      ],
    ],
    [
      ['topics plan', 'topics check', 'topics describe', 'doctor'],
      [all('Describe', 'how they are'), all('DescribeConfigs', 'what their configs are')],
    ],
    [['ingest'], [opened, checked, ...ingestDeeds(asked)]],
    [['worker'], [opened, checked, ...workerDeeds(asked)]],
    [
      ['run'],
      [
        all('Read', 'its input, its progress and its exports'),
        checked,
        ...ingestDeeds(asked),
        ...workerDeeds({ ...asked, stages: null }),
      ],
    ],
    [['status', 'tree', 'pair', 'tap', 'export', 'dead-letters list', 'dead-letters show'], reads],
    [['dead-letters retry'], [opened, checked, ...retryDeeds(asked)]],
    [['copy'], [opened, checked, ...copyDeeds(asked)]],
    [
      ['reject', 'purge'],
      [opened, checked, ...removalDeeds(asked)],
    ],
  ];
  return commands.map(([names, deeds]) => ({
    commands: names,
    acls: together([...deeds, ...wholeDeeds(asked, deeds)]),
  }));
}

/** Of the topics of a pipeline by their names, which all begin with it. */
const everyTopic =
  ({ pipeline }: AclsAsked) =>
  (operation: Operation, why: string): Deed =>
    prefixed('topic', `${pipeline}.`, operation, why);

const prefixed = (resource: Resource, name: string, operation: Operation, why: string): Deed => ({
  ...{ resource, pattern: 'prefixed', name, operation, why },
});

const on = (asked: AclsAsked, topic: TopicInfo, operation: Operation, why: string): Deed => ({
  resource: 'topic',
  pattern: 'literal',
  name: nameOnLog(asked.pipeline, topic),
  ...{ operation, why },
});

const ingestDeeds = (asked: AclsAsked): readonly Deed[] => [
  on(asked, topics.instructions, 'Read', 'whether an instruction is there'),
  on(asked, topics.instructions, 'Write', 'those that are not'),
  on(asked, topics.iterations, 'Read', 'with --iteration: its manifest'),
  on(asked, topics.iterations, 'Write', 'with --iteration: which sources are unread'),
];

function workerDeeds(asked: AclsAsked): readonly Deed[] {
  const { dataflow, pipeline, stages } = asked;
  const firsts = firstSteps(dataflow);
  const steps = Object.entries(dataflow);
  const here = steps.filter(([name]) => stages?.includes(name) ?? true);
  const samples = here.some(([name]) => firsts.has(name));
  return [
    ...here.flatMap(([name, step]) => stepDeeds(asked, name, step, firsts.has(name))),
    on(asked, topics.iterations, 'Read', 'the settings of an iteration'),
    ...(samples
      ? [
          on(asked, topics.iterations, 'Write', 'whoever samples opens the iteration'),
          ...steps
            .filter(([name]) => !firsts.has(name))
            .map(([name]): Deed => ({
              resource: 'group',
              pattern: 'literal',
              name: groupOf(pipeline, name, null),
              operation: 'Describe',
              why: 'sampling pauses while later stages have much to do',
            })),
        ]
      : []),
  ];
}

function stepDeeds(asked: AclsAsked, name: string, step: Step, first: boolean): readonly Deed[] {
  return [
    on(asked, step.from, 'Read', `${name} reads it`),
    on(asked, step.from, 'Write', `${name} moves a record that holds up others to the end`),
    ...Object.values(step.to).map((topic) => on(asked, topic, 'Write', `${name} writes it`)),
    ...Object.values(step.tables).map((topic) => on(asked, topic, 'Read', `${name} looks it up`)),
    ...ownOutputs(asked.dataflow, name).map((topic) =>
      on(asked, topic, 'Read', `whether ${name} has worked, where its group is forgotten`),
    ),
    on(asked, topics.deadLetters, 'Write', 'records that can never succeed'),
    on(asked, topics.outcomes, 'Write', 'how what they were about ended'),
    ...memberDeeds(asked, name, first),
  ];
}

/** To be a member of a step's group, and to commit for it. */
function memberDeeds(
  { pipeline, iteration }: AclsAsked,
  name: string,
  first: boolean,
): readonly Deed[] {
  // A first step has a group for each iteration.
  const any = first && iteration === null;
  const group = any
    ? `${groupOf(pipeline, name, null)}.`
    : groupOf(pipeline, name, first ? iteration : null);
  return [
    {
      resource: 'group',
      pattern: any ? 'prefixed' : 'literal',
      ...{ name: group, operation: 'Read', why: `a member of the group of ${name}` },
    },
    // Followed by a topic and a partition.
    prefixed('transactional-id', any ? group : `${group}-`, 'Write', `commits for ${name}`),
  ];
}

/** It puts every group where it stood, of whatever iteration. */
function copyDeeds(asked: AclsAsked): readonly Deed[] {
  const firsts = firstSteps(asked.dataflow);
  const all = everyTopic(asked);
  return [
    all('Read', 'what was copied before'),
    all('Write', 'what is copied'),
    ...Object.keys(asked.dataflow).flatMap((name) =>
      memberDeeds({ ...asked, iteration: null }, name, firsts.has(name)),
    ),
  ];
}

function retryDeeds(asked: AclsAsked): readonly Deed[] {
  const sources = [...new Set(Object.values(asked.dataflow).map(({ from }) => from))];
  return [
    on(asked, topics.deadLetters, 'Read', 'what could not be processed'),
    ...sources.flatMap((topic) => [
      on(asked, topic, 'Read', 'which of them were retried before'),
      on(asked, topic, 'Write', 'back to where they were read'),
    ]),
    on(asked, topics.outcomes, 'Read', 'how those ended that were retried long ago'),
    ...appended(asked),
  ];
}

const removalDeeds = (asked: AclsAsked): readonly Deed[] => [
  on(asked, topics.pairs, 'Read', 'with reject: whether the pair is there'),
  on(asked, topics.instructions, 'Read', 'with purge: whether the instruction is there'),
  on(asked, topics.removals, 'Read', 'what was decided before'),
  on(asked, topics.removals, 'Write', 'what is decided now'),
];

/** Records for several partitions that are there all or not at all. */
const appended = ({ pipeline }: AclsAsked): readonly Deed[] => [
  prefixed(
    'transactional-id',
    `${pipeline}.append.`,
    'Write',
    'appends to several partitions at once',
  ),
];

/** Where something is done to every single topic, it can be said once. */
function wholeDeeds(asked: AclsAsked, deeds: readonly Deed[]): readonly Deed[] {
  const all = Object.values(topics).map((topic) => nameOnLog(asked.pipeline, topic));
  return (['Read', 'Write'] as const)
    .filter((operation) =>
      all.every((name) => deeds.some((deed) => deed.operation === operation && deed.name === name)),
    )
    .map((operation) => everyTopic(asked)(operation, 'all of them'));
}

/** What includes another operation on the same thing. */
const includes: Readonly<Partial<Record<Operation, Operation>>> = {
  Read: 'Describe',
  Write: 'Describe',
  AlterConfigs: 'DescribeConfigs',
};

/** One entry for each thing, without what others of it, or of a prefix of its name, include. */
function together(deeds: readonly Deed[]): readonly Acl[] {
  const needed = deeds.filter(
    (deed) => !deeds.some((other) => other !== deed && covers(other, deed, deeds)),
  );
  const things = Map.groupBy(needed, ({ resource, pattern, name }) =>
    [resource, pattern, name].join(' '),
  );
  return [...things.values()]
    .flatMap(([first, ...others]) => {
      if (!first) return [];
      const { resource, pattern, name } = first;
      const all = [first, ...others];
      const operations = [...new Set(all.map(({ operation }) => operation))].sort();
      const why = [...new Set(all.map((deed) => deed.why))].join('; ');
      return [{ resource, pattern, name, operations, why }];
    })
    .sort(byResource);
}

function covers(other: Deed, deed: Deed, deeds: readonly Deed[]): boolean {
  const widens =
    other.resource === deed.resource &&
    (other.pattern === 'prefixed'
      ? deed.name.startsWith(other.name)
      : deed.pattern === 'literal' && deed.name === other.name);
  if (!widens) return false;
  if (includes[other.operation] === deed.operation) return true;
  // Of two that say the same, the first stays, unless the other says more.
  const same = other.name === deed.name && other.pattern === deed.pattern;
  return (
    other.operation === deed.operation && (!same || deeds.indexOf(other) < deeds.indexOf(deed))
  );
}

const resources: readonly Resource[] = ['topic', 'group', 'transactional-id'];

const byResource = (one: Acl, other: Acl): number =>
  resources.indexOf(one.resource) - resources.indexOf(other.resource);
