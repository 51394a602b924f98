import type {
  Check,
  Message,
  PathNode,
  Refinement,
  Response,
  SearchNode,
  Verdicts,
  Vote,
} from '../../schemas/records.ts';
import type { Settings } from '../settings.ts';
import { shuffle, type Chance } from './chance.ts';
import { judgePrompt, refinePrompt } from './prompts.ts';

type Prompts = Settings['prompts'];

/** One conversation to train the refiner on: the turns of a prompt and, at last, what the assistant should say. */
export interface TrainingRow {
  /** The full id of what the row was made from, unique within its set. */
  readonly id: string;
  readonly messages: readonly Message[];
}

/**
 * What a refiner learns from: `refine` how to refine (a), `above` and `below` how to judge refinements that barely
 * pass or fail (b), `fail` and `pass` how to judge responses that the judge was not sure of (c).
 */
export type SetName = 'refine' | 'above' | 'below' | 'fail' | 'pass';

type Sets = Readonly<Record<SetName, readonly TrainingRow[]>>;

/** Rows of each set at the most; those of the paper's code (arXiv 2412.11605). */
export const defaultCaps: Readonly<Record<SetName, number>> = {
  refine: 4000,
  above: 1500,
  below: 1000,
  fail: 500,
  pass: 2500,
};

/** Of two rows with the same first turn, the one whose set comes first here stays. */
const precedence: readonly SetName[] = ['refine', 'above', 'below', 'fail', 'pass'];

/** (a) How the accepted node was refined: its parent, the critique of that, and the refiner's whole answer. */
export function refineRow({ id, messages, path }: Refinement, prompts: Prompts): TrainingRow {
  const [parent, accepted] = path.slice(-2);
  if (!parent || accepted?.answer == null) throw new Error(`${id} has no refine turn in its path`);
  return row(id, refinePrompt(prompts, messages, parent), accepted.answer);
}

/**
 * (b) The critique of one node whose votes differed but came out above one half, and of one below, of all nodes of
 * one tree, in whatever order they come; whether it was accepted does not matter.
 */
export function nodeRows(
  nodes: readonly SearchNode[],
  chance: Chance,
  prompts: Prompts,
): { readonly above: TrainingRow | null; readonly below: TrainingRow | null } {
  const pick = (side: 'above' | 'below', fits: (value: number) => boolean): TrainingRow | null => {
    const fitting = nodes.filter(
      // What code says of a text is nothing that the model has to learn to say of itself.
      ({ value, judged_by }) => judged_by === 'model' && value !== null && fits(value),
    );
    const [node] = shuffle(fitting, ({ node_id }) => `critique/${side}/${node_id}`, chance);
    return node?.text == null || node.critique === null
      ? null
      : row(node.id, judgePrompt(prompts, node.messages, node.text), node.critique);
  };
  return {
    above: pick('above', (value) => value > 0.5 && value < 1),
    below: pick('below', (value) => value < 0.5 && value > 0),
  };
}

/** (c) One critique, of the majority's side, for every response of which the votes said both; a tie has no side. */
export function verdictRows(
  { id, messages, responses, judged }: Verdicts,
  prompts: Prompts,
): { readonly pass: readonly TrainingRow[]; readonly fail: readonly TrainingRow[] } {
  const rows = (verdict: 'pass' | 'fail') =>
    judged.flatMap((judgement) => {
      const response = responses.find(({ index }) => index === judgement.index);
      const vote = contestedVote(judgement.votes, verdict === 'pass' ? 'yes' : 'no');
      return judgement.verdict !== verdict || !response || !vote
        ? []
        : [
            row(
              `${id}/${judgement.index}`,
              judgePrompt(prompts, messages, response.text),
              vote.critique,
            ),
          ];
    });
  return { pass: rows('pass'), fail: rows('fail') };
}

/**
 * Some of the responses that passed, at most `limit`: no text twice, none that is empty, was cut off, or breaks a
 * constraint, whatever the votes said. An easy
 * instruction has many of them, and they say much the same.
 */
export function passingResponses(
  { responses, judged }: Pick<Verdicts, 'responses' | 'judged'>,
  limit: number,
  chance: Chance,
): readonly Response[] {
  const passed = new Set(
    judged
      .filter(({ verdict, checks }) => verdict === 'pass' && !isBroken(checks))
      .map(({ index }) => index),
  );
  const whole = responses.filter(
    ({ index, text, finish_reason }) =>
      passed.has(index) && text.trim() !== '' && finish_reason !== 'length',
  );
  const distinct = [...new Map(whole.map((response) => [response.text.trim(), response])).values()];
  return shuffle(distinct, ({ index }) => `passing/${index}`, chance).slice(0, limit);
}

/** The steps of a path that made the response better, each from its parent to its child. */
export const improvingSteps = (
  path: readonly PathNode[],
): readonly { readonly parent: PathNode; readonly child: PathNode }[] =>
  path.flatMap((child, index) => {
    const parent = path[index - 1];
    return parent && child.value > parent.value ? [{ parent, child }] : [];
  });

/**
 * All sets as one training set: each shuffled and capped, then rows whose first turn came before are left out, then
 * all shuffled again. The order of the rows given does not matter.
 */
export function assemble(
  sets: Sets,
  caps: Readonly<Record<SetName, number>>,
  order: Chance,
): readonly TrainingRow[] {
  const seen = new Set<string>();
  const kept = precedence.flatMap((set) =>
    shuffle(sets[set], ({ id }) => `cap/${set}/${id}`, order)
      .slice(0, caps[set])
      .filter(({ messages: [first] }) => {
        const isNew = first !== undefined && !seen.has(first.content);
        if (isNew) seen.add(first.content);
        return isNew;
      })
      .map((taken) => ({ name: `row/${set}/${taken.id}`, taken })),
  );
  return shuffle(kept, ({ name }) => name, order).map(({ taken }) => taken);
}

const isBroken = (checks: readonly Check[]): boolean =>
  checks.some(({ outcome }) => outcome === 'broken');

/** The last vote of the majority before the first against it; if that one comes first, the majority's first. */
function contestedVote(votes: readonly Vote[], majority: 'yes' | 'no'): Vote | null {
  const readable = votes.filter(({ vote }) => vote !== 'invalid');
  const against = readable.findIndex(({ vote }) => vote !== majority);
  if (against < 0) return null;
  return readable[against - 1] ?? readable.find(({ vote }) => vote === majority) ?? null;
}

const row = (id: string, prompt: readonly Message[], answer: string): TrainingRow => ({
  id,
  messages: [...prompt, { role: 'assistant', content: answer }],
});
