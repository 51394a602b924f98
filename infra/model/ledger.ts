import type { Spend } from '../../schemas/records.ts';
import type { Journal, JournalEntry } from '../journal/journal.ts';
import type { Purpose } from './endpoint.ts';

/**
 * What the models were asked and what it cost: for the iteration (kept in the journal, so it outlives a crash)
 * and for this process.
 *
 * Counter names: `calls.<purpose>`, `generations.<purpose>`, `tokens.prompt`, `tokens.completion`, the same two for
 * each purpose (`tokens.judge.prompt`), `tokens.estimated` (calls whose usage is a guess), `cost`, `retries.<reason>`,
 * `cancelled.<purpose>` (calls that were broken off, or not sent, since nobody wanted the answer any more).
 */
export interface Ledger {
  count(iteration: string, counters: Readonly<Record<string, number>>): void;
  /** Journals the answer together with its counters; resolves when both are durable. */
  answered(
    iteration: string,
    purpose: Purpose,
    entries: readonly (JournalEntry & { readonly id: string })[],
    spend: Spend,
    /** Above 0 if an earlier answer could not be used. */
    attempt: number,
  ): Promise<void>;
  /** A request left; returns what to call when it is over. */
  sent(purpose: Purpose, places: number): () => void;
  /** Generations in flight now. */
  readonly inFlight: Readonly<Record<Purpose, number>>;
  readonly thisRun: Readonly<Record<string, number>>;
  total(iteration: string): Readonly<Record<string, number>>;
}

export function createLedger(journal: Journal): Ledger {
  const thisRun: Record<string, number> = {};
  const inFlight = { probe: 0, sample: 0, judge: 0, refine: 0 };
  const note = (counters: Readonly<Record<string, number>>) => {
    for (const [name, value] of Object.entries(counters)) {
      thisRun[name] = (thisRun[name] ?? 0) + value;
    }
  };
  return {
    inFlight,
    thisRun,
    count(iteration, counters) {
      note(counters);
      journal.count(iteration, counters);
    },
    async answered(iteration, purpose, entries, spend, attempt) {
      const counters = {
        [`calls.${purpose}`]: spend.calls,
        [`generations.${purpose}`]: spend.generations,
        'tokens.prompt': spend.prompt_tokens,
        'tokens.completion': spend.completion_tokens,
        [`tokens.${purpose}.prompt`]: spend.prompt_tokens,
        [`tokens.${purpose}.completion`]: spend.completion_tokens,
        ...(spend.tokens_estimated && { 'tokens.estimated': spend.calls }),
        ...(attempt > 0 && { 'retries.unusable': 1 }),
        ...(spend.cost !== null && { cost: spend.cost }),
      };
      note(counters);
      await journal.put(iteration, entries, counters);
    },
    sent(purpose, places) {
      inFlight[purpose] += places;
      return () => (inFlight[purpose] -= places);
    },
    total: (iteration) => journal.counters(iteration),
  };
}
