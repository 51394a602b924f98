import type { Constraint } from '../../../schemas/records.ts';
import type { Chance } from '../../../processors/rules/chance.ts';
import { asksPassRate, type Evidence } from '../evidence.ts';
import type { Removals } from '../removals.ts';
import type { ExportSettings } from '../settings.ts';
import { openBenchmarks, type GateFile } from './benchmarks.ts';
import { brokenBy, constraintsGate } from './constraints.ts';
import type { Candidate, Finding, Gate, InstructionGate } from './gate.ts';
import { languageGate, languageOf } from './language.ts';
import { languageOf as languageOfAny } from '../../constraints/language.ts';
import { modelsGate } from './models.ts';
import { passRateGate } from './pass-rate.ts';
import { phrasesGate } from './phrases.ts';
import { refusalsGate } from './refusals.ts';
import { sidesGate } from './sides.ts';
import { sourcesGate } from './sources.ts';
import { openTokensGate } from './tokens.ts';
import { truncationGate } from './truncation.ts';

/** The gates that are on. */
export interface Gates {
  /** What keeps an instruction out, with all that came of it. */
  readonly instruction: InstructionGate;
  /** What keeps a pair out, the first that finds something. */
  readonly pair: (candidate: Candidate) => Finding | null;
  /** What keeps a text from being taught as a good answer to an instruction with these constraints. */
  readonly text: (text: string, constraints: readonly Constraint[]) => Finding | null;
  /** Files that decide, too: the manifest has their hashes. */
  readonly files: readonly GateFile[];
}

/** @throws UsageError if a file that the settings name cannot be used */
export async function openGates(
  { gates: settings, sources }: Pick<ExportSettings, 'gates' | 'sources'>,
  removals: Removals,
  evidence: Evidence,
  chance: Chance,
): Promise<Gates> {
  const { tokens, models, phrases, refusals, truncated, pass_rate, language, constraints } =
    settings;
  const benchmarks = await openBenchmarks(settings.benchmarks);
  const length = tokens.tokenizer === null ? null : await openTokensGate(tokens.tokenizer, tokens);
  const instruction: InstructionGate = (asked) =>
    removals.ofInstruction(asked) ?? benchmarks.gate(asked);
  // The cheap ones come first, since none is asked about what another has found. Those that are off are not there.
  const gates: readonly Gate[] = [
    ({ pair }) => removals.ofInstruction(pair) ?? removals.ofPair(pair.id),
    sidesGate,
    modelsGate(models),
    ...(Object.keys(sources).length === 0 ? [] : [sourcesGate(sources, chance)]),
    ...(phrases.length === 0 ? [] : [phrasesGate(phrases)]),
    ...(refusals === 'off' ? [] : [refusalsGate(refusals)]),
    ...(truncated === 'off' ? [] : [truncationGate(truncated, evidence)]),
    ...(asksPassRate(settings) ? [passRateGate(pass_rate, evidence)] : []),
    ...(constraints ? [constraintsGate(languageOfAny)] : []),
    ...(length ? [length.gate] : []),
    ...(language === 'any' ? [] : [languageGate(languageOf)]),
    ({ pair }) => benchmarks.gate(pair),
  ];
  return {
    instruction,
    pair: (candidate) => {
      for (const gate of gates) {
        const finding = gate(candidate);
        if (finding) return finding;
      }
      return null;
    },
    text: (text, asked) => (constraints ? brokenBy(text, asked, languageOfAny) : null),
    files: [...(length ? [length.file] : []), ...benchmarks.files],
  };
}

/** @throws UsageError if a file that the settings name cannot be used */
export async function checkGateFiles({
  benchmarks,
  tokens,
}: ExportSettings['gates']): Promise<void> {
  await openBenchmarks(benchmarks);
  if (tokens.tokenizer !== null) await openTokensGate(tokens.tokenizer, tokens);
}
