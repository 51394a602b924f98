import type { TopicInfo } from '../../topology/topology.ts';
import { RunError } from '../errors.ts';
import { openTopicAdmin, type TopicAdminOptions } from '../log/kafka/topics.ts';
import { checkTopics } from './topics.ts';
import type { TopicsAsked } from './wanted.ts';
import { complaints } from './words.ts';

export interface AssertOptions extends TopicAdminOptions {
  readonly topics: readonly TopicInfo[];
  readonly asked: TopicsAsked;
  /** The command that mends what can be mended. */
  readonly remedy: string;
}

/**
 * For whoever is about to work on a pipeline: makes sure that its topics are there and as they should be. It needs no
 * more than the right to describe them; whoever may not see their configs takes those on trust.
 *
 * @throws RunError with every difference, and the command that mends them; Unavailable if no broker answers
 */
export async function assertTopics({
  topics,
  asked,
  remedy,
  ...adminOptions
}: AssertOptions): Promise<void> {
  const admin = openTopicAdmin(adminOptions);
  try {
    const differences = await checkTopics({ topics, asked, admin });
    const wrong = differences.filter(({ level }) => level !== 'remark');
    if (wrong.length === 0) return;
    if (wrong.length === topics.length && wrong.every(({ kind }) => kind === 'missing')) {
      throw new RunError(
        `the pipeline ${asked.pipeline} has no topics on ${adminOptions.settings.brokers.join(', ')}: ` +
          `\`${remedy}\` makes them.`,
      );
    }
    throw new RunError(
      [
        `the topics of the pipeline ${asked.pipeline} are not as they should be:`,
        ...complaints(wrong).map((line) => `  ${line}`),
        ...(wrong.some(({ level }) => level === 'change')
          ? [`\`${remedy}\` mends what it can.`]
          : []),
      ].join('\n'),
    );
  } finally {
    await admin.close();
  }
}
