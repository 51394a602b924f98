import { Command } from 'commander';
import pc from 'picocolors';
import {
  findingsOf,
  kinds,
  type Finding,
} from '../../processors/rules/constraints/consistency/findings.ts';
import { checker } from '../constraints/index.ts';
import { place, promptOf, tasksIn } from '../evaluate/benchmark.ts';
import { openSource } from '../input/source.ts';
import { oneLine } from '../text.ts';
import { configOption, examples, jsonOption, wholeNumber } from './options.ts';
import { counted, jsonLine, print } from './output.ts';
import { configOf } from './pipeline.ts';

interface Flags {
  readonly config?: string;
  readonly limit?: number;
  readonly json?: true;
}

type Kind = Finding['kind'] | 'line';

/** What the exit code is about: no response can satisfy these, or nobody can check them. */
const grave: readonly Kind[] = ['contradiction', 'argument', 'line'];

export const checkCommand = (): Command =>
  new Command('check')
    .summary('find constraints that contradict each other, or their text, before money is spent')
    .description(
      `Reads instructions with constraints (instruction_id_list and kwargs, as IFEval's data has them) and says, as far as
rules can tell and without asking any model, what is wrong with them:

  contradiction  no response satisfies them all: at least 300 words, but less than 100; no commas, but a text with one
                 has to be repeated
  argument       nobody can check it: an unknown name, or an argument that is missing or wrong
  mismatch       the text does not mention a keyword or a number of the constraint (a guess)
  drawn          the benchmark draws this argument at random, so that its published verdicts say nothing
  line           no instruction: not JSON, no prompt, twice the same

Ends with exit code 1 if there are contradictions, wrong arguments or bad lines.`,
    )
    .argument('<file>', 'instructions, or - for standard input')
    .option('--limit <number>', 'take only the first so many instructions', wholeNumber(1))
    .addOption(configOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples('spar check instructions.jsonl', 'spar check input_data.jsonl --json | head'),
    )
    .action(async (file: string, flags: Flags, command: Command) => {
      const { limits } = configOf(flags, command);
      const source = await openSource(file);
      const found = new Map<Kind, number>();
      const tell = async (
        line: number,
        id: string | null,
        finding: Omit<Finding, 'kind'> & { readonly kind: Kind },
      ) => {
        found.set(finding.kind, (found.get(finding.kind) ?? 0) + 1);
        const { kind, constraints, why } = finding;
        await print(
          flags.json
            ? jsonLine({ line, id, kind, constraints, why })
            : findingText(source.name, line, id, finding),
        );
      };
      let [instructions, constraints] = [0, 0];
      for await (const item of tasksIn(source, limits.max_line_bytes)) {
        if ('problem' in item) {
          await tell(item.line, null, { kind: 'line', constraints: [], why: item.problem });
          continue;
        }
        instructions++;
        constraints += item.constraints.length;
        for (const finding of findingsOf(checker, item.constraints, promptOf(item))) {
          await tell(item.line, item.id, finding);
        }
        if (instructions === flags.limit) break;
      }
      const findings = Object.fromEntries(
        [...kinds, 'line' as const].map((kind) => [kind, found.get(kind) ?? 0]),
      );
      await print(
        flags.json
          ? jsonLine({ instructions, constraints, findings })
          : summaryText(instructions, constraints, found),
      );
      if (grave.some((kind) => found.has(kind))) process.exitCode = 1;
    });

function findingText(
  file: string,
  line: number,
  id: string | null,
  { kind, constraints, why }: Omit<Finding, 'kind'> & { readonly kind: Kind },
): string {
  const colour = grave.includes(kind) ? pc.red : pc.yellow;
  return [
    place({ name: file }, line).trimEnd(),
    ...(id === null ? [] : [oneLine(id, 80)]),
    `${colour(kind)}:`,
    ...(constraints.length > 0 ? [`${oneLine(constraints.join(' + '), 300)}:`] : []),
    `${oneLine(why, 500)}\n`,
  ].join(' ');
}

function summaryText(
  instructions: number,
  constraints: number,
  found: ReadonlyMap<Kind, number>,
): string {
  const parts = [...found].map(([kind, count]) => `${count} ${count === 1 ? kind : plural[kind]}`);
  return (
    `${counted(instructions, 'instruction')} with ${counted(constraints, 'constraint')}: ` +
    `${parts.length === 0 ? 'nothing found' : parts.join(', ')}.\n`
  );
}

const plural: Readonly<Record<Kind, string>> = {
  contradiction: 'contradictions',
  argument: 'wrong arguments',
  mismatch: 'mismatches',
  drawn: 'drawn at random',
  line: 'bad lines',
};
