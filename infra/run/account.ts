import type { Tally } from './tally.ts';

/** What a pair has cost, and what each switch of `lean`, and code as a judge, saved. */
export interface Account {
  /** All that was asked, unusable and unfinished work included, over the pairs there are; null before the first. */
  readonly perPair: {
    readonly calls: number;
    readonly generations: number;
    readonly tokens: number;
    /** Null without a price. */
    readonly cost: number | null;
  } | null;
  readonly saved: Readonly<
    Record<'responses' | 'lazyVotes' | 'earlyVotes' | 'codeVotes' | 'children', Saved>
  > & {
    /** How far they had got, only the server knows. */
    readonly cancelledCalls: number;
  };
}

export interface Saved {
  /** Exactly: responses not sampled, votes not cast, children not refined. */
  readonly count: number;
  /** About how many tokens they would have taken, by the means of this iteration; null where it has none. */
  readonly estimatedTokens: number | null;
}

/** What has been asked, as the journals of this machine have it. */
interface Asked {
  readonly modelCalls: Readonly<Record<string, number>>;
  readonly generations: Readonly<Record<'sample' | 'judge' | 'refine', number>>;
  readonly tokens: Tokens & {
    readonly byPurpose: Readonly<Record<'sample' | 'judge' | 'refine', Tokens>>;
  };
  readonly cost: number | null;
}

interface Tokens {
  readonly prompt: number;
  readonly completion: number;
}

/**
 * @param votes on a text, if all are cast: what a child that was not refined would have had in `faithful`
 */
export function accountOf(
  { outcomes, saved, spend }: Pick<Tally, 'outcomes' | 'saved' | 'spend'>,
  { modelCalls, generations, tokens, cost }: Asked,
  votes: number,
): Account {
  const pairs = outcomes.paired;
  const sum = (counts: Readonly<Record<string, number>>) =>
    Object.values(counts).reduce((all, count) => all + count, 0);
  // Where this machine has no journal of it, outcomes tell.
  const asked =
    sum(modelCalls) > 0
      ? {
          calls: sum(modelCalls),
          generations: sum(generations),
          tokens: tokens.prompt + tokens.completion,
          cost,
        }
      : {
          calls: spend.calls,
          generations: spend.generations,
          tokens: spend.prompt_tokens + spend.completion_tokens,
          cost: spend.cost,
        };
  const { sample, judge, refine } = tokens.byPurpose;
  const mean = (all: number, of: number) => (of > 0 ? all / of : null);
  const perVote = mean(judge.prompt + judge.completion, generations.judge);
  const perRefinement = mean(refine.prompt + refine.completion, generations.refine);
  return {
    perPair:
      pairs === 0
        ? null
        : {
            calls: asked.calls / pairs,
            generations: asked.generations / pairs,
            tokens: asked.tokens / pairs,
            cost: asked.cost === null ? null : asked.cost / pairs,
          },
    saved: {
      // Drawn together, they would have shared one prompt.
      responses: savedOf(saved.saved_responses, mean(sample.completion, generations.sample)),
      lazyVotes: savedOf(saved.saved_lazy_votes, perVote),
      // The others of the round have sent the prompt all the same.
      earlyVotes: savedOf(saved.saved_early_votes, mean(judge.completion, generations.judge)),
      codeVotes: savedOf(saved.saved_code_votes, perVote),
      children: savedOf(
        saved.saved_children,
        perVote === null || perRefinement === null ? null : perRefinement + votes * perVote,
      ),
      cancelledCalls: saved.cancelled_calls,
    },
  };
}

const savedOf = (count: number, tokensEach: number | null): Saved => ({
  count,
  estimatedTokens: tokensEach === null ? null : Math.round(count * tokensEach),
});
