import type { Instruction, Response, Responses } from '../schemas/records.ts';
import { mustBeJudgeable } from './code.ts';
import type { Processor, Table } from './processor.ts';
import { fullId } from './rules/ids.ts';
import { splitReasoning } from './rules/reasoning.ts';
import { noSpend } from './rules/spend.ts';
import { firstResponses, sampled, toResponse } from './sampling.ts';

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
  mustBeJudgeable(record, context);
  const given = record.responses.length > 0;
  const { responses, spend } = given
    ? { responses: record.responses.map(broughtAlong), spend: noSpend }
    : await sampled(record, { from: 0, count: firstResponses(settings) }, context);
  const { messages, constraints, judge_by, source, extra } = record;
  return {
    responses: [
      {
        id,
        iteration: settings.iteration,
        instruction_id: record.id,
        messages,
        constraints,
        judge_by,
        source,
        extra,
        responses,
        given,
        // Whoever wrote responses that were brought along, it was not our actor.
        actor_model: given ? '' : settings.models.actor,
        ...spend,
      },
    ],
  };
};

const broughtAlong = (content: string, index: number): Response =>
  toResponse({ ...splitReasoning(content), finish_reason: 'given' }, index);
