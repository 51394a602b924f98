import { Command, Option } from 'commander';
import pc from 'picocolors';
import { dataflow } from '../../topology/dataflow.ts';
import { nameOnLog } from '../../topology/topology.ts';
import { topics as declared } from '../../topology/topics.ts';
import { resolveCluster, topicsAsked, type ClusterSettings } from '../config/cluster.ts';
import type { Config } from '../config/schema.ts';
import { RunError, UsageError } from '../errors.ts';
import { createLogger } from '../logger.ts';
import { checkStages } from '../run/worker.ts';
import { oneLine } from '../text.ts';
import { systemTime } from '../time.ts';
import { aclsOf, type CommandAcls } from '../topics/acls.ts';
import type { FoundTopic } from '../topics/admin.ts';
import type { Difference } from '../topics/plan.ts';
import { applyTopics, planTopics, type WithRegistry } from '../topics/topics.ts';
import {
  bytesInWords,
  complaint,
  complaints,
  keptInWords,
  planned,
  subjectOf,
} from '../topics/words.ts';
import {
  brokersOption,
  configOption,
  examples,
  jsonOption,
  pipelineOption,
  registryOption,
  wholeNumber,
} from './options.ts';
import { counted, jsonLine, print } from './output.ts';
import { homeFlag, shellWord, type PipelineFlags } from './flags.ts';
import { configOf } from './pipeline.ts';

interface Flags extends Omit<PipelineFlags, 'home'> {
  readonly partitions?: number;
  readonly replication?: number;
  readonly json?: true;
}

const topics = Object.values(declared);

export const topicsCommand = (): Command =>
  new Command('topics')
    .summary('the topics of a pipeline on a Kafka cluster, as code')
    .description(
      `One file, topology/topics.ts, says what topics there are, for how long they keep their records and how large a
record may be. These commands compare a cluster and its schema registry with it, and bring them there.`,
    )
    .addCommand(planCommand())
    .addCommand(applyCommand())
    .addCommand(describeCommand())
    .addCommand(checkCommand())
    .addCommand(aclsCommand())
    .addHelpText(
      'after',
      examples(
        'spar topics plan --brokers kafka:9092 --registry http://registry:8081',
        'spar topics apply --config spar.yaml --partitions 12',
        'spar topics acls worker --stages judge,evaluate',
      ),
    );

const planCommand = (): Command =>
  subcommand('plan')
    .summary('what apply would do')
    .description(
      `Shows what spar topics apply would do, and changes nothing. A line begins with + for what it would make, ~ for what
it would change, ! for what it cannot mend, and · for what is no fault and stays.`,
    )
    .addHelpText('after', examples('spar topics plan --config spar.yaml --partitions 12'))
    .action(async (flags: Flags, command: Command) => {
      await withTopics(flags, command, async (options) => {
        const plan = await planTopics(options);
        if (flags.json) await print(jsonLine(jsonOf(options, plan)));
        else await print(planText(options, plan, flags));
      });
    });

const applyCommand = (): Command =>
  subcommand('apply')
    .summary('make and mend the topics')
    .description(
      `Makes the topics that are missing, changes configs that are not as they should be, and registers the schemas. The
same command again does nothing.

It takes nothing away. It never deletes a topic, never changes a number of partitions (keys would move), and never
lowers how long or how large records may be; configs of others stay as they are. If a schema does not fit those that are
there, or something else cannot be mended, it says so and changes nothing.`,
    )
    .addHelpText(
      'after',
      examples(
        'spar topics apply --brokers kafka:9092 --registry http://registry:8081',
        'spar topics apply --config spar.yaml --partitions 12 --replication 3',
      ),
    )
    .action(async (flags: Flags, command: Command) => {
      await withTopics(flags, command, async (options) => {
        const done: Difference[] = [];
        const column = columnOf(options.asked.pipeline);
        const remarks = await applyTopics({
          ...options,
          time: systemTime,
          report: async (difference) => {
            done.push(difference);
            if (!flags.json) await print(changeLine(difference, column));
          },
        });
        if (flags.json) {
          const [changes, notes] = [done, remarks].map((list) => list.map(differenceJson));
          await print(
            jsonLine({ pipeline: options.asked.pipeline, done: changes, remarks: notes }),
          );
          return;
        }
        for (const line of otherLines(remarks)) await print(line);
        await print(
          done.length === 0 ? `${asItShouldBe(options)}\n` : `${doneText(done)} made or changed.\n`,
        );
      });
    });

const describeCommand = (): Command =>
  subcommand('describe')
    .summary('the topics as they are')
    .description(
      `Shows each topic as it is: partitions, copies (and how many of them are up to date, if not all), for how long records
are kept, how large one may be with all that belongs to it, and how many there are. Offsets that mark the end of a
transaction count as records.`,
    )
    .addHelpText(
      'after',
      examples('spar topics describe --brokers kafka:9092 --registry http://registry:8081'),
    )
    .action(async (flags: Flags, command: Command) => {
      await withTopics(flags, command, (options) => describe(options, flags));
    });

const checkCommand = (): Command =>
  subcommand('check')
    .summary('whether the topics are as they should be')
    .description(
      `Ends with exit code 0 if all topics and schemas are as they should be, and with 1 and every difference if not. What is
there beyond what is needed, such as records that are kept for longer, is no fault.`,
    )
    .addHelpText(
      'after',
      examples('spar topics check --config spar.yaml && spar worker --config spar.yaml'),
    )
    .action(async (flags: Flags, command: Command) => {
      await withTopics(flags, command, async (options) => {
        const differences = await planTopics(options);
        const wrong = differences.filter(({ level }) => level !== 'remark');
        if (flags.json) await print(jsonLine(jsonOf(options, differences)));
        else for (const line of otherLines(differences.filter(isRemark))) await print(line);
        if (wrong.length === 0) {
          if (!flags.json) await print(`${asItShouldBe(options)}\n`);
          return;
        }
        throw new RunError(
          [
            `the topics of the pipeline ${options.asked.pipeline} are not as they should be:`,
            ...complaints(wrong).map((line) => `  ${line}`),
            ...(wrong.some(isChange)
              ? [`spar topics apply${flagsText(flags)} mends what it can.`]
              : []),
          ].join('\n'),
        );
      });
    });

/** A usage error of a subcommand ends like any other, not with an exit of its own. */
const subcommand = (name: string): Command =>
  new Command(name)
    .exitOverride()
    .addOption(brokersOption())
    .addOption(registryOption())
    .addOption(configOption())
    .addOption(pipelineOption())
    .option(
      '--partitions <number>',
      'of each topic (default: as many as there are, or 6) [env: SPAR_PARTITIONS]',
      wholeNumber(1),
    )
    .option(
      '--replication <number>',
      'copies of each partition (default: 3, or as many as there are brokers) [env: SPAR_REPLICATION]',
      wholeNumber(1),
    )
    .addOption(jsonOption());

async function withTopics(
  flags: Flags,
  command: Command,
  use: (options: WithRegistry) => Promise<void>,
): Promise<void> {
  const config = configOf(flags, command);
  const cluster = resolveCluster(config, process.env);
  if (!cluster) {
    throw new UsageError(
      'topics are made on a cluster: give --brokers and --registry; on one machine, spar run needs none',
    );
  }
  const { admin, registry } = await open(cluster);
  try {
    await use({ topics, asked: topicsAsked(config), admin, registry });
  } finally {
    registry.close();
    await admin.close();
  }
}

/** What speaks to a cluster is loaded only where there is one. */
async function open(cluster: ClusterSettings) {
  const { openTopicAdmin } = await import('../log/kafka/topics.ts');
  const { openConfluentRegistry } = await import('../codec/confluent-registry.ts');
  const logger = createLogger({ level: 'error', file: null, secrets: () => cluster.secrets });
  const registry = await openConfluentRegistry(cluster.registry);
  return { registry, admin: openTopicAdmin({ settings: cluster.kafka, time: systemTime, logger }) };
}

const isChange = ({ level }: Difference): boolean => level === 'change';
const isRemark = ({ level }: Difference): boolean => level === 'remark';

function planText(options: WithRegistry, plan: readonly Difference[], flags: Flags): string {
  const changes = plan.filter(isChange);
  const column = columnOf(options.asked.pipeline);
  const lines = [
    ...changes.map((change) => changeLine(change, column)),
    ...otherLines(plan.filter((one) => !isChange(one))),
  ];
  const closing = plan.some(({ level }) => level === 'problem')
    ? 'Nothing is changed until that is mended.'
    : changes.length === 0
      ? asItShouldBe(options)
      : `${doneText(changes)} to make or change: spar topics apply${flagsText(flags)}`;
  return `${lines.join('')}${closing}\n`;
}

/** Of the names of a pipeline's topics, and those of their schemas. */
const columnOf = (pipeline: string): number =>
  Math.max(...topics.map((topic) => nameOnLog(pipeline, topic).length)) + '-value  '.length;

function changeLine(difference: Difference, column: number): string {
  const isNew =
    difference.kind === 'missing' || (difference.kind === 'schema' && !difference.another);
  const subject = subjectOf(difference).padEnd(column);
  const line = `${isNew ? '+' : '~'} ${subject}${planned(difference)}`;
  return `${isNew ? pc.green(line) : pc.yellow(line)}\n`;
}

/** What nothing is done about; what is the same of several topics is said once. */
const otherLines = (differences: readonly Difference[]): readonly string[] => [
  ...complaints(differences.filter((one) => !isRemark(one))).map((line) => pc.red(`! ${line}\n`)),
  ...complaints(differences.filter(isRemark)).map((line) => pc.dim(`· ${line}\n`)),
];

/** How many of each kind. */
function doneText(changes: readonly Difference[]): string {
  const count = (kind: Difference['kind']) => changes.filter((one) => one.kind === kind).length;
  return [
    [count('missing'), 'topic'] as const,
    [count('config'), 'config'] as const,
    [count('schema'), 'schema'] as const,
  ]
    .filter(([number]) => number > 0)
    .map(([number, name]) => counted(number, name))
    .join(', ');
}

const asItShouldBe = ({ asked }: WithRegistry): string =>
  `All ${topics.length} topics of ${asked.pipeline} and their schemas are as they should be.`;

/** How a command that is suggested finds the same topics. */
function flagsText(flags: Flags): string {
  const { partitions, replication } = flags;
  return [
    homeFlag({ ...flags, home: '.spar' }),
    ...(partitions === undefined ? [] : [` --partitions ${partitions}`]),
    ...(replication === undefined ? [] : [` --replication ${replication}`]),
  ].join('');
}

const jsonOf = ({ asked }: WithRegistry, differences: readonly Difference[]): object => ({
  pipeline: asked.pipeline,
  ok: differences.every(isRemark),
  differences: differences.map(differenceJson),
});

const differenceJson = (difference: Difference): object => ({
  ...difference,
  subject: subjectOf(difference),
  text: complaint(difference),
});

async function describe({ asked, admin }: WithRegistry, flags: Flags): Promise<void> {
  const names = topics.map((topic) => nameOnLog(asked.pipeline, topic));
  const found = await admin.find(names);
  if (found.topics.size === 0) {
    throw new RunError(
      `the pipeline ${asked.pipeline} has no topics there: spar topics apply${flagsText(flags)} makes them`,
    );
  }
  const rows: TopicRow[] = [];
  for (const name of names) {
    const topic = found.topics.get(name);
    const ends = topic ? await admin.ends(name) : [];
    rows.push({
      name,
      topic: topic ?? null,
      records: ends.reduce((sum, { earliest, latest }) => sum + latest - earliest, 0),
    });
  }
  if (flags.json) {
    await print(
      jsonLine({
        pipeline: asked.pipeline,
        brokers: found.brokers,
        topics: rows.map(({ name, topic, records }) => ({
          ...{ name, there: topic !== null },
          ...(topic && { ...topic, records }),
        })),
      }),
    );
    return;
  }
  const column = columnOf(asked.pipeline);
  const head = ['topic', 'partitions', 'copies', 'largest', 'records', 'kept'];
  await print(pc.dim(cells(head, column)));
  for (const row of rows) await print(rowText(row, column));
}

interface TopicRow {
  readonly name: string;
  /** Null for one that is missing. */
  readonly topic: FoundTopic | null;
  readonly records: number;
}

function rowText({ name, topic, records }: TopicRow, column: number): string {
  if (!topic) return pc.red(cells([name, 'missing'], column));
  const { partitions, replication, inSync, configs } = topic;
  return cells(
    [
      name,
      String(partitions),
      inSync === replication ? String(replication) : `${inSync} of ${replication}`,
      configs ? bytesInWords(Number(configs['max.message.bytes'])) : 'unknown',
      records.toLocaleString('en'),
      configs ? keptInWords(configs) : 'unknown',
    ],
    column,
  );
}

const cells = ([name = '', ...others]: readonly string[], column: number): string => {
  const widths = [12, 10, 10, 12];
  const padded = others.map((text, index) => text.padStart(widths[index] ?? text.length + 2));
  return `${name.padEnd(column)}${padded.join('')}\n`;
};

interface AclFlags extends Pick<Flags, 'pipeline' | 'brokers' | 'config' | 'json'> {
  readonly stages?: readonly string[];
  readonly iteration?: string;
  readonly principal: string;
  readonly format: 'table' | 'commands';
}

const aclsCommand = (): Command =>
  new Command('acls')
    .exitOverride()
    .summary('the least rights that each command needs')
    .description(
      `Prints what the user of each command must be allowed to do on the brokers, and nothing beyond. It asks no cluster.

COMMAND is as it is typed after spar, such as "worker" or "topics apply"; without one, all are printed. Read and Write
include Describe, and AlterConfigs includes DescribeConfigs. Brokers before Kafka 2.8 want IdempotentWrite on the cluster
besides.`,
    )
    .argument('[command...]', 'only what this one needs')
    .addOption(
      new Option('--stages <list>', 'of a worker: only these, separated by commas').argParser(
        (value: string) => value.split(',').map((name) => name.trim()),
      ),
    )
    .option('--iteration <id>', 'the only one that is sampled for; any unless given')
    .addOption(
      new Option('--format <format>', 'a table, or commands for kafka-acls.sh')
        .choices(['table', 'commands'])
        .default('table'),
    )
    .option('--principal <name>', 'who gets the rights', 'User:spar')
    .addOption(brokersOption())
    .addOption(configOption())
    .addOption(pipelineOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        'spar topics acls',
        'spar topics acls topics apply',
        'spar topics acls worker --stages judge,evaluate --format commands --principal User:judge',
      ),
    )
    .action(async (words: readonly string[], flags: AclFlags, command: Command) => {
      if (flags.stages) checkStages(flags.stages);
      const config = configOf(flags, command);
      const { pipeline } = config;
      const { stages = null, iteration = null } = flags;
      const wanted = chosen(aclsOf({ dataflow, pipeline, stages, iteration }), words);
      if (flags.json) await print(jsonLine({ principal: flags.principal, commands: wanted }));
      else if (flags.format === 'commands') await print(commandsText(wanted, flags, config));
      else await print(wanted.map(tableText).join('\n'));
    });

function chosen(all: readonly CommandAcls[], words: readonly string[]): readonly CommandAcls[] {
  if (words.length === 0) return all;
  const name = words.join(' ');
  const found = all.filter(({ commands }) => commands.includes(name));
  if (found.length > 0) return found;
  throw new UsageError(
    `no rights are known for ${JSON.stringify(oneLine(name, 80))}; there are ` +
      all.flatMap(({ commands }) => commands).join(', '),
  );
}

function tableText({ commands, acls }: CommandAcls): string {
  const width = Math.max(...acls.map(({ name }) => name.length)) + 1;
  return [
    pc.bold(commands.map((name) => `spar ${name}`).join(', ')),
    ...acls.map(({ resource, pattern, name, operations, why }) => {
      const shown = pattern === 'prefixed' ? `${name}*` : name;
      return `  ${resource.padEnd(17)}${shown.padEnd(width + 2)}${operations.join(', ').padEnd(32)}${pc.dim(why)}`;
    }),
    '',
  ].join('\n');
}

const resourceFlags = {
  topic: '--topic',
  group: '--group',
  'transactional-id': '--transactional-id',
} as const;

function commandsText(
  wanted: readonly CommandAcls[],
  { principal }: AclFlags,
  { kafka }: Config,
): string {
  const brokers = [kafka.brokers ?? 'localhost:9092'].flat().join(',');
  const start = `kafka-acls.sh --bootstrap-server ${shellWord(brokers)} --add --allow-principal ${shellWord(principal)}`;
  return wanted
    .map(({ commands, acls }) =>
      [
        `# spar ${commands.join(', spar ')}`,
        ...acls.map(({ resource, pattern, name, operations }) =>
          [
            start,
            ...operations.map((operation) => `--operation ${operation}`),
            `${resourceFlags[resource]} ${shellWord(name)}`,
            ...(pattern === 'prefixed' ? ['--resource-pattern-type prefixed'] : []),
          ].join(' '),
        ),
        '',
      ].join('\n'),
    )
    .join('\n');
}
