import type { Message, Response, Spend } from '../schemas/records.ts';
import type { Choice, Context } from './processor.ts';
import type { Settings } from './settings.ts';

/** How many responses are sampled before any is judged. */
export const firstResponses = ({
  sample,
  judge,
}: {
  readonly sample: Pick<Settings['sample'], 'responses' | 'first'>;
  readonly judge: Pick<Settings['judge'], 'lazy'>;
}): number =>
  judge.lazy ? Math.min(sample.first ?? sample.responses, sample.responses) : sample.responses;

/** Draws `count` responses; the first of them is number `from`. */
export async function sampled(
  { messages }: { readonly messages: readonly Message[] },
  { from, count }: { readonly from: number; readonly count: number },
  { model, settings, signal }: Pick<Context, 'model' | 'settings' | 'signal'>,
): Promise<{ readonly responses: readonly Response[]; readonly spend: Spend }> {
  const { choices, spend } = await model.ask(
    {
      role: 'actor',
      messages,
      sampling: settings.sample,
      draws: { path: from === 0 ? 's' : `s/${from}`, round: 0, attempt: 0, count },
    },
    signal,
  );
  return { responses: choices.map((choice, index) => toResponse(choice, from + index)), spend };
}

export const toResponse = (
  { text, reasoning, finish_reason }: Choice,
  index: number,
): Response => ({
  index,
  text: text.trim(),
  reasoning,
  finish_reason,
});
