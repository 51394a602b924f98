import { auditReport, type Audit } from '../../processors/rules/audit.ts';
import type { Settings } from '../../processors/settings.ts';
import type { Candidates } from './candidates.ts';
import { kinds, type Kind } from './format.ts';
import type { Gates } from './gates/gates.ts';
import { tallyOf } from './reasons.ts';
import type { ExportSettings } from './settings.ts';
import type { Ends } from './topic.ts';

export interface ExportedIteration {
  readonly id: string;
  readonly seed: number;
  readonly models: Settings['models'];
  readonly prompts: Settings['prompts'];
}

/** What was asked for. */
interface Asked {
  readonly pipeline: string;
  readonly iterations: readonly ExportedIteration[];
  readonly complete: boolean;
  readonly seed: number;
  readonly settings: ExportSettings;
}

/**
 * What an export was made from and what became of it, for whoever asks later: it has no clock, and nothing that
 * differs from one export of the same topics to the next. The list of files is not its business.
 */
export const manifestOf = (
  { pipeline, iterations, complete, seed, settings }: Asked,
  ends: Ends,
  { files }: Gates,
  counts: Readonly<Record<Kind, number>>,
  candidates: Candidates,
  /** Null where the topics were not read for it. */
  audit: Audit | null,
) => ({
  pipeline,
  iterations: iterations.map(({ prompts, ...iteration }) => ({
    ...iteration,
    judge_prompt: prompts.judge.hash,
    refine_prompt: prompts.refine.hash,
  })),
  complete,
  seed,
  settings,
  gate_files: files,
  read: readIn(ends),
  counts,
  rejected: tallyOf(new Map([...candidates.tally('preference'), ...candidates.tally('record')])),
  rejected_rows: Object.fromEntries(
    kinds
      .filter((kind) => kind !== 'preference')
      .map((kind) => [kind, Object.fromEntries(candidates.tally(kind))]),
  ),
  // Only those that the settings name: others may be paths of this machine.
  sources: Object.fromEntries(
    Object.keys(settings.sources)
      .sort()
      .map((name) => [name, candidates.source(name)]),
  ),
  distances: candidates.distances(),
  // How far the model as a judge agrees with code, by the kind of constraint.
  judge_audit: audit && auditReport(audit),
});

/** Which offsets were looked at, the first and the one behind the last. */
const readIn = (ends: Ends) =>
  Object.fromEntries(
    [...ends].map(([topic, partitions]) => [
      topic,
      partitions.map(({ partition, earliest, latest }) => ({
        partition,
        from: earliest,
        to: latest,
      })),
    ]),
  );
