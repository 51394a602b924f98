import { nameOnLog, type TopicInfo } from '../../topology/topology.ts';
import type { SchemaRegistry } from '../codec/registry.ts';
import { RunError } from '../errors.ts';
import type { Time } from '../time.ts';
import type { TopicAdmin } from './admin.ts';
import { topicDifferences, type Difference } from './plan.ts';
import { register, schemaDifferences } from './schemas.ts';
import type { TopicsAsked } from './wanted.ts';
import { complaints } from './words.ts';

export interface TopicsOptions {
  readonly topics: readonly TopicInfo[];
  readonly asked: TopicsAsked;
  readonly admin: TopicAdmin;
}

export type WithRegistry = TopicsOptions & { readonly registry: SchemaRegistry };

/** How topics differ from what they should be; empty if all is well. It takes two requests if all are there. */
export const checkTopics = async ({
  topics,
  asked,
  admin,
}: TopicsOptions): Promise<readonly Difference[]> =>
  topicDifferences(
    topics,
    asked,
    await admin.find(topics.map((topic) => nameOnLog(asked.pipeline, topic))),
  );

/** The same with their schemas: what `applyTopics` would do, and what it could not. Nothing is changed. */
export const planTopics = async (options: WithRegistry): Promise<readonly Difference[]> => [
  ...(await checkTopics(options)),
  ...(await schemaDifferences(options.topics, options.asked.pipeline, options.registry)),
];

/** How long brokers may take until they tell of what was changed. */
const tellMs = 15_000;
const pollMs = 100;

/**
 * Makes missing topics, changes configs that are not as they should be, and registers schemas. It takes nothing away:
 * no topic, no partition, no time that records are kept.
 *
 * @param report hears of each difference when it is gone
 * @returns remarks
 * @throws RunError if something is the matter that it cannot mend; then nothing was changed
 */
export async function applyTopics(
  options: WithRegistry & {
    readonly time: Time;
    readonly report: (difference: Difference) => Promise<void>;
  },
): Promise<readonly Difference[]> {
  const { admin, registry, time, report } = options;
  const plan = await planTopics(options);
  refuse(plan.filter(({ level }) => level === 'problem'));
  const changes = plan.filter(({ level }) => level === 'change');

  // Schemas first: whoever sees the topics may write to them.
  for (const change of changes) {
    if (change.kind !== 'schema') continue;
    await register(change, registry);
    await report(change);
  }
  const missing = changes.filter((change) => change.kind === 'missing');
  if (missing.length > 0) await admin.create(missing.map(({ wanted }) => wanted));
  for (const change of missing) await report(change);
  const drifted = changes.filter((change) => change.kind === 'config');
  for (const [topic, theirs] of Map.groupBy(drifted, (change) => change.topic)) {
    await admin.configure(
      topic,
      Object.fromEntries(theirs.map(({ config, wanted }) => [config, wanted])),
    );
    for (const change of theirs) await report(change);
  }
  return settled(options, time);
}

/** Others may make and change topics at the same time, and each broker hears of a change when it does. */
async function settled(options: TopicsOptions, time: Time): Promise<readonly Difference[]> {
  const deadline = time.monotonic() + tellMs;
  for (;;) {
    const left = await checkTopics(options);
    if (left.every(({ level }) => level === 'remark')) return left;
    if (time.monotonic() > deadline) {
      throw new RunError(
        ['somebody else changes these topics, too:', ...complaints(left)].join('\n  '),
      );
    }
    await time.sleep(pollMs);
  }
}

function refuse(problems: readonly Difference[]): void {
  if (problems.length === 0) return;
  throw new RunError(
    ['nothing was changed, since this cannot be mended:', ...complaints(problems)].join('\n  '),
  );
}
