import { nameOnLog, type TopicInfo } from '../../topology/topology.ts';
import { schemaText } from '../codec/avro.ts';
import type { SchemaRegistry } from '../codec/registry.ts';
import type { SchemaDifference } from './plan.ts';

/** Schemas that the registry does not hold yet, in the order of the topics. It is only asked. */
export async function schemaDifferences(
  topics: readonly TopicInfo[],
  pipeline: string,
  registry: SchemaRegistry,
): Promise<readonly SchemaDifference[]> {
  const found = await Promise.all(
    topics.map(async (topic): Promise<SchemaDifference | null> => {
      const subject = subjectOf(pipeline, topic);
      const text = schemaText(topic.schema);
      if ((await registry.idOf(subject, text)) !== null) return null;
      const another = (await registry.latest(subject)) !== null;
      const reasons = another ? await registry.incompatibilities(subject, text) : [];
      const level = reasons.length === 0 ? 'change' : 'problem';
      return { level, kind: 'schema', subject, schema: topic.schema, another, reasons };
    }),
  );
  return found.filter((difference) => difference !== null);
}

export const register = (
  { subject, schema }: SchemaDifference,
  registry: SchemaRegistry,
): Promise<number> => registry.register(subject, schemaText(schema));

/** Where a registry keeps the schema of a topic's values. */
const subjectOf = (pipeline: string, topic: TopicInfo): string =>
  `${nameOnLog(pipeline, topic)}-value`;
