import type { Message, Spend, Vote } from '../schemas/records.ts';
import { Cancelled, type Context } from './processor.ts';
import type { Sampling } from './settings.ts';
import { neutralised } from './rules/neutral.ts';
import { judgePrompt } from './rules/prompts.ts';
import { count, isDecided, voteOf } from './rules/vote.ts';

interface Votes {
  readonly votes: readonly Vote[];
  readonly spend: Spend;
  /** Whether the rest of them were broken off: these decide nothing, but have been paid for. */
  readonly isCut?: true;
}

/**
 * One round of votes on a text: all at once; or some first, and the rest only if it could change the decision.
 *
 * @param draws `path` says whose text it is, unique within the stage and instruction
 * @param gate what the share of yes is compared with; the majority alone counts where there is none
 */
export async function votesOn(
  text: string,
  { messages }: { readonly messages: readonly Message[] },
  draws: { readonly path: string; readonly round: number },
  sampling: Sampling,
  { model, settings, signal }: Pick<Context, 'model' | 'settings' | 'signal'>,
  gate: number | null = null,
): Promise<Votes> {
  const { votes: all, first_votes: first, neutralise, parser } = settings.judge;
  const shown = neutralise ? neutralised(text) : text;
  const prompt = judgePrompt(settings.prompts, messages, shown);
  const ask = async (votes: number) => {
    const { choices, spend } = await model.ask(
      {
        role: 'judge',
        messages: prompt,
        sampling,
        draws: { ...draws, attempt: 0, count: votes },
      },
      signal,
    );
    return { votes: choices.map((choice) => voteOf(choice, parser)), spend };
  };
  if (first === null || first >= all) return ask(all);
  const begun = await ask(first);
  if (isDecided(count(begun.votes), all - first, gate)) return begun;
  try {
    // Asked for all of them, the model has the first ones already, and what is spent covers both questions.
    return await ask(all);
  } catch (error) {
    if (error instanceof Cancelled) return { ...begun, isCut: true };
    throw error;
  }
}
