import {
  InvalidConstraint,
  type Asked,
  type Constraint,
  type Family,
  type Kwargs,
  type LanguageOf,
  type Verdict,
} from './constraint.ts';
import { isBlankText } from './text.ts';
import { variantsOf } from './variants.ts';

/** A set of constraints, such as IFEval's, that code can check. */
export interface Checker {
  /** The names of all constraints of the set. */
  readonly ids: readonly string[];
  /** What a constraint asks for, in plain words. */
  readonly describe: (constraint: Constraint) => string;
  /** Its arguments, each as it is understood. */
  readonly argumentsOf: (constraint: Constraint) => Kwargs;
  /** Whether a response keeps to a constraint: the benchmark's strict verdict. An empty response never does. */
  readonly check: (constraint: Constraint, response: string) => Verdict;
  /** Whether a response does after a well-meant look past its markdown and its first and last line. */
  readonly checkLoose: (constraint: Constraint, response: string) => Verdict;
}

/** All of them throw `InvalidConstraint` for an unknown name or a wrong argument. */
export function checkerOf(
  families: Readonly<Record<string, Family>>,
  languageOf: LanguageOf,
): Checker {
  const ask = ({ id, kwargs = {} }: Constraint): Asked => {
    const family = Object.hasOwn(families, id) ? families[id] : undefined;
    if (family === undefined) throw new InvalidConstraint(`there is no constraint ${id}`);
    return family(id, kwargs);
  };
  const verdictOn = ({ check }: Asked, response: string): Verdict =>
    isBlankText(response)
      ? { satisfied: false, detail: 'the response is empty' }
      : check(response, languageOf);
  return {
    ids: Object.keys(families),
    describe: (constraint) => ask(constraint).description,
    argumentsOf: (constraint) => ask(constraint).args,
    check: (constraint, response) => verdictOn(ask(constraint), response),
    checkLoose: (constraint, response) => {
      const asked = ask(constraint);
      const strict = verdictOn(asked, response);
      if (strict.satisfied) return strict;
      for (const { text, name } of variantsOf(response)) {
        const { satisfied, detail } = verdictOn(asked, text);
        if (satisfied) return { satisfied, detail: `${name}: ${detail}` };
      }
      return strict;
    },
  };
}

/** The constraints of a row of IFEval's data: names and arguments stand in two lists, side by side. */
export function constraintsOf(row: {
  readonly instruction_id_list: readonly string[];
  readonly kwargs: readonly Constraint['kwargs'][];
}): readonly Constraint[] {
  const { instruction_id_list: ids, kwargs } = row;
  if (ids.length !== kwargs.length) {
    throw new InvalidConstraint(`${ids.length} names of constraints have ${kwargs.length} kwargs`);
  }
  return ids.map((id, index) => ({ id, kwargs: kwargs[index] ?? {} }));
}
