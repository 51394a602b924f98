import { createHash } from 'node:crypto';
import type { Model, ModelRequest } from '../../processors/processor.ts';
import { checksOn, satisfiedShare } from '../../processors/rules/code.ts';
import type { Constraint, Instruction } from '../../schemas/records.ts';
import { languageOf } from '../../infra/constraints/language.ts';
import { aimedAt } from '../oracle/cases.ts';
import { Chance } from '../oracle/chance.ts';
import { critique, refined, spendOn } from './script.ts';

/**
 * A model for one instruction whose refinements repair one constraint at a time, where it finds a way that breaks no
 * other. Its responses keep to none on purpose. As a judge it is right about the constraints nine times of ten.
 */
export function repairingModel(
  { id, constraints }: Pick<Instruction, 'id' | 'constraints'>,
  seed: number,
): { readonly model: Model; readonly votes: () => number } {
  let votes = 0;
  const say = ({ role, messages }: ModelRequest, name: string): string => {
    const chance = new Chance(numberOf(`${seed}/${id}/${name}`));
    if (role === 'actor') return plain;
    const text = shownIn(messages[0]?.content ?? '');
    if (role === 'refiner') return refined(repaired(text, constraints, chance));
    votes++;
    const isGood = satisfiedShare(checksOn(text, constraints, languageOf)) === 1;
    return critique(isGood === chance.happens(0.9) ? 'y' : 'n', `${name}\n`);
  };
  const model: Model = {
    ask: (request) => {
      const { path, round, attempt, count } = request.draws;
      return Promise.resolve({
        choices: Array.from({ length: count }, (_, index) => ({
          text: say(request, [request.role, path, round, attempt, index].join(' ')),
          reasoning: null,
          finish_reason: 'stop',
        })),
        spend: spendOn(count),
      });
    },
  };
  return { model, votes: () => votes };
}

/** The text with the first broken constraint mended for which that works. */
function repaired(text: string, constraints: readonly Constraint[], chance: Chance): string {
  const isMet = (one: string) =>
    checksOn(one, constraints, languageOf).map(({ outcome }) => outcome === 'satisfied');
  const before = isMet(text);
  for (const [index, { id, arguments: inputs }] of constraints.entries()) {
    if (before[index]) continue;
    const kwargs = JSON.parse(inputs) as Readonly<Record<string, unknown>>;
    for (let attempt = 0; attempt < 8; attempt++) {
      const mended = aimedAt(chance, text, { id, kwargs }).trim();
      const after = isMet(mended);
      if (after[index] && before.every((met, at) => !met || after[at])) return mended;
    }
  }
  return text;
}

/** What the judge prompt shows as the response. */
function shownIn(prompt: string): string {
  const from = prompt.indexOf('<response>\n') + '<response>\n'.length;
  return prompt.slice(from, prompt.lastIndexOf('\n</response>'));
}

const plain = 'well, THE sea is wide, and nobody knows how far it goes';

const numberOf = (text: string): number =>
  createHash('sha256').update(text).digest().readUInt32BE(0);
