import type { Message, Spend, Vote } from '../schemas/records.ts';
import type { Context } from './processor.ts';
import type { Sampling } from './settings.ts';
import { judgePrompt } from './rules/prompts.ts';
import { voteOf } from './rules/vote.ts';

/** One round of votes on a text. `path` says whose text it is, unique within the stage and instruction. */
export async function votesOn(
  text: string,
  { messages }: { readonly messages: readonly Message[] },
  draws: { readonly path: string; readonly round: number },
  sampling: Sampling,
  { model, settings, signal }: Pick<Context, 'model' | 'settings' | 'signal'>,
): Promise<{ readonly votes: readonly Vote[]; readonly spend: Spend }> {
  const { choices, spend } = await model.ask(
    {
      role: 'judge',
      messages: judgePrompt(settings.prompts, messages, text),
      sampling,
      draws: { ...draws, attempt: 0, count: settings.judge.votes },
    },
    signal,
  );
  return { votes: choices.map(voteOf), spend };
}
