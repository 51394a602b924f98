import { PermanentError } from '../../processors/processor.ts';
import { judgeOf, lacksJudge } from '../../processors/rules/code.ts';
import type { Settings } from '../../processors/settings.ts';
import type { Instruction } from '../../schemas/records.ts';
import { partitionOf } from '../../topology/partition.ts';
import { nameOnLog } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { rowIn } from '../codec/rows.ts';
import type { Serde } from '../codec/serde.ts';
import { ahead } from '../input/ahead.ts';
import { contentDigest } from '../input/identity.ts';
import type { InputItem } from '../input/read.ts';
import type { Log } from '../log/log.ts';
import { estimatedTokens } from '../model/gateway.ts';
import { iterationOf } from '../runtime/headers.ts';
import { oneLine } from '../text.ts';
import type { Time } from '../time.ts';

/** What became of a source so far. */
export interface Admission {
  /** Instructions taken from the source, those that the home had already included. */
  readonly taken: number;
  /** Instructions that this process put into the stream. */
  readonly admitted: number;
  readonly duplicates: number;
  readonly rejected: number;
}

export interface AdmitOptions {
  readonly log: Log;
  readonly serde: Serde;
  readonly pipeline: string;
  /** The only one that is to sample them; null for every one that there is, or will be. */
  readonly iteration: string | null;
  readonly time: Time;
  /** Stop after so many instructions; null takes all. */
  readonly limit: number | null;
  /** Stop at the first line that is rejected. */
  readonly strict: boolean;
  /** Before the first instruction enters the stream. */
  readonly ready: () => Promise<void>;
  /** The model's context, known once the endpoints are ready; null if they do not say. */
  readonly contextTokens: () => number | null;
  /** Why the iteration can do nothing with an instruction; null if it can. */
  readonly refused?: (instruction: Instruction) => string | null;
  readonly onRejected: (message: string) => void;
  readonly signal: AbortSignal;
}

/** Appends in flight at most: reading does not run far ahead of the disk. */
const appendsMax = 512;
/** Instructions that are looked up at once: a log far away answers many as soon as one. */
const lookUpsMax = 64;

/**
 * Puts instructions into the stream as they come, each once per iteration: a record in `instructions` that names
 * the iteration is its admission, so that the same command can go on after a crash.
 *
 * @returns whether the items were read to their end, or as far as the limit asks
 */
export async function admit(
  items: AsyncIterable<InputItem>,
  options: AdmitOptions,
  admission: { -readonly [Name in keyof Admission]: Admission[Name] },
): Promise<boolean> {
  const { log, serde, pipeline, iteration, time, limit, strict, ready, onRejected, signal } =
    options;
  const topic = nameOnLog(pipeline, topics.instructions);
  const underWay = new Set<Promise<unknown>>();
  let isRead = true;
  const reject = (message: string) => {
    admission.rejected++;
    onRejected(message);
  };
  const lookedUp = ahead(
    items,
    async (item) => ({
      item,
      known: item.kind === 'instruction' ? await knownAs(item.instruction, options) : false,
    }),
    lookUpsMax,
  );
  for await (const { item, known } of lookedUp) {
    if (signal.aborted) {
      isRead = false;
      break;
    }
    if (item.kind === 'rejected') {
      reject(item.message);
      if (strict) break;
      continue;
    }
    if (item.kind === 'duplicate') {
      admission.duplicates++;
      continue;
    }
    const { instruction } = item;
    if (typeof known === 'string') {
      reject(known);
      if (strict) break;
      continue;
    }
    if (!known) {
      const refused = options.refused?.(instruction) ?? null;
      if (refused !== null) {
        reject(refused);
        if (strict) break;
        continue;
      }
      await ready();
      const tooLong = overContext(instruction, options.contextTokens());
      if (tooLong !== null) {
        reject(tooLong);
        if (strict) break;
        continue;
      }
      const value = encoded({ ...instruction, added_at: time.wall() }, serde);
      if (typeof value === 'string') {
        reject(value);
        if (strict) break;
        continue;
      }
      admission.admitted++;
      const appended = log.append([
        {
          topic,
          partition: partitionOf(instruction.id, log.partitions),
          key: instruction.id,
          headers: iteration === null ? {} : { iteration },
          value,
        },
      ]);
      underWay.add(appended);
      // One that failed stays, for the awaits below to find.
      appended.then(
        () => underWay.delete(appended),
        () => undefined,
      );
      if (underWay.size >= appendsMax) await Promise.race(underWay);
    }
    admission.taken++;
    if (limit !== null && admission.taken >= limit) break;
  }
  await Promise.all(underWay);
  return isRead && !(strict && admission.rejected > 0);
}

/** An instruction that wants votes where nobody votes: a sentence with what to do; null if it can be judged. */
export function withoutJudge(
  instruction: Instruction,
  settings: Pick<Settings, 'judge' | 'models'>,
): string | null {
  if (!lacksJudge(instruction, settings)) return null;
  const { id, source, source_line: line } = instruction;
  const by = judgeOf(instruction, settings);
  return (
    `${source}:${line}: ${oneLine(JSON.stringify(id), 80)} wants a model's votes (judge_by: ${by}), and no judge is ` +
    'configured; give models.judge a url and a model in the config, or the instruction judge_by: code.'
  );
}

/** The record's bytes, or a sentence if it is no record that the topic takes, such as one that is too large. */
function encoded(instruction: Instruction, serde: Serde): Uint8Array | string {
  try {
    return serde.encode(topics.instructions, instruction);
  } catch (error) {
    if (!(error instanceof PermanentError)) throw error;
    return `${instruction.source}:${instruction.source_line}: ${error.message}; shorten it.`;
  }
}

/** Four characters a token is less than tokenizers make of it: only what is surely too long is refused. */
function overContext(
  { source, source_line: line, messages }: Instruction,
  contextTokens: number | null,
): string | null {
  const tokens = estimatedTokens(messages.map(({ content }) => content));
  if (contextTokens === null || tokens <= contextTokens) return null;
  return `${source}:${line}: about ${tokens} tokens, over the model's context of ${contextTokens}; shorten it.`;
}

/** True if the iteration has it; false if it is new to it; a sentence if the pipeline knows the id by other content. */
async function knownAs(
  instruction: Instruction,
  { log, serde, pipeline, iteration }: AdmitOptions,
): Promise<boolean | string> {
  const records = await log.ofKey(nameOnLog(pipeline, topics.instructions), instruction.id, {
    partition: partitionOf(instruction.id, log.partitions),
  });
  for (const record of records) {
    const before = await rowIn({ serde }, topics.instructions, record);
    // What others wrote and nobody can read will be a dead letter, and keeps nothing out.
    if (!before) continue;
    if (contentDigest(before) !== contentDigest(instruction)) {
      return (
        `${instruction.source}:${instruction.source_line}: the pipeline has the id ` +
        `${oneLine(JSON.stringify(instruction.id), 80)} with other content, from ` +
        `${before.source}:${before.source_line}; give it another id.`
      );
    }
    const of = iterationOf(record);
    // What names no iteration is for all of them.
    if (of === iteration || of === null) return true;
  }
  return false;
}
