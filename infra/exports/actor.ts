import { fullId } from '../../processors/rules/ids.ts';
import type { Chance } from '../../processors/rules/chance.ts';
import { passingResponses } from '../../processors/rules/training.ts';
import type { Message, Verdicts } from '../../schemas/records.ts';
import { topics as all } from '../../topology/topics.ts';
import { assistant } from './format.ts';
import type { Iterations, RecordGates } from './refiner.ts';
import type { ExportSettings } from './settings.ts';
import { byKey } from './smallest.ts';
import { recordAt, records, type Topics } from './topic.ts';

interface ActorRow {
  readonly id: string;
  /** The instruction that it comes from, which decides its split. */
  readonly instruction: string;
  readonly messages: readonly Message[];
}

/**
 * Good answers for the actor to learn: every accepted refinement, and some of the responses that passed at once. Only
 * their places are held.
 */
export async function* actorRows(
  topics: Topics,
  iterations: Iterations,
  settings: ExportSettings['actor'],
  order: Chance,
  { undecodable, stays, good }: RecordGates,
): AsyncGenerator<ActorRow> {
  const places = new Map<string, Place>();
  const keep = (id: string, position: number, response: number | null) => {
    if (!places.has(id)) places.set(id, { id, key: order(`actor/${id}`), position, response });
  };
  for await (const { row, position } of records(topics, all.refinements, undecodable)) {
    if (!iterations.has(row.iteration) || !stays({ kind: 'refinement', row })) continue;
    const id = fullId('refined', row.id);
    if (row.text.trim() !== '' && good({ ...row, id }, row.text)) keep(id, position, null);
  }
  for await (const { row, position } of records(topics, all.verdicts, undecodable)) {
    if (!iterations.has(row.iteration) || !stays({ kind: 'verdicts', row })) continue;
    const chance: Chance = (purpose) => order(`actor/${row.id}/${purpose}`);
    for (const { index } of passingResponses(kept(row, good), settings.passing, chance)) {
      keep(fullId('passed', row.id, String(index)), position, index);
    }
  }
  const ordered = [...places.values()].sort(byKey);
  for (const place of ordered.slice(0, settings.max_rows ?? ordered.length)) {
    yield read(topics, place);
  }
}

/** The verdicts on all but those responses that passed and should not have. */
const kept = (row: Verdicts, good: RecordGates['good']): Verdicts => ({
  ...row,
  judged: row.judged.filter(({ index, verdict }) => {
    const response = row.responses.find((one) => one.index === index);
    if (verdict !== 'pass' || !response) return true;
    return good({ ...row, id: fullId('passed', row.id, String(index)) }, response.text);
  }),
});

interface Place {
  readonly id: string;
  readonly key: number;
  readonly position: number;
  /** The number of a response; null for a refinement. */
  readonly response: number | null;
}

async function read(topics: Topics, { id, position, response }: Place): Promise<ActorRow> {
  if (response === null) {
    const { instruction_id, messages, text } = await recordAt(topics, all.refinements, position);
    return { id, instruction: instruction_id, messages: answered(messages, text) };
  }
  const { instruction_id, messages, responses } = await recordAt(topics, all.verdicts, position);
  const found = responses.find(({ index }) => index === response);
  if (!found) throw new Error(`${id}: its response is no longer there`);
  return { id, instruction: instruction_id, messages: answered(messages, found.text) };
}

const answered = (messages: readonly Message[], text: string): readonly Message[] => [
  ...messages,
  assistant(text.trim()),
];
