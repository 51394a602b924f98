/**
 * `npm run docs`: writes the pages that are made from the sources, and README's picture of the dataflow. A test
 * fails while they differ from what this file makes, so they cannot grow stale.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { dataflow, outside } from '../../topology/dataflow.ts';
import { render } from '../../topology/render.ts';
import type { Kept, TopicInfo } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { loadConfig } from '../config/load.ts';
import { configSchema } from '../config/schema.ts';
import { settingsOf } from '../config/settings.ts';
import { aclsOf } from '../topics/acls.ts';

const root = join(import.meta.dirname, '../..');

/** What each generated page should say, by its path from the root. */
export async function generatedPages(): Promise<Readonly<Record<string, string>>> {
  const pages = {
    'README.md': withDiagram(readFileSync(join(root, 'README.md'), 'utf8')),
    'docs/settings.md': settingsPage(),
    'docs/records.md': recordsPage(),
    'docs/kafka.md': withRights(readFileSync(join(root, 'docs/kafka.md'), 'utf8')),
  };
  const options = await resolveConfig(join(root, 'README.md'));
  const formatted = Object.entries(pages).map(async ([path, text]) => [
    path,
    await format(text, { ...options, parser: 'markdown' }),
  ]);
  return Object.fromEntries(await Promise.all(formatted)) as Readonly<Record<string, string>>;
}

/** @throws Error if there is no ```mermaid block to put it into */
function withDiagram(readme: string): string {
  const block = /^```mermaid\n[\s\S]*?^```$/m;
  if (!block.test(readme)) throw new Error('README.md has no mermaid block for the dataflow');
  return readme.replace(block, () => `\`\`\`mermaid\n${render(dataflow, 'mermaid')}\`\`\``);
}

/** @throws Error if the page has no place for it */
function withRights(page: string): string {
  const from = made('infra/topics/acls.ts');
  const to = '<!-- Up to here. -->';
  const [before, rest = ''] = page.split(from);
  const after = rest.split(to)[1];
  if (after === undefined) throw new Error(`docs/kafka.md has no "${from}" … "${to}"`);
  return [before, from, '\n\n', rightsTable(), '\n\n', to, after].join('');
}

function rightsTable(): string {
  const asked = { dataflow, pipeline: 'spar', iteration: null };
  const all = aclsOf({ ...asked, stages: null });
  const ofStages = Object.keys(dataflow).map((stage) => ({
    commands: [`worker --stages ${stage}`],
    acls: aclsOf({ ...asked, stages: [stage] }).find(({ commands }) => commands.includes('worker'))
      ?.acls,
  }));
  const rows = all.flatMap((one) => (one.commands.includes('worker') ? [one, ...ofStages] : [one]));
  return table(
    ['command', 'topics', 'groups', 'transactional ids'],
    rows.map(({ commands, acls = [] }) => [
      commands.map((name) => `\`spar ${name}\``).join(', '),
      ...(['topic', 'group', 'transactional-id'] as const).map((resource) =>
        acls
          .filter((acl) => acl.resource === resource)
          .map(
            ({ name, pattern, operations }) =>
              `\`${name}${pattern === 'prefixed' ? '*' : ''}\` ${operations.join(', ')}`,
          )
          .join('; '),
      ),
    ]),
  );
}

/** The parts of JSON Schema that the configuration makes use of. */
interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
}

interface Setting {
  readonly path: readonly string[];
  readonly schema: Schema;
}

function settingsPage(): string {
  // Zod types its JSON Schema as loosely as the standard does.
  const schema = configSchema.toJSONSchema({ io: 'input' }) as unknown as Schema;
  const sections = Object.entries(schema.properties ?? {});
  const single = sections.filter(([, { properties }]) => !properties);
  const grouped = sections.filter(([, { properties }]) => properties);
  return [
    made('infra/config/schema.ts'),
    '# Settings',
    'All of them have a default, except where the model is. A flag goes before the environment, that before the ' +
      'file that `--config` names, and that before the default. A wrong name or value is an error with file, line ' +
      'and column, before anything is asked.',
    '```yaml\n' +
      [
        'models:',
        '  default: # for all three roles',
        '    url: http://localhost:8000/v1',
        '    model: my-model',
        '  judge: # this one differs',
        '    url: http://localhost:8001/v1',
        '    model: my-judge',
        '    api_key_env: JUDGE_KEY',
        'search:',
        '  strategy: depth-first',
        'limits:',
        '  max_in_flight: 512',
      ].join('\n') +
      '\n```',
    'Each setting is of one of two kinds:',
    '- **fixed**: it decides which pairs come out. An iteration keeps what it was opened with; a run with another ' +
      'value is refused with the differences, and needs another `--iteration` or `--home`. Prompts are compared by ' +
      'their hash, models by their `version`.\n' +
      '- **free**: where models are, how fast and how long. It may change whenever a run starts again.',
    '| flag | variable | setting |\n| --- | --- | --- |\n' +
      [
        '| `--model-url` | `SPAR_MODEL_URL` | `models.default.url` |',
        '| `--model` | `SPAR_MODEL` | `models.default.model` |',
        '| `--mode` | `SPAR_MODE` | `mode` |',
        '| `--seed` | `SPAR_SEED` | `seed` |',
        '| `--pipeline` | `SPAR_PIPELINE` | `pipeline` |',
        '| `--brokers` | `SPAR_BROKERS` | `kafka.brokers` |',
        '| `--registry` | `SPAR_REGISTRY` | `registry.url` |',
        '| `--partitions` | `SPAR_PARTITIONS` | `kafka.partitions` |',
        '| `--replication` | `SPAR_REPLICATION` | `kafka.replication` |',
        '| `--max-in-flight` | `SPAR_MAX_IN_FLIGHT` | `limits.max_in_flight` |',
        '| `--max-tokens` | `SPAR_MAX_TOKENS` | `budget.max_tokens` |',
        '| `--max-cost` | `SPAR_MAX_COST` | `budget.max_cost` |',
        '| `--pairs` | `SPAR_PAIRS` | `budget.pairs` |',
        '| `--home` | `SPAR_HOME` | not a setting of the file |',
        '| never a flag | `OPENAI_API_KEY` | the key of a role that names no other |',
      ].join('\n'),
    '## At the top',
    settingsTable(single.map(([name, inner]) => ({ path: [name], schema: inner }))),
    ...grouped.flatMap(([name, inner]) => [
      `## \`${name}\``,
      name === 'models' ? modelsSection(inner) : settingsTable(leaves([name], inner)),
    ]),
    '',
  ].join('\n\n');
}

/** The roles have the same settings as the default, so these are shown once. */
function modelsSection({ properties = {} }: Schema): string {
  const { default: shared = {}, ...roles } = properties;
  return [
    'Each role is asked at the endpoint of `models.default`, unless it has settings of its own:',
    ['default', ...Object.keys(roles)]
      .map((role) => `- \`models.${role}\`: ${properties[role]?.description ?? ''}`)
      .join('\n'),
    'What belongs to another server or model is not taken over. A role with a `url` of its own gets no key of the ' +
      "default, and one that names another key does not either; one with another `model` not the default's " +
      '`version`; one with either neither `price` nor `context_tokens`. A key in `api_key_file` goes before one in ' +
      '`api_key_env`, that before `OPENAI_API_KEY`, which every role without a key of its own sends; servers ' +
      'without keys need none.',
    settingsTable(leaves(['models', 'default'], shared)),
    '`extra_body` and `max_choices` are free, but other answers come with other values: change them together with ' +
      'the iteration if you want to compare.',
  ].join('\n\n');
}

function leaves(path: readonly string[], schema: Schema): readonly Setting[] {
  return schema.properties
    ? Object.entries(schema.properties).flatMap(([name, inner]) => leaves([...path, name], inner))
    : [{ path, schema }];
}

const settingsTable = (settings: readonly Setting[]): string =>
  table(
    ['setting', 'default', 'may be', 'kind', 'what it is'],
    settings.map(({ path, schema }) => [
      `\`${path.join('.')}\``,
      defaultOf(schema),
      rangeOf(schema),
      kindOf(path),
      schema.description ?? '',
    ]),
  );

/** What an iteration fixes when it opens, by the first names of their paths. */
const fixed = new Set(
  Object.keys(settingsOf(loadConfig(null, []), '1', { actor: '', judge: '', refiner: '' })),
);

function kindOf(path: readonly string[]): string {
  const [first = '', ...rest] = path;
  const name = rest.at(-1);
  // Of a model only what records call it is fixed, and that is its name unless said otherwise.
  if (name === 'model') return 'fixed, but for one with a `version`';
  if (first === 'models') return name === 'version' ? 'fixed' : 'free';
  if (first === 'pipeline') return 'names the topics';
  return fixed.has(first) ? 'fixed' : 'free';
}

const defaultOf = (schema: Schema): string =>
  schema.default === undefined ? 'none' : `\`${JSON.stringify(schema.default)}\``;

function rangeOf(schema: Schema): string {
  const { type, minimum, maximum, exclusiveMinimum, exclusiveMaximum } = schema;
  if (schema.anyOf) return schema.anyOf.map(rangeOf).join(', or ');
  if (schema.enum) return schema.enum.map((value) => `\`${value}\``).join(', ');
  if (type === 'array') {
    const counts = [...(schema.minItems ? [`from ${schema.minItems}`] : []), upTo(schema.maxItems)];
    const items = schema.items ? rangeOf(schema.items) : 'anything';
    return `a list of ${items}${counts.some(Boolean) ? ` (${counts.filter(Boolean).join(' ')})` : ''}`;
  }
  if (type === 'object') {
    const { additionalProperties: values } = schema;
    return typeof values === 'object' && values.type !== undefined
      ? `names, each with ${rangeOf(values)}`
      : 'names with any values';
  }
  if (type === 'boolean') return '`true`, `false`';
  if (type === 'null') return '`null`';
  if (type === 'integer' || type === 'number') {
    return [
      type === 'integer' ? 'whole' : 'a number',
      ...(minimum === undefined ? [] : [`from ${minimum}`]),
      ...(exclusiveMinimum === undefined ? [] : [`above ${exclusiveMinimum}`]),
      ...(exclusiveMaximum === undefined ? [] : [`below ${exclusiveMaximum}`]),
      ...(maximum === Number.MAX_SAFE_INTEGER ? [] : [upTo(maximum)]),
    ]
      .filter(Boolean)
      .join(' ');
  }
  if (schema.pattern?.includes('http')) return 'a URL';
  return schema.pattern ? `like \`${schema.pattern}\`` : 'text';
}

const upTo = (most: number | undefined): string => (most === undefined ? '' : `up to ${most}`);

/** Avro as our schemas write it. */
type Avro =
  | string
  | readonly Avro[]
  | {
      readonly type: string;
      readonly name?: string;
      readonly doc?: string;
      readonly logicalType?: string;
      readonly items?: Avro;
      readonly fields?: readonly Field[];
    };

interface Field {
  readonly name: string;
  readonly type: Avro;
  readonly doc?: string;
  readonly default?: unknown;
}

interface AvroRecord {
  readonly name: string;
  readonly doc?: string;
  readonly fields: readonly Field[];
}

function recordsPage(): string {
  const parts = new Map<string, AvroRecord>();
  const sections = Object.values(topics).map((topic) => {
    const record = schemaOf(topic);
    for (const part of partsOf(record)) parts.set(part.name, part);
    return [
      `## ${topic.name}`,
      record.doc ?? '',
      [
        `- record: \`${record.name}\`, \`schemas/${topic.schema}.avsc\``,
        `- written by: ${writersOf(topic)}`,
        `- kept: ${keptText(topic.kept)}`,
      ].join('\n'),
      fieldsTable(record.fields),
    ].join('\n\n');
  });
  return [
    made('schemas/*.avsc and topology/topics.ts'),
    '# Records',
    'The data dictionary: every topic, and every field of its records. On the log a topic is called ' +
      '`<pipeline>.<topic>`, `spar.instructions` by default; commands take the short name. Values are Avro in ' +
      "Confluent's wire format: a zero byte, four bytes of schema id, the record. `spar tap TOPIC` prints them as " +
      'JSON.',
    'The key of a record is its `id`: the instruction, then `iteration/instruction`, for trees ' +
      '`iteration/instruction/tree` with trees counted from 0, for nodes one part more. A `/` or `%` within a part ' +
      'is written `%2F` or `%25`. Everything about one instruction is in one partition.',
    'Every record has headers: `iteration`; `trace`, 32 hex digits that all records of an instruction share; ' +
      '`order`, its place among the admitted ones; `rules`, their version; with trees also `trees`, how many the ' +
      'instruction has; `revision` after a retried dead letter; `moved` if it was appended again because it held ' +
      'up the others. A manifest that fixes settings and says nothing of sources has `opens`; of the manifests of an ' +
      'iteration, the first says what is fixed.',
    'Fields without a default must be there when you write a record; all others may be left out.',
    ...sections,
    '# Parts of records',
    ...[...parts.values()]
      .sort((one, other) => (one.name < other.name ? -1 : 1))
      .flatMap((part) => [`## ${part.name}`, part.doc ?? '', fieldsTable(part.fields)]),
    '',
  ].join('\n\n');
}

const schemaOf = ({ schema }: TopicInfo): AvroRecord =>
  // A test proves that every schema agrees with the TypeScript types.
  JSON.parse(readFileSync(join(root, 'schemas', `${schema}.avsc`), 'utf8')) as AvroRecord;

/** Records within a record, at any depth. */
function partsOf({ fields }: AvroRecord): readonly AvroRecord[] {
  const within = (type: Avro): readonly AvroRecord[] => {
    if (typeof type === 'string') return [];
    if ('type' in type) {
      const { name, fields: inner, items } = type;
      if (items !== undefined) return within(items);
      if (name === undefined || inner === undefined) return [];
      const part = { ...type, name, fields: inner };
      return [part, ...partsOf(part)];
    }
    return type.flatMap(within);
  };
  return fields.flatMap(({ type }) => within(type));
}

const fieldsTable = (fields: readonly Field[]): string =>
  table(
    ['field', 'type', 'default', 'what it is'],
    fields.map((field) => [
      `\`${field.name}\``,
      typeText(field.type),
      'default' in field ? `\`${JSON.stringify(field.default)}\`` : 'none',
      field.doc ?? '',
    ]),
  );

/** Names of Avro itself; any other name is a record of ours. */
const primitives = ['null', 'boolean', 'int', 'long', 'float', 'double', 'bytes', 'string'];

function typeText(type: Avro): string {
  if (typeof type === 'string') {
    return primitives.includes(type) ? type : `[${type}](#${type.toLowerCase()})`;
  }
  if (!('type' in type)) {
    return [...type.filter((one) => one !== 'null').map(typeText), 'null'].join(' or ');
  }
  if (type.items !== undefined) return `list of ${typeText(type.items)}`;
  if (type.name !== undefined) return typeText(type.name);
  return type.logicalType ?? type.type;
}

function writersOf(topic: TopicInfo): string {
  const steps = Object.entries(dataflow)
    .filter(([, { to }]) => Object.values<TopicInfo>(to).includes(topic))
    .map(([name]) => `\`${name}\``);
  const others = outside.writes.filter((write) => write.topic === topic).map(({ by }) => by);
  return [...steps, ...others].join(', ');
}

function keptText(kept: Kept): string {
  if (typeof kept === 'object') return `${kept.days} days`;
  return kept === 'latest' ? 'the latest record of each key' : 'for ever';
}

const made = (from: string): string => `<!-- Made by \`npm run docs\` from ${from}. -->`;

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows]
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n');

if (import.meta.main) {
  for (const [path, text] of Object.entries(await generatedPages())) {
    writeFileSync(join(root, path), text);
  }
}
