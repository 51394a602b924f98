import type { Settings } from '../../processors/settings.ts';
import { judgePrompt } from '../../processors/rules/prompts.ts';
import { isCheckable, judgeOf } from '../../processors/rules/code.ts';
import { isDecided } from '../../processors/rules/vote.ts';
import { firstResponses } from '../../processors/sampling.ts';
import type { Config } from '../config/schema.ts';
import { roles, type ResolvedEndpoint, type RoleEndpoints } from '../config/settings.ts';
import { readInstructions, type InputOptions } from '../input/read.ts';
import { openSeen } from '../input/seen.ts';
import type { Source } from '../input/source.ts';
import { estimatedTokens } from '../model/gateway.ts';
import type { Role } from '../../processors/processor.ts';
import { withoutJudge } from './admit.ts';

/** What a run would ask, between the least (no response fails) and the most (every tree is searched to its end). */
export interface Plan {
  readonly instructions: number;
  readonly duplicates: number;
  readonly rejected: readonly string[];
  /** Generations by purpose. */
  readonly generations: Readonly<Record<'sample' | 'judge' | 'refine', Range>>;
  /** Estimates: prompts by characters / 4, answers as long as they may get. */
  readonly tokens: { readonly prompt: Range; readonly completion: Range };
  /** By the price table; null without one. */
  readonly cost: Range | null;
  /**
   * Instructions that the budget does for: from all with a tree that is searched to its end, to none with a tree. Null
   * without a budget.
   */
  readonly withinBudget: Range | null;
}

export interface Range {
  readonly least: number;
  readonly most: number;
}

/** What the plan assumes of a response's length, tokens: a page, where the most is what `max_tokens` allows. */
const usualAnswerTokens = 400;

/** And of an instruction's, tokens: two or three sentences. */
const usualInstructionTokens = 100;

/**
 * What one instruction comes to if its trees are searched to their end and every answer is as long as usual: what a
 * budget reckons with before it has seen any. Most come to less.
 */
export function usualSpend(
  { sample, judge, search, prompts, negatives_per_instruction }: Settings,
  endpoints: Readonly<Partial<Record<Role, Pick<ResolvedEndpoint, 'price'>>>>,
): { readonly tokens: number; readonly cost: number } {
  const nodes = Math.min(negatives_per_instruction, sample.responses) * nodesMax(search);
  // What code judges costs nothing; instructions that ask for votes all the same are the exception.
  const judged = judge.by === 'code' ? 0 : sample.responses + nodes;
  const judgePromptTokens =
    textTokens(judgePrompt(prompts, [], '')) + usualInstructionTokens + usualAnswerTokens;
  const of: Readonly<Record<Role, { readonly prompt: number; readonly completion: number }>> = {
    actor: {
      prompt: usualInstructionTokens,
      completion: sample.responses * usualAnswerTokens,
    },
    judge: {
      prompt: judged * judgePromptTokens,
      completion: judged * judge.votes * usualAnswerTokens,
    },
    refiner: {
      prompt: nodes * (judgePromptTokens + 2 * usualAnswerTokens),
      completion: nodes * usualAnswerTokens,
    },
  };
  let [tokens, cost] = [0, 0];
  for (const role of roles) {
    const { prompt, completion } = of[role];
    const price = endpoints[role]?.price ?? null;
    tokens += prompt + completion;
    if (price) cost += (prompt * price.prompt + completion * price.completion) / 1_000_000;
  }
  return { tokens, cost };
}

/** Reads the whole source and asks nobody. */
export async function plan(
  source: Source,
  { format, limit }: { readonly format: InputOptions['format']; readonly limit?: number },
  config: Config,
  settings: Settings,
  endpoints: RoleEndpoints,
): Promise<Plan> {
  const seen = openSeen();
  const rejected: string[] = [];
  let [instructions, duplicates, sampled, promptTokens, judgeTokens] = [0, 0, 0, 0, 0];
  /** Instructions that get to be refined; what votes may be asked for; and where code cannot spare them. */
  let refined = 0;
  const voted = { instructions: 0, texts: 0 };
  const surely = { instructions: 0, texts: 0 };
  try {
    const items = readInstructions(source, {
      format,
      maxLineBytes: config.limits.max_line_bytes,
      seen,
    });
    for await (const item of items) {
      if (item.kind === 'rejected') rejected.push(item.message);
      else if (item.kind === 'duplicate') duplicates++;
      else {
        const refused = withoutJudge(item.instruction, settings);
        if (refused !== null) {
          rejected.push(refused);
          continue;
        }
        const { messages, responses, constraints } = item.instruction;
        const by = judgeOf(item.instruction, settings);
        instructions++;
        const byCode = isCheckable(constraints);
        // It fails before anything is asked, but it is one of those that are taken.
        if (by !== 'code' || byCode) {
          refined++;
          const texts = responses.length > 0 ? responses.length : settings.sample.responses;
          if (by !== 'code') add(voted, texts);
          if (by === 'model' || (by === 'both' && !byCode)) add(surely, texts);
          promptTokens += responses.length > 0 ? 0 : textTokens(messages);
          judgeTokens += textTokens(judgePrompt(settings.prompts, messages, ''));
          sampled += responses.length > 0 ? 0 : settings.sample.responses;
        }
        if (limit !== undefined && instructions >= limit) break;
      }
    }
  } finally {
    seen.close();
  }
  const { judge, refine, sample, search } = settings;
  const treeNodes = settings.negatives_per_instruction * nodesMax(search);
  const nodes = refined * treeNodes;
  // A lazy judge may find what it wants at once, and votes may agree as soon as the first ones do.
  const votesLeast = leastVotes(judge);
  const textsLeast = judge.lazy
    ? Math.min(surely.texts, surely.instructions * settings.negatives_per_instruction)
    : surely.texts;
  const sampledLeast = sampled === 0 ? 0 : (sampled / sample.responses) * firstResponses(settings);
  const generations = {
    sample: { least: sampledLeast, most: sampled },
    judge: {
      least: textsLeast * votesLeast,
      most: (voted.texts + voted.instructions * treeNodes * judge.rounds) * judge.votes,
    },
    refine: { least: 0, most: nodes * refine.tries * refine.calls_per_try },
  };
  const perJudgePrompt = refined > 0 ? judgeTokens / refined + usualAnswerTokens : 0;
  const prompt = {
    // One call brings all choices of a prompt where the endpoint honours n.
    least: Math.round(promptTokens + textsLeast * perJudgePrompt),
    most: Math.round(
      promptTokens * settings.sample.responses +
        generations.judge.most * perJudgePrompt +
        generations.refine.most * (perJudgePrompt + usualAnswerTokens),
    ),
  };
  const completion = {
    least: (generations.sample.least + generations.judge.least) * usualAnswerTokens,
    most:
      generations.sample.most * settings.sample.max_tokens +
      generations.judge.most * judge.max_tokens +
      generations.refine.most * refine.max_tokens,
  };
  const cost = costOf((endpoints.judge ?? endpoints.refiner).price, prompt, completion);
  return {
    instructions,
    duplicates,
    rejected,
    generations,
    tokens: { prompt, completion },
    cost,
    withinBudget: withinBudget(
      config.budget,
      instructions,
      { tokens: prompt.least + completion.least, cost: cost?.least ?? 0 },
      usualSpend(settings, endpoints),
    ),
  };
}

/** @param least what all of them come to if no response fails @param usual what one comes to with its trees */
function withinBudget(
  { max_tokens, max_cost }: Config['budget'],
  instructions: number,
  least: { readonly tokens: number; readonly cost: number },
  usual: { readonly tokens: number; readonly cost: number },
): Range | null {
  const limits = [
    [max_tokens, least.tokens, usual.tokens],
    [max_cost, least.cost, usual.cost],
  ] as const;
  const doesFor = (limit: number, one: number) =>
    one > 0 ? Math.min(instructions, Math.floor(limit / one)) : instructions;
  const ranges = limits.flatMap(([limit, all, each]) =>
    limit === null
      ? []
      : { least: doesFor(limit, each), most: doesFor(limit, all / Math.max(1, instructions)) },
  );
  if (ranges.length === 0) return null;
  const most = Math.min(...ranges.map((range) => range.most));
  // The least is of short instructions; long ones may be dearer than that without a single tree.
  return { least: Math.min(most, ...ranges.map((range) => range.least)), most };
}

const add = (to: { instructions: number; texts: number }, texts: number): void => {
  to.instructions += 1;
  to.texts += texts;
};

/** Nodes of a tree at the most: a level of `branch`, then `keep` parents each (breadth-first), or all their paths. */
function nodesMax({ strategy, branch, keep, depth, max_nodes: max }: Settings['search']): number {
  const kept = Math.min(keep, branch);
  let nodes = 0;
  for (let level = 1, parents = 1; level <= depth && nodes < max; level++) {
    nodes += parents * branch;
    parents = strategy === 'breadth-first' ? kept : parents * kept;
  }
  return Math.min(nodes, max);
}

/** If all that are cast say the same: the first ones, unless so few decide nothing. */
const leastVotes = ({ votes, first_votes: first }: Settings['judge']): number =>
  first !== null && first < votes && isDecided({ yes: 0, no: first }, votes - first, null)
    ? first
    : votes;

const textTokens = (messages: readonly { readonly content: string }[]): number =>
  estimatedTokens(messages.map(({ content }) => content));

/** At the price of the judge, whose votes are most of it, or of the refiner where nobody votes. */
function costOf(price: ResolvedEndpoint['price'], prompt: Range, completion: Range): Range | null {
  if (!price) return null;
  const of = (bound: keyof Range) =>
    (prompt[bound] * price.prompt + completion[bound] * price.completion) / 1_000_000;
  return { least: of('least'), most: of('most') };
}
