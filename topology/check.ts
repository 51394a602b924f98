import type { Dataflow, Outside, TopicInfo } from './topology.ts';

/**
 * What the compiler cannot see of a dataflow, in words; empty if all is well: a topic without a writer or a reader,
 * a step with a topic that is not among the pipeline's, a loop that nothing bounds.
 */
export function check(
  dataflow: Dataflow,
  topics: Readonly<Record<string, TopicInfo>>,
  outside: Outside,
): readonly string[] {
  return [
    ...unknownTopics(dataflow, topics),
    ...orphans(dataflow, topics, outside),
    ...unboundedLoops(dataflow),
  ];
}

function unknownTopics(
  dataflow: Dataflow,
  topics: Readonly<Record<string, TopicInfo>>,
): readonly string[] {
  const known = new Set(Object.values(topics));
  return Object.entries(dataflow).flatMap(([name, { from, to, tables }]) =>
    [from, ...Object.values(to), ...Object.values(tables)]
      .filter((topic) => !known.has(topic))
      .map((topic) => `step ${name}: ${topic.name} is not a topic of the pipeline`),
  );
}

function orphans(
  dataflow: Dataflow,
  topics: Readonly<Record<string, TopicInfo>>,
  outside: Outside,
): readonly string[] {
  const steps = Object.values(dataflow);
  const written = new Set([
    ...steps.flatMap(({ to }) => Object.values(to)),
    ...outside.writes.map(({ topic }) => topic),
  ]);
  const read = new Set([
    ...steps.flatMap(({ from, tables }) => [from, ...Object.values(tables)]),
    ...outside.reads.map(({ topic }) => topic),
  ]);
  return Object.values(topics).flatMap((topic) => [
    ...(written.has(topic) ? [] : [`topic ${topic.name}: nothing writes it`]),
    ...(read.has(topic) ? [] : [`topic ${topic.name}: nothing reads it`]),
  ]);
}

/** Takes away every step that is bounded, and again and again every one that cannot be on a loop: what is left is. */
function unboundedLoops(dataflow: Dataflow): readonly string[] {
  let left = Object.entries(dataflow).filter(([, { bound }]) => bound === null);
  for (;;) {
    const read = new Set(left.map(([, { from }]) => from));
    const written = new Set(left.flatMap(([, { to }]) => Object.values(to)));
    const next = left.filter(
      ([, { from, to }]) => written.has(from) && Object.values(to).some((topic) => read.has(topic)),
    );
    if (next.length === left.length) break;
    left = next;
  }
  return left.length === 0
    ? []
    : [`steps ${left.map(([name]) => name).join(', ')}: their loop has no bound`];
}
