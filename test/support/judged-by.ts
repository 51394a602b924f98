import { languageOf } from '../../infra/constraints/language.ts';
import { checksOn } from '../../processors/rules/code.ts';
import type { Constraint, Instruction, JudgeBy } from '../../schemas/records.ts';
import { dataflow } from '../../topology/dataflow.ts';
import { topics } from '../../topology/topics.ts';
import { drive } from './drive.ts';
import { repairingModel } from './repairing-model.ts';
import { settingsWith } from './script.ts';

/** What came of instructions: how many pairs, and of their chosen sides those that break something. */
export interface JudgedBy {
  readonly by: JudgeBy;
  readonly instructions: number;
  readonly pairs: number;
  readonly chosenBreakingSomething: number;
  readonly votes: number;
  readonly savedByCode: number;
  readonly exhausted: number;
}

/** The chosen side of a pair, with what was asked for. */
export interface ChosenSide {
  readonly prompt: string;
  readonly constraints: readonly Constraint[];
  readonly response: string;
}

/** Each instruction through the dataflow by itself, with the model that repairs one constraint at a time. */
export async function judgedBy(
  by: JudgeBy,
  instructions: readonly Instruction[],
  seed: number,
): Promise<{ readonly figures: JudgedBy; readonly chosen: readonly ChosenSide[] }> {
  const settings = settingsWith({ judge: { by }, seed });
  const sums = { pairs: 0, chosenBreakingSomething: 0, votes: 0, savedByCode: 0, exhausted: 0 };
  const sides: ChosenSide[] = [];
  for (const instruction of instructions) {
    const { model, votes } = repairingModel(instruction, seed);
    const { of } = await drive(dataflow, topics.instructions, [instruction], { settings, model });
    for (const { chosen, constraints } of of(topics.pairs)) {
      sums.pairs += 1;
      const prompt = instruction.messages.at(-1)?.content ?? '';
      sides.push({ prompt, constraints, response: chosen });
      const checks = checksOn(chosen, constraints, languageOf);
      if (checks.some(({ outcome }) => outcome === 'broken')) sums.chosenBreakingSomething += 1;
    }
    for (const { outcome, saved_code_votes } of of(topics.outcomes)) {
      sums.savedByCode += saved_code_votes;
      if (outcome === 'exhausted') sums.exhausted += 1;
    }
    sums.votes += votes();
  }
  return { figures: { by, instructions: instructions.length, ...sums }, chosen: sides };
}
