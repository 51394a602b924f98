import { readFileSync } from 'node:fs';
import type { Choice, Model, ModelRequest } from '../../processors/processor.ts';
import type { Spend } from '../../schemas/records.ts';
import { faithful, type Prompt, type Settings } from '../../processors/settings.ts';

/**
 * What a scripted model answers, by the call that asks: `actor`, `judge 0` (a response's number), `judge 0/r.1`
 * (a tree's node), `refiner 0/r.1`; a vote that is held again ends in `#1`, a further attempt in `+1`.
 *
 * The judge's votes are spelt `y`, `n` and `?` (unreadable); everyone else says the texts themselves.
 */
export type Script = Readonly<Record<string, string | readonly string[]>>;

export interface ScriptedModel extends Model {
  /** The calls so far, in the order in which they were asked. */
  readonly calls: string[];
  readonly requests: ModelRequest[];
  /** Lines of the script that nobody asked for. */
  unasked(): readonly string[];
}

/** A model that says what the script says; a call that the script does not know fails the test. */
export function script(lines: Script): ScriptedModel {
  const calls: string[] = [];
  const requests: ModelRequest[] = [];
  return {
    calls,
    requests,
    unasked: () => Object.keys(lines).filter((name) => !calls.includes(name)),
    async ask(request) {
      const name = nameOf(request);
      calls.push(name);
      requests.push(request);
      const line = lines[name];
      if (line === undefined) throw new Error(`the script has no line for ${name}`);
      const texts =
        request.role === 'judge' && typeof line === 'string'
          ? Array.from(line, (letter, index) => critique(letter, `${name} vote ${index}`))
          : [line].flat();
      if (texts.length !== request.draws.count) {
        throw new Error(`${name} asks for ${request.draws.count}, the script has ${texts.length}`);
      }
      // Answers arrive later than they are asked for, as from any model.
      await Promise.resolve();
      return { choices: texts.map(said), spend: spendOn(texts.length) };
    },
  };
}

/** What one scripted call costs: easy to add up. */
export const spendOn = (generations: number): Spend => ({
  calls: 1,
  generations,
  prompt_tokens: 10,
  completion_tokens: 100 * generations,
  tokens_estimated: false,
  cost: null,
});

/** A judge's answer with one verdict. */
export const critique = (letter: string, about: string): string =>
  `${about}. Final Judgement: ${{ y: 'Yes', n: 'No' }[letter] ?? 'perhaps'}`;

/** A refiner's answer with one refinement. */
export const refined = (text: string): string => `I reflect. [[start]]${text}[[end]]`;

/** The paper's settings with the shipped prompts, and whatever a test changes. */
export const settingsWith = (
  changes: {
    readonly search?: Partial<Settings['search']>;
    readonly judge?: Partial<Settings['judge']>;
    readonly sample?: Partial<Settings['sample']>;
    readonly negatives_per_instruction?: number;
    readonly responses?: number;
    readonly seed?: number;
  } = {},
): Settings => ({
  ...faithful,
  iteration: '1',
  models: { actor: 'actor-1', judge: 'judge-1', refiner: 'refiner-1' },
  prompts: { judge: shipped('judge'), refine: shipped('refine') },
  seed: changes.seed ?? faithful.seed,
  sample: {
    ...faithful.sample,
    ...changes.sample,
    responses: changes.responses ?? faithful.sample.responses,
  },
  judge: { ...faithful.judge, ...changes.judge },
  search: { ...faithful.search, ...changes.search },
  negatives_per_instruction:
    changes.negatives_per_instruction ?? faithful.negatives_per_instruction,
});

const shipped = (name: string): Prompt => ({
  template: readFileSync(new URL(`../../processors/prompts/${name}.txt`, import.meta.url), 'utf8'),
  hash: `hash-of-${name}`,
});

function nameOf({ role, draws: { path, round, attempt } }: ModelRequest): string {
  const again = `${round > 0 ? `#${round}` : ''}${attempt > 0 ? `+${attempt}` : ''}`;
  return role === 'actor' ? `actor${again}` : `${role} ${path}${again}`;
}

const said = (text: string): Choice => ({ text, reasoning: null, finish_reason: 'stop' });
