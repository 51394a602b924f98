import type { Candidate, Evaluation, Expansion, Spend } from '../schemas/records.ts';
import type { Context, Processor } from './processor.ts';
import { refinePrompt } from './rules/prompts.ts';
import { refinementIn } from './rules/refinement.ts';
import { addSpend, noSpend, spendWith } from './rules/spend.ts';
import { placesIn, type Place } from './rules/tree.ts';

/** Refines a tree's frontier: every new child at once, each until an answer holds a refinement or tries run out. */
export const expand: Processor<Expansion, { evaluate: Evaluation }> = async (record, context) => {
  const children = await Promise.all(
    placesIn(record, context.settings.search).map((place) => refine(record, place, context)),
  );
  const candidates = children.map(({ candidate }) => candidate);
  const spend = spendWith(
    record,
    children.map(({ spend: asked }) => asked),
  );
  return { evaluate: [{ ...record, candidates, ...spend }] };
};

/** A child has `tries` of `calls_per_try` calls: no mark uses up a call, nothing between the marks ends the try. */
async function refine(
  { messages, tree }: Expansion,
  { parent, ...place }: Place,
  { model, settings, signal }: Context,
): Promise<{ readonly candidate: Candidate; readonly spend: Spend }> {
  const prompt = refinePrompt(settings.prompts, messages, parent);
  const path = `${tree}/${place.node_id}`;
  let spend = noSpend;
  let child: Candidate = { ...place, text: null, answer: '', reasoning: null, calls: 0 };
  for (let tries = 0; tries < settings.refine.tries; tries++) {
    for (let calls = 0; calls < settings.refine.calls_per_try; calls++) {
      const answer = await model.ask(
        {
          role: 'refiner',
          messages: prompt,
          sampling: settings.refine,
          draws: { path, round: 0, attempt: child.calls, count: 1 },
        },
        signal,
      );
      spend = addSpend(spend, answer.spend);
      const [choice] = answer.choices;
      if (!choice) throw new Error(`the model port gave no answer for ${path}`);
      const text = refinementIn(choice.text);
      const { text: whole, reasoning } = choice;
      child = {
        ...place,
        text: text === '' ? null : text,
        answer: whole,
        reasoning,
        calls: child.calls + 1,
      };
      if (text) return { candidate: child, spend };
      if (text === '') break;
    }
  }
  return { candidate: child, spend };
}
