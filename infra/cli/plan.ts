import pc from 'picocolors';
import type { Plan, Range } from '../run/plan.ts';
import { oneLine } from '../text.ts';
import { short } from './progress.ts';

/** What `--dry-run` says. */
export function planText(plan: Plan, file: string): string {
  const { generations, tokens, cost, rejected, withinBudget } = plan;
  const range = ({ least, most }: Range) =>
    least === most ? short(least) : `${short(least)} to ${short(most)}`;
  return [
    `${pc.bold(`${plan.instructions} instructions`)} in ${oneLine(file)}` +
      (plan.duplicates ? `, ${plan.duplicates} duplicates` : '') +
      (rejected.length > 0 ? `, ${pc.yellow(`${rejected.length} bad lines`)}` : ''),
    ...rejected.slice(0, 20).map((message) => `  ${pc.yellow(oneLine(message, 300))}`),
    'A run would generate, from no failing response to every tree searched to its end:',
    `  responses    ${range(generations.sample)}`,
    `  votes        ${range(generations.judge)}`,
    `  refinements  ${range(generations.refine)}`,
    `  tokens       about ${range(tokens.prompt)} of prompts and ${range(tokens.completion)} generated`,
    cost
      ? `  cost         ${cost.least.toFixed(2)} to ${cost.most.toFixed(2)}`
      : '  cost         unknown: give the endpoint a price in the config',
    ...(withinBudget === null
      ? []
      : [`  budget       does for ${range(withinBudget)} of them, by answers of usual length`]),
    'Nothing was asked.',
    '',
  ].join('\n');
}
