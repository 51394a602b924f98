import { improvingSteps } from '../../processors/rules/training.ts';
import type { PreferencePair } from '../../schemas/records.ts';
import type { PreferenceRow, UnpairedRow } from './format.ts';

/** The steps of a pair's path that made the response better, as pairs of their own. */
export const stepRows = (pair: PreferencePair): readonly PreferenceRow[] =>
  improvingSteps(pair.path)
    .map(({ parent, child }) => ({
      id: `${pair.id}/${child.node_id}`,
      source: pair.source,
      messages: pair.messages,
      chosen: child.text.trim(),
      rejected: parent.text.trim(),
      depth: child.depth,
      value: child.value,
    }))
    .filter(({ chosen, rejected }) => chosen !== '' && rejected !== '' && chosen !== rejected);

/**
 * Takes pairs apart. The rejected side follows after the next pair's chosen one: KTO sets each prompt against the
 * completion of the row before it in the batch, which must be that of another prompt, and not every trainer shuffles
 * before it does.
 *
 * Source: TRL, `trl/trainer/kto_trainer.py`, `_get_kl_dataset`.
 */
export class Unpairing {
  private readonly write: (of: Pair, row: UnpairedRow) => Promise<void>;
  private held: { readonly of: Pair; readonly row: UnpairedRow } | null = null;

  constructor(write: (of: Pair, row: UnpairedRow) => Promise<void>) {
    this.write = write;
  }

  async add(of: Pair, { messages, chosen, rejected }: PreferenceRow): Promise<void> {
    await this.write(of, { messages, completion: chosen, wanted: true });
    await this.finish();
    this.held = { of, row: { messages, completion: rejected, wanted: false } };
  }

  /** Writes the side that still waits. */
  async finish(): Promise<void> {
    if (this.held) await this.write(this.held.of, this.held.row);
    this.held = null;
  }
}

interface Pair {
  readonly id: string;
  readonly instruction: string;
}
