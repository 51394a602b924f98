import { auditWith, type Audit } from '../../processors/rules/audit.ts';
import { nameOnLog, type Topic } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { rowIn } from '../codec/rows.ts';
import type { HomeView } from '../home/home.ts';
import { iterationOf } from '../runtime/headers.ts';

/**
 * How far the model's votes agree with code, over the newest records of an iteration: these topics are the largest
 * there are, and whoever looks at how a run stands is not to wait for all of them. An export counts them all.
 */
export async function latestAudit(
  view: Pick<HomeView, 'log' | 'serde' | 'pipeline'>,
  iteration: string,
): Promise<Audit> {
  let audit: Audit = {};
  for await (const { judged } of latest(view, topics.verdicts, iteration)) {
    for (const text of judged) audit = auditWith(audit, text);
  }
  for await (const node of latest(view, topics.nodes, iteration)) audit = auditWith(audit, node);
  return audit;
}

async function* latest<Row>(
  view: Parameters<typeof latestAudit>[0],
  topic: Topic<Row>,
  iteration: string,
): AsyncGenerator<Row> {
  const { log, pipeline } = view;
  const name = nameOnLog(pipeline, topic);
  const each = Math.ceil(recordsMax / log.partitions);
  for (const { partition, earliest, latest: end } of await log.ends(name)) {
    for (let next = Math.max(earliest, end - each); next < end;) {
      const records = await log.read(name, partition, next, page);
      const last = records.at(-1);
      if (!last) break;
      next = last.offset + 1;
      for (const record of records) {
        const row = iterationOf(record) === iteration ? await rowIn(view, topic, record) : null;
        if (row) yield row;
      }
    }
  }
}

/** Of each topic; a thousand texts tell a rate to within three points. */
const recordsMax = 2000;
const page = { records: 250, bytes: 8 * 1024 * 1024 };
