import type { Savings } from '../../schemas/records.ts';

/** Nothing saved, as in `faithful`. */
export const noSavings: Savings = {
  saved_responses: 0,
  saved_lazy_votes: 0,
  saved_early_votes: 0,
  saved_code_votes: 0,
  saved_children: 0,
  cancelled_calls: 0,
};

export const addSavings = (one: Savings, other: Savings): Savings => ({
  saved_responses: one.saved_responses + other.saved_responses,
  saved_lazy_votes: one.saved_lazy_votes + other.saved_lazy_votes,
  saved_early_votes: one.saved_early_votes + other.saved_early_votes,
  saved_code_votes: one.saved_code_votes + other.saved_code_votes,
  saved_children: one.saved_children + other.saved_children,
  cancelled_calls: one.cancelled_calls + other.cancelled_calls,
});

/** What a record has saved so far, and what its next step adds. */
export const savingsWith = (record: Savings, added: Partial<Savings>): Savings =>
  addSavings(record, { ...noSavings, ...added });

/** The savings of a record that carries some, and nothing else of it. */
export const savingsOf = (record: Savings): Savings => addSavings(noSavings, record);
