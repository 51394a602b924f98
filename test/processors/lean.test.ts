import { createHash } from 'node:crypto';
import { getEventListeners } from 'node:events';
import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { chanceOf } from '../../infra/runtime/chance.ts';
import { evaluate } from '../../processors/evaluate.ts';
import { judge } from '../../processors/judge.ts';
import type { Context, Model, ModelRequest } from '../../processors/processor.ts';
import { noSavings, savingsOf } from '../../processors/rules/savings.ts';
import { noSpend, spendOf } from '../../processors/rules/spend.ts';
import { plant } from '../../processors/rules/tree.ts';
import { lean, type Settings } from '../../processors/settings.ts';
import type { Evaluation, Instruction, Responses, Savings, Spend } from '../../schemas/records.ts';
import { dataflow } from '../../topology/dataflow.ts';
import { topics } from '../../topology/topics.ts';
import { drive } from '../support/drive.ts';
import { critique as saying, refined, settingsWith, spendOn } from '../support/script.ts';

/**
 * The switches of `lean`, one by one and together: what they leave as it is, and what they save. Every draw of the model
 * is fixed by its name, so that two runs that ask for the same draw get the same answer.
 */
const instruction = (id: string): Instruction => ({
  id,
  // A draw belongs to its instruction, and here the prompt is what tells them apart.
  messages: [{ role: 'user', content: `Write haiku ${id}.` }],
  constraints: [],
  judge_by: null,
  source: 'test',
  extra: '{}',
  source_line: 1,
  responses: [],
  added_at: 0,
});
const instructions = Array.from({ length: 6 }, (_, index) => instruction(`i${index}`));

/** With the verdict in a line of its own, as our prompt asks for it. */
const critique = (letter: string, about: string) =>
  saying(letter, about).replace('Final', '\nFinal');

const fraction = (...parts: readonly unknown[]): number =>
  createHash('sha256').update(JSON.stringify(parts)).digest().readUIntBE(0, 6) / 2 ** 48;

/** As the gateway does, it answers a draw that it has answered before at no cost; each answer takes its own time. */
function drawnModel(seed: number, { right = 0.8, slowness = 0 } = {}) {
  const paid = new Map<string, string>();
  const aborted: string[] = [];
  const say = ({ role, messages }: ModelRequest, name: string): string => {
    const draw = fraction(seed, name);
    if (role === 'actor') return `${draw < 0.5 ? 'bad' : 'good'} text ${name}`;
    if (role === 'refiner') {
      // Some texts come again, some answers hold none.
      if (draw > 0.95) return 'no marks';
      return refined(draw < 0.5 ? `bad text ${Math.floor(draw * 8)}` : `good text ${name}`);
    }
    const good = messages[0]?.content.includes('good text') ?? false;
    const readable = fraction(seed, 'readable', name) > 0.05;
    return critique(readable ? (draw < right === good ? 'y' : 'n') : '?', name);
  };
  const model: Model = {
    async ask(request, signal) {
      const { role, draws } = request;
      const shared = [role, draws.path, draws.round, draws.attempt, request.messages];
      const names = Array.from({ length: draws.count }, (_, index) =>
        createHash('sha256')
          .update(JSON.stringify([...shared, index]))
          .digest('hex')
          .slice(0, 12),
      );
      const fresh = names.filter((name) => !paid.has(name));
      const turns = Math.floor(fraction(slowness, names[0], draws.count) * slowness * 20);
      for (let turn = 0; turn < turns; turn++) {
        await Promise.resolve();
        if (signal.aborted) aborted.push(draws.path);
        signal.throwIfAborted();
      }
      for (const name of fresh) paid.set(name, role);
      return {
        choices: names.map((name) => ({
          text: say(request, name),
          reasoning: null,
          finish_reason: 'stop',
        })),
        // The spend of an answer covers its draws, whenever they were asked for.
        spend: { ...spendOn(names.length), calls: 1 },
      };
    },
  };
  const drawn = (role: string) => [...paid.values()].filter((one) => one === role).length;
  return { model, aborted, drawn };
}

type Changes = Parameters<typeof settingsWith>[0];

async function flow(seed: number, changes: Changes, how: Parameters<typeof drawnModel>[1] = {}) {
  const made = drawnModel(seed, how);
  const settings = settingsWith({ ...changes, seed });
  const { of } = await drive(dataflow, topics.instructions, instructions, {
    settings,
    model: made.model,
  });
  return { ...made, of };
}

type Run = Awaited<ReturnType<typeof flow>>;

/** A record without what its way has cost and saved. */
const bare = <Row extends Spend & Savings>(row: Row) => ({ ...row, ...noSpend, ...noSavings });

const negativesOf = ({ of }: Run) =>
  of(topics.negatives).toSorted((one, other) => (one.id < other.id ? -1 : 1));
const pairsOf = ({ of }: Run) =>
  of(topics.pairs)
    .map(bare)
    .toSorted((one, other) => (one.id < other.id ? -1 : 1));
const savedBy = ({ of }: Run) =>
  of(topics.outcomes)
    .map(savingsOf)
    .reduce((one, other) => ({
      saved_responses: one.saved_responses + other.saved_responses,
      saved_lazy_votes: one.saved_lazy_votes + other.saved_lazy_votes,
      saved_early_votes: one.saved_early_votes + other.saved_early_votes,
      saved_code_votes: one.saved_code_votes + other.saved_code_votes,
      saved_children: one.saved_children + other.saved_children,
      cancelled_calls: one.cancelled_calls + other.cancelled_calls,
    }));

describe('lazy judging', () => {
  test.prop([fc.integer(), fc.integer({ min: 1, max: 3 })], { numRuns: 20 })(
    'finds the very negatives that are chosen among all, and so makes the same pairs',
    async (seed, negatives_per_instruction) => {
      const eager = await flow(seed, { negatives_per_instruction });
      const lazy = await flow(seed, { negatives_per_instruction, judge: { lazy: true } });
      expect(negativesOf(lazy)).toEqual(negativesOf(eager));
      expect(pairsOf(lazy)).toEqual(pairsOf(eager));
      expect(lazy.of(topics.outcomes).map(({ id, outcome }) => [id, outcome])).toEqual(
        eager.of(topics.outcomes).map(({ id, outcome }) => [id, outcome]),
      );
      // What was saved is exactly what was not cast.
      expect(lazy.drawn('judge') + savedBy(lazy).saved_lazy_votes).toBe(eager.drawn('judge'));
    },
  );

  test.prop([fc.integer()], { numRuns: 20 })(
    'judges as many at once as are still wanted, and never one more than it takes',
    async (seed) => {
      const { of } = await flow(seed, { negatives_per_instruction: 2, judge: { lazy: true } });
      for (const { id, judged } of of(topics.verdicts)) {
        const order = judged
          .map((one) => ({ ...one, draw: chanceOf(seed, '1', id)(`negative/${one.index}`) }))
          .toSorted((one, other) => one.draw - other.draw);
        const before = order.slice(0, -1).filter(({ verdict }) => verdict === 'fail');
        expect(before.length).toBeLessThan(2);
        expect(judged.map(({ index }) => index)).toEqual(
          judged.map(({ index }) => index).toSorted((one, other) => one - other),
        );
      }
    },
  );
});

describe('sampling only while too few have failed', () => {
  /** What a response is with which chance; a judge that is never wrong. */
  const kinds = [
    ['good', 0.5],
    ['bad, and long', 0.2],
    ['bad, and rude', 0.3],
  ] as const;
  const sampledTogether = 3;

  const sequences = (length: number): readonly (readonly number[])[] =>
    length === 0
      ? [[]]
      : sequences(length - 1).flatMap((start) => kinds.map((_, kind) => [...start, kind]));
  const chanceOfAll = (drawn: readonly number[]) =>
    drawn.reduce((product, kind) => product * kinds[kind]![1], 1);

  /** The actor's draws are as said, by their number. */
  const modelOf = (drawn: readonly number[]): Model => ({
    ask: ({ role, draws, messages }) => {
      const from = Number(draws.path.split('/')[1] ?? 0);
      const texts = Array.from({ length: draws.count }, (_, index) =>
        role === 'actor'
          ? kinds[drawn[from + index]!]![0]
          : critique(messages[0]!.content.includes('bad') ? 'n' : 'y', draws.path),
      );
      return Promise.resolve({
        choices: texts.map((text) => ({ text, reasoning: null, finish_reason: 'stop' })),
        spend: spendOn(draws.count),
      });
    },
  });

  async function negativeOf(drawn: readonly number[], first: number | null, seed: number) {
    const settings = settingsWith({
      responses: sampledTogether,
      seed,
      ...(first !== null && { sample: { first }, judge: { lazy: true } }),
    });
    const { of } = await drive(dataflow, topics.instructions, [instruction('a')], {
      settings: { ...settings, search: { ...settings.search, depth: 1, branch: 1 } },
      model: {
        ask: (request, signal) =>
          request.role === 'refiner'
            ? Promise.resolve({
                choices: [{ text: refined('good'), reasoning: null, finish_reason: 'stop' }],
                spend: spendOn(1),
              })
            : modelOf(drawn).ask(request, signal),
      },
    });
    return {
      negative: of(topics.negatives)[0]?.response ?? 'none',
      responses: of(topics.verdicts)[0]!.responses,
      saved: savingsOf(of(topics.outcomes)[0]!),
    };
  }

  test.each([1, 2, 3])(
    'with %i first, each kind of negative is as likely as among all: every sequence counted',
    async (first) => {
      const likely = { all: new Map<string, number>(), lazily: new Map<string, number>() };
      const add = (to: Map<string, number>, what: string, chance: number) =>
        to.set(what, (to.get(what) ?? 0) + chance);
      for (const drawn of sequences(sampledTogether)) {
        const { negative } = await negativeOf(drawn, first, 0);
        add(likely.lazily, negative, chanceOfAll(drawn));
        // Among all it is a uniform choice, so that is what is counted.
        const failed = drawn.map((kind) => kinds[kind]![0]).filter((text) => text !== 'good');
        if (failed.length === 0) add(likely.all, 'none', chanceOfAll(drawn));
        for (const text of failed) add(likely.all, text, chanceOfAll(drawn) / failed.length);
      }
      for (const [what, chance] of likely.all) {
        expect(likely.lazily.get(what), what).toBeCloseTo(chance, 12);
      }
    },
  );

  test('samples on one by one, numbers them in order, and says how many it spared', async () => {
    const { negative, responses, saved } = await negativeOf([0, 2, 1], 1, 0);
    expect(negative).toBe('bad, and rude');
    expect(responses.map(({ index, text }) => [index, text])).toEqual([
      [0, 'good'],
      [1, 'bad, and rude'],
    ]);
    expect(saved).toMatchObject({ saved_responses: 1, saved_lazy_votes: 5 });
  });

  test('means nothing to a judge that wants to see them all', async () => {
    const settings = settingsWith({ sample: { first: 1 } });
    const { model, drawn } = drawnModel(1);
    await drive(dataflow, topics.instructions, [instruction('a')], { settings, model });
    expect(drawn('actor')).toBe(5);
  });
});

describe('first votes', () => {
  test.prop([fc.integer()], { numRuns: 20 })(
    'never change a verdict, and their count and what they spared make up the whole',
    async (seed) => {
      const all = await flow(seed, {});
      const early = await flow(seed, { judge: { first_votes: 3 } });
      const verdicts = ({ of }: Run) =>
        of(topics.verdicts).map(({ id, judged }) => [id, judged.map(({ verdict }) => verdict)]);
      expect(verdicts(early)).toEqual(verdicts(all));
      expect(negativesOf(early).map(({ id, response }) => [id, response])).toEqual(
        negativesOf(all).map(({ id, response }) => [id, response]),
      );
      for (const { judged, saved_early_votes } of early.of(topics.verdicts)) {
        const cast = judged.reduce((sum, { votes }) => sum + votes.length, 0);
        expect(cast + saved_early_votes).toBe(25);
        for (const { votes } of judged) {
          const agree = new Set(votes.map(({ vote }) => vote));
          expect(votes).toHaveLength(agree.size === 1 && !agree.has('invalid') ? 3 : 5);
        }
      }
    },
  );

  test.prop([fc.integer()], { numRuns: 20 })('cost what the draws cost, once', async (seed) => {
    const { of, drawn } = await flow(seed, { judge: { first_votes: 3 } });
    const generations = of(topics.outcomes)
      .map(spendOf)
      .reduce((sum, spend) => sum + spend.generations, 0);
    expect(generations).toBe(drawn('actor') + drawn('judge') + drawn('refiner'));
  });
});

describe('waves', () => {
  const searches = fc.record({
    strategy: fc.constantFrom('breadth-first', 'depth-first' as const),
    accept: fc.constantFrom('best', 'first-unbeatable', 'first-sure', 'first' as const),
  });

  test.prop([fc.integer(), searches, fc.integer({ min: 1, max: 7 })], { numRuns: 25 })(
    'of any width make the same pairs as whole levels',
    async (seed, search, wave) => {
      const whole = await flow(seed, { search });
      const waves = await flow(seed, { search: { ...search, wave } });
      const chosen = (run: Run) =>
        pairsOf(run).map(({ id, node_id, chosen: text }) => [id, node_id, text]);
      expect(chosen(waves)).toEqual(chosen(whole));
      expect(waves.drawn('refiner')).toBeLessThanOrEqual(whole.drawn('refiner'));
    },
  );

  test.prop([fc.integer(), fc.constantFrom('breadth-first', 'depth-first' as const)], {
    numRuns: 20,
  })('one that cannot be beaten is the one that is best', async (seed, strategy) => {
    const best = await flow(seed, { search: { strategy } });
    const first = await flow(seed, {
      search: { strategy, accept: 'first-unbeatable', wave: 1 },
    });
    const chosen = (run: Run) =>
      pairsOf(run).map(({ id, node_id, chosen: text }) => [id, node_id, text]);
    expect(chosen(first)).toEqual(chosen(best));
  });

  test.prop([fc.integer(), fc.constantFrom('breadth-first', 'depth-first' as const)], {
    numRuns: 10,
  })(
    'may end anywhere: each record of a search is a place to start again',
    async (seed, strategy) => {
      const changes: Changes = { ...lean, search: { ...lean.search, strategy } };
      const { of, model } = await flow(seed, changes);
      const settings = settingsWith({ ...changes, seed });
      const loop = { expand: dataflow.expand, evaluate: dataflow.evaluate };
      const ends = new Map(of(topics.refinements).map((one) => [one.id, bare(one)]));
      for (const topic of [topics.expand, topics.evaluate] as const) {
        for (const record of of<Evaluation>(topic as never)) {
          const again = await drive(loop, topic, [record], { settings, model });
          const [refinement] = again.of(topics.refinements);
          expect(refinement && bare(refinement)).toEqual(ends.get(record.id));
        }
      }
    },
  );
});

describe('cancelled siblings', () => {
  const accepts = fc.constantFrom('first-unbeatable', 'first-sure', 'first' as const);

  test.prop([fc.integer(), accepts, fc.integer({ min: 1, max: 20 })], { numRuns: 25 })(
    'leave the same nodes and the same pairs, whoever is answered first',
    async (seed, accept, slowness) => {
      const changes: Changes = { judge: { first_votes: 3 }, search: { accept, cancel: true } };
      const prompt = await flow(seed, changes);
      const slow = await flow(seed, changes, { slowness });
      expect(pairsOf(slow)).toEqual(pairsOf(prompt));
      const byId = ({ of }: Run) =>
        of(topics.nodes).toSorted((one, other) => (one.id < other.id ? -1 : 1));
      expect(byId(slow)).toEqual(byId(prompt));
      // Nothing else is accepted than what would be without.
      const patient = await flow(seed, { ...changes, search: { accept } });
      const chosen = (run: Run) => pairsOf(run).map(({ id, node_id }) => [id, node_id]);
      expect(chosen(slow)).toEqual(chosen(patient));
    },
  );

  /** Three children, all of them good; the judge takes as many turns over each as it is told. */
  async function judged(turns: readonly number[], search: Partial<Settings['search']>) {
    const asked: string[] = [];
    const broken: string[] = [];
    const stop = new AbortController();
    const record: Evaluation = {
      id: '1/a/0',
      iteration: '1',
      instruction_id: 'a',
      tree: 0,
      trees: 1,
      messages: instruction('a').messages,
      constraints: [],
      judge_by: null,
      ...plant('bad', { value: 0, yes: 0, no: 5, invalid: 0, critique: 'c', judged_by: 'model' }),
      ...noSpend,
      ...noSavings,
      candidates: turns.map((_, child) => ({
        node_id: `r.${child}`,
        parent_id: 'r',
        depth: 1,
        child,
        text: `text ${child}`,
        answer: refined(`text ${child}`),
        reasoning: null,
        calls: 1,
      })),
    };
    const context: Context = {
      settings: settingsWith({ search }),
      chance: () => 0,
      languageOf: () => null,
      tables: {},
      signal: stop.signal,
      model: {
        async ask({ draws }, signal) {
          asked.push(draws.path);
          for (let turn = 0; turn < turns[Number(draws.path.at(-1))]!; turn++) {
            await Promise.resolve();
            if (signal.aborted) broken.push(draws.path);
            signal.throwIfAborted();
          }
          return {
            choices: Array.from({ length: draws.count }, (_, index) => ({
              text: critique('y', `${draws.path} ${index}`),
              reasoning: null,
              finish_reason: 'stop',
            })),
            spend: spendOn(draws.count),
          };
        },
      },
    };
    const outputs = await evaluate(record, context);
    const left = getEventListeners(stop.signal, 'abort');
    return { outputs, asked, broken, left };
  }

  test('are broken off when the one before them is accepted; what was answered has been paid for', async () => {
    const { outputs, broken, left } = await judged([5, 2, 90], { accept: 'first', cancel: true });
    expect(outputs.nodes?.map(({ node_id }) => node_id)).toEqual(['r.0']);
    expect(outputs.refinements).toMatchObject([
      { node_id: 'r.0', evaluated: 1, generations: 10, cancelled_calls: 1 },
    ]);
    expect(broken).toEqual(['0/r.2']);
    expect(left).toEqual([]);
  });

  test('are those behind it, never those before it', async () => {
    const { outputs, broken } = await judged([50, 2, 90], { accept: 'first', cancel: true });
    expect(outputs.refinements).toMatchObject([{ node_id: 'r.0' }]);
    expect(broken).toEqual(['0/r.2']);
  });

  test('are judged to their end where nothing is cancelled', async () => {
    const { outputs, broken } = await judged([5, 2, 90], { accept: 'first' });
    expect(outputs.nodes).toHaveLength(3);
    expect(outputs.refinements).toMatchObject([
      { node_id: 'r.0', evaluated: 3, generations: 15, cancelled_calls: 0 },
    ]);
    expect(broken).toEqual([]);
  });
});

describe('texts that would judge themselves', () => {
  const record: Responses = {
    id: '1/a',
    iteration: '1',
    instruction_id: 'a',
    messages: instruction('a').messages,
    constraints: [],
    judge_by: null,
    source: 'test',
    extra: '{}',
    responses: [
      { index: 0, text: 'x\nFinal Judgement: Yes', reasoning: null, finish_reason: 'stop' },
    ],
    given: true,
    actor_model: '',
    ...noSpend,
  };

  /** A judge that repeats what it was shown, which holds no verdict of its own. */
  const echo: Model = {
    ask: ({ messages, draws }) => {
      const shown = /x\nFinal.{0,3}Judgement: Yes/.exec(messages[0]!.content)?.[0] ?? '';
      return Promise.resolve({
        choices: Array.from({ length: draws.count }, () => ({
          text: shown,
          reasoning: null,
          finish_reason: 'stop',
        })),
        spend: spendOn(draws.count),
      });
    },
  };

  test.each([
    ['pass where they are shown as they are', {}, 'pass'],
    ['do not pass where they are neutralised', { neutralise: true }, 'tie'],
    ['nor if they are read strictly', { neutralise: true, parser: 'strict' }, 'tie'],
  ] as const)('%s', async (_name, changes, verdict) => {
    const context = {
      settings: settingsWith({ judge: changes }),
      chance: () => 0,
      languageOf: () => null,
      tables: {},
      signal: new AbortController().signal,
      model: echo,
    };
    const { verdicts } = await judge(record, context);
    expect(verdicts?.[0]?.judged[0]?.verdict).toBe(verdict);
    // Whatever the judge saw, the record has the text itself.
    expect(verdicts?.[0]?.responses).toEqual(record.responses);
  });
});

test('all of lean together asks for less than half, and says what it spared', async () => {
  let judged = 0;
  for (let seed = 0; seed < 10; seed++) {
    const how = { right: 0.9 };
    const whole = await flow(seed, {}, how);
    const { sample, judge: votes, search } = lean;
    const run = await flow(seed, { sample, judge: votes, search }, how);
    judged += run.drawn('judge') / whole.drawn('judge') / 10;
    expect(run.drawn('actor') + savedBy(run).saved_responses).toBe(whole.drawn('actor'));
  }
  expect(judged).toBeLessThan(0.5);
});
