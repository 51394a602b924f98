import type { Dataflow, Step, TopicInfo } from './topology.ts';

export const formats = ['text', 'mermaid', 'json'] as const;
export type Format = (typeof formats)[number];

/** The dataflow for people (`text`), for Markdown pages (`mermaid`) and for programs (`json`). Ends in a line end. */
export function render(dataflow: Dataflow, format: Format): string {
  switch (format) {
    case 'text':
      return text(dataflow);
    case 'mermaid':
      return mermaid(dataflow);
    case 'json':
      return json(dataflow);
  }
}

function text(dataflow: Dataflow): string {
  return Object.entries(dataflow)
    .flatMap(([name, step]) => [
      `${step.from.name} → ${name}${remarks(step)}`,
      ...Object.values(step.to).map((topic) => `  → ${topic.name}: ${topic.about}`),
    ])
    .map((line) => `${line}\n`)
    .join('');
}

function remarks({ asks, tables, bound }: Step): string {
  const parts = [
    ...asks.map((role) => `asks the ${role}`),
    ...namesOf(tables).map((name) => `looks up ${name}`),
    ...(bound === null ? [] : [`bounded by ${bound}`]),
  ];
  return parts.length === 0 ? '' : ` (${parts.join('; ')})`;
}

function mermaid(dataflow: Dataflow): string {
  const steps = Object.entries(dataflow);
  const topics = new Set(
    steps.flatMap(([, { from, to, tables }]) => [from.name, ...namesOf(to), ...namesOf(tables)]),
  );
  return [
    'flowchart TD',
    ...[...topics].map((name) => `  ${topicNode(name)}[("${name}")]`),
    ...steps.map(([name]) => `  ${stepNode(name)}(["${name}"])`),
    ...steps.flatMap(([name, { from, to, tables }]) => [
      `  ${topicNode(from.name)} --> ${stepNode(name)}`,
      ...namesOf(tables).map((table) => `  ${topicNode(table)} -.-> ${stepNode(name)}`),
      ...namesOf(to).map((topic) => `  ${stepNode(name)} --> ${topicNode(topic)}`),
    ]),
  ]
    .map((line) => `${line}\n`)
    .join('');
}

const topicNode = (name: string): string => `topic_${name.replaceAll(/\W/g, '_')}`;
const stepNode = (name: string): string => `step_${name.replaceAll(/\W/g, '_')}`;

function json(dataflow: Dataflow): string {
  const steps = Object.entries(dataflow).map(([name, step]) => ({
    name,
    from: step.from.name,
    to: namesOf(step.to),
    tables: namesOf(step.tables),
    asks: step.asks,
    ends: step.ends,
    bound: step.bound,
  }));
  return `${JSON.stringify({ steps }, null, 2)}\n`;
}

const namesOf = (topics: Readonly<Record<string, TopicInfo>>): readonly string[] =>
  Object.values(topics).map(({ name }) => name);
