import { fullId, partsOf } from '../../processors/rules/ids.ts';
import type { Instruction, PreferencePair, Removal } from '../../schemas/records.ts';
import { partitionOf } from '../../topology/partition.ts';
import { nameOnLog } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { latestRow, rowIn, type Rows } from '../codec/rows.ts';
import type { Home } from '../home/home.ts';
import { scan } from '../log/scan.ts';
import type { Time } from '../time.ts';

/** What a removal is about. */
export type Target = Pick<Removal, 'id' | 'instruction_id' | 'scope' | 'pair_id'>;

/** The instruction comes second, as in the ids of all records, so that a copy finds the partition. */
export const pairTarget = ({ id, instruction_id }: PreferencePair): Target => {
  const [iteration = '', , tree = ''] = partsOf(id);
  return {
    id: fullId('pair', instruction_id, iteration, tree),
    instruction_id,
    scope: 'pair',
    pair_id: id,
  };
};

export const instructionTarget = (id: string): Target => ({
  id: fullId('instruction', id),
  instruction_id: id,
  scope: 'instruction',
  pair_id: null,
});

/** Whether there is such an instruction. Producers may use other keys than its id, so all of them may be looked at. */
export async function hasInstruction(rows: Rows, id: string): Promise<boolean> {
  const isIt = (row: Instruction | null) => row?.id === id;
  if (isIt(await latestRow(rows, topics.instructions, id))) return true;
  for await (const record of scan(rows.log, nameOnLog(rows.pipeline, topics.instructions))) {
    if (isIt(await rowIn(rows, topics.instructions, record))) return true;
  }
  return false;
}

/** The decision that holds; null if there was none. */
export const decisionOn = (rows: Rows, { id }: Target): Promise<Removal | null> =>
  latestRow(rows, topics.removals, id);

/** Notes a decision: exports follow the latest one. */
export async function decide(
  { log, serde, pipeline }: Pick<Home, 'log' | 'serde' | 'pipeline'>,
  target: Target,
  decision: Pick<Removal, 'removed' | 'why' | 'who'>,
  time: Time,
): Promise<Removal> {
  const removal: Removal = { ...target, ...decision, decided_at: time.wall() };
  await log.append([
    {
      topic: nameOnLog(pipeline, topics.removals),
      partition: partitionOf(target.instruction_id, log.partitions),
      key: removal.id,
      headers: {},
      value: serde.encode(topics.removals, removal),
    },
  ]);
  return removal;
}
