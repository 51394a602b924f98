import type { Spend } from '../../schemas/records.ts';

/** Nothing asked yet. A cost of null means that no price is known, and nothing may be claimed. */
export const noSpend: Spend = {
  calls: 0,
  generations: 0,
  prompt_tokens: 0,
  completion_tokens: 0,
  tokens_estimated: false,
  cost: null,
};

/** Both together. A known cost survives an unknown one: the sum is what we know of. */
export function addSpend(one: Spend, other: Spend): Spend {
  return {
    calls: one.calls + other.calls,
    generations: one.generations + other.generations,
    prompt_tokens: one.prompt_tokens + other.prompt_tokens,
    completion_tokens: one.completion_tokens + other.completion_tokens,
    tokens_estimated: one.tokens_estimated || other.tokens_estimated,
    cost: one.cost === null ? other.cost : one.cost + (other.cost ?? 0),
  };
}

/** What has been spent on a record so far, together with what several calls added. */
export const spendWith = (record: Spend, added: readonly Spend[]): Spend =>
  added.reduce(addSpend, spendOf(record));

/** The spend of a record that carries one, and nothing else of it. */
export const spendOf = (record: Spend): Spend => addSpend(noSpend, record);
