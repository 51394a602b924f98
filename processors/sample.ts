import type { Instruction, Response, Responses } from '../schemas/records.ts';
import type { Choice, Context, Processor, Table } from './processor.ts';
import { fullId } from './rules/ids.ts';
import { splitReasoning } from './rules/reasoning.ts';
import { noSpend } from './rules/spend.ts';

/**
 * Samples responses to an instruction, once per id: a file that is read twice costs nothing the second time.
 * Responses that the source brought along are taken instead, and nothing is asked.
 */
export const sample: Processor<
  Instruction,
  { responses: Responses },
  { responses: Table<Responses> }
> = async (record, context) => {
  const { settings, tables } = context;
  const id = fullId(settings.iteration, record.id);
  if (await tables.responses.find(id)) return {};
  const given = record.responses.length > 0;
  const { choices, spend } = given
    ? { choices: record.responses.map(broughtAlong), spend: noSpend }
    : await draw(record, context);
  const { messages, constraints, source, extra } = record;
  return {
    responses: [
      {
        id,
        iteration: settings.iteration,
        instruction_id: record.id,
        messages,
        constraints,
        source,
        extra,
        responses: choices.map(toResponse),
        given,
        // Whoever wrote responses that were brought along, it was not our actor.
        actor_model: given ? '' : settings.models.actor,
        ...spend,
      },
    ],
  };
};

const draw = ({ messages }: Instruction, { model, settings, signal }: Context) =>
  model.ask(
    {
      role: 'actor',
      messages,
      sampling: settings.sample,
      draws: { path: 's', round: 0, attempt: 0, count: settings.sample.responses },
    },
    signal,
  );

const broughtAlong = (content: string): Choice => ({
  ...splitReasoning(content),
  finish_reason: 'given',
});

const toResponse = ({ text, reasoning, finish_reason }: Choice, index: number): Response => ({
  index,
  text: text.trim(),
  reasoning,
  finish_reason,
});
