/**
 * What code as a judge does for IFEval's prompts: pairs, whether every chosen side keeps to all of its constraints, and
 * how many votes were cast and not cast. The model is made up: its refinements mend one constraint at a time, and its
 * votes are right nine times of ten.
 *
 *     node test/bench/veto.ts --prompts ifeval_input_data.jsonl
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { fromJson } from '../../infra/input/instruction.ts';
import { rowsMade } from '../oracle/cases.ts';
import { judgedBy } from '../support/judged-by.ts';

const { values } = parseArgs({
  options: { prompts: { type: 'string' }, seed: { type: 'string' } },
});
const seed = Number(values.seed ?? 0);
const lines =
  values.prompts === undefined
    ? Array.from(rowsMade(200, seed), (row) => JSON.stringify(row))
    : readFileSync(values.prompts, 'utf8').trim().split('\n');
const instructions = lines.map((line) => ({
  ...fromJson(line),
  ...{ source: 'bench', source_line: 1, added_at: 0 },
}));
for (const by of ['model', 'code', 'both'] as const) {
  console.log(JSON.stringify((await judgedBy(by, instructions, seed)).figures));
}
