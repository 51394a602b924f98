import { languageOf } from '../../infra/constraints/language.ts';
import { readInstructions } from '../../infra/input/read.ts';
import { openSeen } from '../../infra/input/seen.ts';
import { drawsOf } from '../../infra/model/draw.ts';
import { chanceOf } from '../../infra/runtime/chance.ts';
import { settingsOf } from '../../infra/config/settings.ts';
import { evaluate } from '../../processors/evaluate.ts';
import { expand } from '../../processors/expand.ts';
import { fanOut } from '../../processors/fan-out.ts';
import { judge } from '../../processors/judge.ts';
import type { Context, Model, ModelRequest, Processor } from '../../processors/processor.ts';
import { splitReasoning } from '../../processors/rules/reasoning.ts';
import { noSpend } from '../../processors/rules/spend.ts';
import { sample } from '../../processors/sample.ts';
import type { Expansion, Instruction } from '../../schemas/records.ts';
import { configOf, sourceOf } from '../run/support.ts';
import { batchingServer, type BatchingServer } from './batching-server.ts';
import { tableOf } from './drive.ts';
import { virtualTime } from './virtual-time.ts';

/** How the reference's chain of scripts went, in seconds of its own time. */
export interface ReferenceRun {
  readonly server: BatchingServer;
  readonly seconds: number;
  /** When each script ended, and with it the work that the next one waited for. */
  readonly scripts: { readonly sample: number; readonly judge: number; readonly search: number };
  /** When each tree that was accepted ended; its pair is usable when the last script has ended. */
  readonly accepted: readonly number[];
}

const stageOf = { actor: 'sample', judge: 'judge', refiner: 'refine' } as const;

/**
 * The driver of SPaR's own code, from its description: a script that samples all, then one that judges all, then one
 * that searches all trees; each with so many processes, of which each works on one thing after the other and makes one
 * call at a time. What is asked and decided is what our processors ask and decide, with the same draws.
 *
 * A process takes the next thing as soon as it is free, which is kinder than shares that are dealt out beforehand.
 */
export async function referenceRun(options: {
  readonly lines: readonly string[];
  readonly slots: number;
  readonly processes?: number;
}): Promise<ReferenceRun> {
  const { lines, slots, processes = 32 } = options;
  const time = virtualTime();
  const server = batchingServer({ time, slots, whenFull: 'queue' });
  const models = { actor: 'batching', judge: 'batching', refiner: 'batching' };
  const settings = settingsOf(configOf(), '1', models);
  const { signal } = new AbortController();
  const seconds = () => time.monotonic() / 1000;

  async function send(request: ModelRequest, instruction: string, stage: string) {
    const origin = { pipeline: 'spar', iteration: '1', seed: settings.seed, instruction, stage };
    const { seedAt } = drawsOf({ ...origin, modelVersion: 'batching' }, request);
    const { messages, sampling, draws } = request;
    const purpose = stageOf[request.role];
    const { choices } = await server.send(
      { purpose, messages, sampling, n: draws.count, seed: seedAt(0), deadlineMs: 900_000 },
      signal,
    );
    return {
      choices: choices.map(({ content, finish_reason }) => ({
        ...splitReasoning(content),
        finish_reason,
      })),
      spend: noSpend,
    };
  }

  /** One call at a time, in the order in which they are asked. */
  function modelFor(instruction: string, stage: string): Model {
    let turn: Promise<unknown> = Promise.resolve();
    return {
      ask(request) {
        const answer = turn.then(() => send(request, instruction, stage));
        turn = answer;
        return answer;
      },
    };
  }

  const step = <Input extends { readonly id: string }, Outputs, Tables>(
    processor: Processor<Input, Outputs, Tables>,
    stage: string,
    record: Input,
    instruction: string,
    tables: Tables,
  ) => {
    const chance = chanceOf(settings.seed, settings.iteration, record.id);
    const model = modelFor(instruction, stage);
    const context: Context<Tables> = { model, settings, chance, languageOf, tables, signal };
    return processor(record, context);
  };

  /** A level, or in depth-first search a node's children: refined one after the other, then judged so. */
  async function grow(tree: Expansion) {
    const { instruction_id: of } = tree;
    const [grown] = (await step(expand, 'expand', tree, of, {})).evaluate ?? [];
    if (!grown) throw new Error(`${tree.id} was not expanded`);
    return step(evaluate, 'evaluate', grown, of, {});
  }

  /** A script: all of it is done when it returns. */
  async function script<Item>(items: readonly Item[], work: (item: Item) => Promise<void>) {
    const left = items.values();
    await Promise.all(
      Array.from({ length: processes }, async () => {
        for (const item of left) await work(item);
      }),
    );
    return seconds();
  }

  async function work(): Promise<ReferenceRun> {
    const instructions = await readAll(lines);
    const responses: Parameters<typeof judge>[0][] = [];
    const verdicts: Parameters<typeof fanOut>[0][] = [];
    const accepted: number[] = [];
    const none = { responses: tableOf(() => []) };
    const sampled = await script(instructions, async (record) => {
      const made = await step(sample, 'sample', record, record.id, none);
      responses.push(...(made.responses ?? []));
    });
    const judged = await script(responses, async (record) => {
      const made = await step(judge, 'judge', record, record.instruction_id, {});
      verdicts.push(...(made.verdicts ?? []));
    });
    const trees: Expansion[] = [];
    for (const record of verdicts) {
      const made = await step(fanOut, 'fan-out', record, record.instruction_id, {});
      trees.push(...(made.expand ?? []));
    }
    const searched = await script(trees, async (tree) => {
      let open: Expansion | undefined = tree;
      while (open) {
        const made = await grow(open);
        if (made.refinements?.length) accepted.push(seconds());
        open = made.expand?.[0];
      }
    });
    const scripts = { sample: sampled, judge: judged, search: searched };
    return { server, seconds: seconds(), scripts, accepted };
  }
  return time.drive(work());
}

async function readAll(lines: readonly string[]): Promise<readonly Instruction[]> {
  const seen = openSeen();
  try {
    const options = { format: 'auto', maxLineBytes: 1024 * 1024, seen } as const;
    const items = await Array.fromAsync(readInstructions(sourceOf(lines), options));
    return items.flatMap((item) => (item.kind === 'instruction' ? [item.instruction] : []));
  } finally {
    seen.close();
  }
}
