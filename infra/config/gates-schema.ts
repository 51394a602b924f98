import { z } from 'zod';
import { defaultExportSettings } from '../exports/settings.ts';

const { gates } = defaultExportSettings;

const share = z.number().min(0).max(1);

const versions = (role: 'actor' | 'judge' | 'refiner', what: string) =>
  z
    .array(z.string().min(1))
    .default([...gates.models[role]])
    .describe(`Versions of the ${role} ${what}; any if none is named.`);

/** `export.gates`: what must not reach a file. */
export const gatesSection = z
  .strictObject({
    tokens: z
      .strictObject({
        tokenizer: z
          .string()
          .min(1)
          .nullable()
          .default(gates.tokens.tokenizer)
          .describe(
            'The `tokenizer.json` of the model to train. Lengths are looked at only if it is given.',
          ),
        max: z
          .int()
          .min(1)
          .default(gates.tokens.max)
          .describe('Tokens at most of the prompt with the longer of the two sides.'),
        per_turn: z
          .int()
          .min(0)
          .default(gates.tokens.per_turn)
          .describe('Tokens that the chat template puts around each turn, counted on top.'),
      })
      .prefault({}),
    distance: z
      .strictObject({
        min: share
          .default(gates.distance.min)
          .describe(
            'Least distance of the sides: words, gaps and marks to change, as a share of the longer one. Equal sides are always left out.',
          ),
        max: share.default(gates.distance.max).describe('Largest distance of the sides.'),
      })
      .prefault({}),
    duplicates: z
      .strictObject({
        exact: z
          .boolean()
          .default(gates.duplicates.exact)
          .describe('Of instructions with the same prompt, only one gives pairs.'),
        near: z
          .number()
          .min(0.5)
          .max(1)
          .nullable()
          .default(gates.duplicates.near)
          .describe(
            'The same for prompts that have this share of their word triples in common; null to leave them.',
          ),
      })
      .prefault({}),
    benchmarks: z
      .strictObject({
        files: z
          .array(z.string().min(1))
          .default([...gates.benchmarks.files])
          .describe(
            'Files of benchmark prompts: JSONL, JSON or one a line. Instructions that hold one are left out, with all that came of them.',
          ),
        words: z
          .int()
          .min(1)
          .max(100)
          .default(gates.benchmarks.words)
          .describe('Words in a row that count as found.'),
        overlap: z
          .number()
          .gt(0)
          .max(1)
          .default(gates.benchmarks.overlap)
          .describe("Share of a benchmark prompt's runs of words that must be found."),
      })
      .prefault({}),
    phrases: z
      .array(z.string().min(1))
      .default([...gates.phrases])
      .describe('What a chosen text must not say, unless the instruction says it, too.'),
    constraints: z
      .boolean()
      .default(gates.constraints)
      .describe(
        'Leave out pairs whose chosen text breaks a constraint that code can check, whoever judged it.',
      ),
    refusals: z
      .enum(['off', 'chosen', 'either'])
      .default(gates.refusals)
      .describe('Which side must not begin by declining to answer.'),
    truncated: z
      .enum(['off', 'known', 'likely'])
      .default(gates.truncated)
      .describe(
        "Leave out pairs with a side that was cut off: where the server said so, or also where a refiner's answer lacks its closing mark.",
      ),
    language: z
      .enum(['any', 'same'])
      .default(gates.language)
      .describe(
        "`same`: the chosen text is in the instruction's language, or in one that the instruction names.",
      ),
    pass_rate: z
      .strictObject({
        min: share
          .default(gates.pass_rate.min)
          .describe('Least share of the judged responses to an instruction that passed.'),
        max: share.default(gates.pass_rate.max).describe('Largest share of them.'),
      })
      .prefault({}),
    models: z
      .strictObject({
        actor: versions('actor', 'whose failures are paired'),
        judge: versions('judge', 'whose verdicts count'),
        refiner: versions('refiner', 'whose refinements are chosen'),
      })
      .prefault({}),
  })
  .prefault({});
