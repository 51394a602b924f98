import { setImmediate as turn } from 'node:timers/promises';
import { fullId } from '../../processors/rules/ids.ts';
import { addSavings, noSavings, savingsOf } from '../../processors/rules/savings.ts';
import { addSpend, noSpend, spendOf } from '../../processors/rules/spend.ts';
import type { Outcome, Savings, Spend } from '../../schemas/records.ts';
import { nameOnLog } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { rowIn } from '../codec/rows.ts';
import type { Serde } from '../codec/serde.ts';
import { openSeen } from '../input/seen.ts';
import type { Log, LogRecord } from '../log/log.ts';
import { iterationOf } from '../runtime/headers.ts';

/** How an iteration stands, counted from its topics. */
export interface Tally {
  readonly admitted: number;
  readonly outcomes: Readonly<Record<Outcome['outcome'], number>>;
  /** Instructions that ended: without a tree, or with all of their trees. */
  readonly ended: number;
  readonly deadLetters: number;
  /** What was spent on all that has ended. */
  readonly spend: Spend;
  /** What was not asked for it. */
  readonly saved: Savings;
}

export interface TallyReader {
  /** Reads on from where it was and returns how things stand now. */
  refresh(): Promise<Tally>;
  close(): void;
}

const page = { records: 250, bytes: 8 * 1024 * 1024 };

/** Counts by following the topics: each record is read once, whatever the number of refreshes. */
export function createTallyReader(
  log: Log,
  serde: Serde,
  pipeline: string,
  iteration: string,
  /** Told of every outcome as it is read. */
  onOutcome: (outcome: Outcome) => void = () => undefined,
): TallyReader {
  const outcomes: Record<Outcome['outcome'], number> = {
    'all-passed': 0,
    undecided: 0,
    paired: 0,
    exhausted: 0,
    failed: 0,
    stopped: 0,
  };
  /** Instructions that failed as a whole and have trees since they were retried: no more than dead letters. */
  const superseded = new Set<string>();
  let admitted = 0;
  let ended = 0;
  let deadLetters = 0;
  let spend = noSpend;
  let saved = noSavings;
  /** One may be there for this iteration and for all, be retried, be moved to the tail, or be written twice by others. */
  const seen = openSeen();

  const admit = async (record: LogRecord): Promise<void> => {
    const id = await idIn(record, serde);
    if (id !== null && seen.add(id, record.offset, '') === null) admitted++;
  };

  const count = async (record: LogRecord): Promise<void> => {
    const outcome = await rowIn({ serde }, topics.outcomes, record);
    if (!outcome) return;
    onOutcome(outcome);
    outcomes[outcome.outcome]++;
    spend = addSpend(spend, spendOf(outcome));
    saved = addSavings(saved, savingsOf(outcome));
    // An instruction with k trees has ended when k outcomes are there: each is one k-th of it.
    ended += outcome.trees > 1 ? 1 / outcome.trees : 1;
    if (outcome.revision === 0) return;
    // A retried dead letter: what it ended with before no longer counts.
    for (const id of replacedBy(outcome)) {
      const before = superseded.has(id) ? null : await previousOf(log, serde, record, id);
      if (!before) continue;
      if (id !== outcome.id) superseded.add(id);
      outcomes[before.outcome]--;
      spend = lessSpend(spend, spendOf(before));
      saved = lessSavings(saved, before);
      ended -= before.trees > 1 ? 1 / before.trees : 1;
    }
  };
  const follow = [
    follower(log, nameOnLog(pipeline, topics.instructions), [iteration, null], admit),
    follower(log, nameOnLog(pipeline, topics.outcomes), [iteration], count),
    follower(log, nameOnLog(pipeline, topics.deadLetters), [iteration], () => {
      deadLetters++;
    }),
  ];
  return {
    async refresh() {
      for (const advance of follow) await advance();
      return {
        admitted,
        outcomes: { ...outcomes },
        ended: Math.round(ended * 1e6) / 1e6,
        deadLetters,
        spend,
        saved,
      };
    },
    close: () => seen.close(),
  };
}

/** Null for one that nobody can tell: it will have no outcome either. */
async function idIn(record: LogRecord, serde: Serde): Promise<string | null> {
  return (await rowIn({ serde }, topics.instructions, record))?.id ?? record.key;
}

/** What is left of a sum when one of its parts no longer counts. */
const lessSpend = (sum: Spend, part: Spend): Spend => ({
  calls: sum.calls - part.calls,
  generations: sum.generations - part.generations,
  prompt_tokens: sum.prompt_tokens - part.prompt_tokens,
  completion_tokens: sum.completion_tokens - part.completion_tokens,
  tokens_estimated: sum.tokens_estimated,
  cost: sum.cost === null ? null : sum.cost - (part.cost ?? 0),
});

const lessSavings = (sum: Savings, part: Savings): Savings => ({
  saved_responses: sum.saved_responses - part.saved_responses,
  saved_lazy_votes: sum.saved_lazy_votes - part.saved_lazy_votes,
  saved_early_votes: sum.saved_early_votes - part.saved_early_votes,
  saved_code_votes: sum.saved_code_votes - part.saved_code_votes,
  saved_children: sum.saved_children - part.saved_children,
  cancelled_calls: sum.cancelled_calls - part.cancelled_calls,
});

/** An instruction that failed before it had trees may have some once it is retried. */
const replacedBy = ({ id, iteration, instruction_id, tree }: Outcome): readonly string[] =>
  tree === null ? [id] : [id, fullId(iteration, instruction_id)];

async function previousOf(
  log: Log,
  serde: Serde,
  record: LogRecord,
  id: string,
): Promise<Outcome | null> {
  const earlier = (await log.ofKey(record.topic, id)).filter(
    ({ offset }) => offset < record.offset,
  );
  for (const one of earlier.toReversed()) {
    const outcome = await rowIn({ serde }, topics.outcomes, one);
    if (outcome) return outcome;
  }
  return null;
}

/** Reads a topic on from where it was, at each call, and hands over what is of the iterations. */
export function follower(
  log: Log,
  topic: string,
  iterations: readonly (string | null)[],
  count: (record: LogRecord) => void | Promise<void>,
): () => Promise<void> {
  const positions = Array.from({ length: log.partitions }, () => 0);
  return async () => {
    // As far as it goes now: whoever is at work appends as fast as this reads.
    for (const { partition, latest } of await log.ends(topic)) {
      while ((positions[partition] ?? 0) < latest) {
        const records = await log.read(topic, partition, positions[partition] ?? 0, page);
        for (const record of records) {
          if (iterations.includes(iterationOf(record))) await count(record);
        }
        const last = records.at(-1);
        if (!last) break;
        positions[partition] = last.offset + 1;
        // A log on this machine answers at once: whoever wants to work has its turn between two of a million records.
        await turn();
      }
    }
  };
}
