/** A constraint as the data of IFEval has it: an entry of `instruction_id_list` with its entry of `kwargs`. */
export interface Constraint {
  readonly id: string;
  readonly kwargs?: Kwargs;
}

export type Kwargs = Readonly<Record<string, unknown>>;

/** Whether a response keeps to a constraint, and what was found in it: `3 commas; none allowed`. */
export interface Verdict {
  readonly satisfied: boolean;
  readonly detail: string;
}

/** The language of a text by its ISO 639-1 code; null if it cannot be told. Comes in from outside. */
export type LanguageOf = (text: string) => string | null;

/** A constraint with its arguments read: what it asks for, in plain words, and the check. */
export interface Asked {
  /** What is missing has its usual value here. */
  readonly args: Kwargs;
  readonly description: string;
  readonly check: (response: string, languageOf: LanguageOf) => Verdict;
}

/** A kind of constraint: reads the arguments of one, or says which of them is wrong. */
export type Family = (id: string, kwargs: Kwargs) => Asked;

/** A constraint that nobody can check: an unknown name, or an argument that is missing or wrong. */
export class InvalidConstraint extends Error {
  override readonly name = 'InvalidConstraint';
}

/** One argument: what it has to be, its value if it is that, and what it is when it is missing. */
export interface Argument<Value> {
  readonly expected: string;
  readonly read: (given: unknown) => Value | null;
  readonly missing: Value | null;
}

interface Rules<Args> {
  readonly describe: (args: Args) => string;
  readonly check: (response: string, args: Args, languageOf: LanguageOf) => Verdict;
}

/** A family of constraints by its arguments and its rules. */
export const family =
  <Args extends object>(
    expected: { readonly [Name in keyof Args]: Argument<Args[Name]> },
    { describe, check }: Rules<Args>,
  ): Family =>
  (id, kwargs) => {
    const args = readArguments(id, expected, kwargs);
    // Each was read by the argument of its name.
    const own = args as Args;
    return {
      args,
      description: describe(own),
      check: (response, languageOf) => check(response, own, languageOf),
    };
  };

/** Null is missing: published data names all arguments of all families, and has null for those that do not apply. */
function readArguments(
  id: string,
  expected: Readonly<Record<string, Argument<unknown>>>,
  kwargs: Kwargs,
): Record<string, unknown> {
  const names = Object.keys(expected);
  for (const [name, value] of Object.entries(kwargs)) {
    if (value === null || value === undefined || Object.hasOwn(expected, name)) continue;
    const known = names.length === 0 ? 'none' : `only ${names.join(', ')}`;
    throw new InvalidConstraint(`${id}: there is no argument ${name}; it takes ${known}`);
  }
  return Object.fromEntries(
    Object.entries(expected).map(([name, argument]) => [
      name,
      readArgument(id, name, argument, kwargs[name] ?? null),
    ]),
  );
}

function readArgument(
  id: string,
  name: string,
  { expected, read, missing }: Argument<unknown>,
  given: unknown,
): unknown {
  const value = given === null ? missing : read(given);
  if (value !== null) return value;
  const came = given === null ? 'is missing' : `is ${JSON.stringify(given)}`;
  throw new InvalidConstraint(`${id}: the argument ${name} has to be ${expected}, but ${came}`);
}
