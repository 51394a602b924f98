import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PreferencePair } from '../../schemas/records.ts';
import { topics as all } from '../../topology/topics.ts';
import { UsageError } from '../errors.ts';
import { chanceOf } from '../runtime/chance.ts';
import { manifestName, Publication, type ExportedFile } from './files.ts';
import { isMissing } from './read-back.ts';
import type { PreferenceRow, Split } from './format.ts';
import { formatsOf } from './formats.ts';
import { Evidence } from './evidence.ts';
import { openGates, type Gates } from './gates/gates.ts';
import { cleaned } from './pairs.ts';
import { removalsIn, type Removals } from './removals.ts';
import type { ExportSettings } from './settings.ts';
import { recordsFrom, type Read, type Topics } from './topic.ts';

export interface ShardRequest extends Topics {
  readonly iterations: readonly string[];
  readonly seed: number;
  /** That of the whole export; the shards have one of their own in it. */
  readonly folder: string;
  readonly settings: ExportSettings;
}

/** Where shards go, within the folder of an export. */
export const shardsFolder = 'shards';

/**
 * Writes preference pairs as they come, in the order of the topic, so many to a shard. A shard is written once: what
 * the manifest names stays as it is, and whoever reads it has each pair once.
 *
 * A pair passes the gates that judge it by itself, as they stand when it is read. Those that compare pairs, and caps,
 * need all of them: they are for the whole files alone.
 *
 * Each partition has shards of its own, since its records alone have an order that stays. Of a shard that is not full
 * nothing is written until all pairs are there. A process that is killed loses what it held: the next one begins after
 * the last shard that the manifest names, and makes the same shards again, byte for byte.
 */
export class Shards {
  private readonly request: ShardRequest;
  private readonly folder: string;
  private readonly chance: (purpose: string) => number;
  private readonly seen = new Set<string>();
  private readonly partitions = new Map<number, Partition>();
  private readonly evidence = new Evidence();
  private gates: Promise<Gates> | null = null;
  private removals: Removals | null = null;
  private files: readonly ExportedFile[] = [];

  private constructor(request: ShardRequest) {
    this.request = request;
    this.folder = join(request.folder, shardsFolder);
    this.chance = chanceOf(request.seed, 'export', '');
  }

  /**
   * Goes on where the shards that are there end.
   *
   * @throws UsageError if they were written by other settings, or if these choose among pairs that are still to come.
   */
  static async open(request: ShardRequest): Promise<Shards> {
    if (request.settings.max_pairs !== null) {
      throw new UsageError(
        'export.max_pairs chooses among all pairs, and shards are written before all are there: leave one of them out',
      );
    }
    const shards = new Shards(request);
    const manifest = await manifestIn(shards.folder);
    if (manifest) shards.goOn(manifest);
    return shards;
  }

  /**
   * Writes every shard that is full.
   *
   * @param complete whether no more pairs will come: then the last ones are written, too
   * @returns all shards that there are
   */
  async write(complete: boolean): Promise<readonly ExportedFile[]> {
    const from = (partition: number) => this.partition(partition).read;
    const gates = await (this.gates ??= this.openGates());
    await this.evidence.read(
      this.request,
      new Set(this.request.iterations),
      this.request.settings.gates,
      passedOver,
    );
    this.removals = await removalsIn(this.request, passedOver);
    for await (const placed of recordsFrom(this.request, all.pairs, from, passedOver)) {
      const partition = this.partition(placed.partition);
      partition.read = placed.offset + 1;
      const row = this.toWrite(placed, gates);
      if (!row) continue;
      partition.held.push(row);
      if (partition.held.length >= this.request.settings.shard_rows) {
        await this.publish(placed.partition, partition);
      }
    }
    if (complete) {
      for (const [number, partition] of this.partitions) {
        if (partition.held.length > 0) await this.publish(number, partition);
      }
    }
    return this.files;
  }

  close(): void {
    this.evidence.close();
  }

  /** Opened once: tokenizers and benchmarks are large. What people take out is looked at anew each time. */
  private async openGates(): Promise<Gates> {
    const { request, evidence } = this;
    const removals: Removals = {
      ofInstruction: (asked) => this.removals?.ofInstruction(asked) ?? null,
      ofPair: (id) => this.removals?.ofPair(id) ?? null,
    };
    return openGates(request.settings, removals, evidence, this.chance);
  }

  private goOn({ written, files, ...made }: ShardManifest): void {
    if (JSON.stringify(made) !== JSON.stringify(this.made())) {
      throw new UsageError(
        `the shards in ${this.folder} were written by other settings: remove them, or name another --out`,
      );
    }
    for (const { partition, end, shards } of written) {
      this.partitions.set(partition, { end, shards, read: 0, held: [] });
    }
    this.files = files;
  }

  /** What decides the bytes of a shard, beside the topic. */
  private made(): ShardSettings {
    const { pipeline, iterations, seed, settings } = this.request;
    return { pipeline, iterations, seed, settings };
  }

  private partition(number: number): Partition {
    const known = this.partitions.get(number);
    if (known) return known;
    const made = { end: 0, shards: 0, read: 0, held: [] };
    this.partitions.set(number, made);
    return made;
  }

  /** Null for what is in a shard already, is there a second time, or is not for training. */
  private toWrite(
    { row: pair, partition, offset }: Read<PreferencePair>,
    gates: Gates,
  ): HeldRow | null {
    if (!this.request.iterations.includes(pair.iteration) || this.seen.has(pair.id)) return null;
    this.seen.add(pair.id);
    if (offset < this.partition(partition).end) return null;
    const row = cleaned(pair);
    return gates.pair({ pair, row }) === null
      ? { row, instruction: pair.instruction_id, offset }
      : null;
  }

  private async publish(number: number, partition: Partition): Promise<void> {
    const { settings } = this.request;
    const publication = new Publication(this.folder);
    const last = partition.held.at(-1)?.offset ?? 0;
    try {
      for (const { row, instruction } of partition.held) {
        const split: Split =
          this.chance(`split/${instruction}`) < settings.test_share ? 'test' : 'train';
        for (const { path, sets } of formatsOf(settings.formats, settings)) {
          const made = sets.preference?.row(row);
          if (!made || !sets.preference) continue;
          const { check, columns } = sets.preference;
          const place = shardPath(path('preference', split), number, partition.shards);
          await publication.addRow(place, made, check, columns);
        }
      }
      Object.assign(partition, { end: last + 1, shards: partition.shards + 1, held: [] });
      const written = [...this.partitions]
        .map(([one, { end, shards }]) => ({ partition: one, end, shards }))
        .sort((one, other) => one.partition - other.partition);
      const manifest = { ...this.made(), written };
      this.files = await publication.publish(manifest, this.files);
    } catch (error) {
      await publication.abandon();
      throw error;
    }
  }
}

/** The whole files list what cannot be read. */
const passedOver = (): void => undefined;

interface HeldRow {
  readonly row: PreferenceRow;
  readonly instruction: string;
  readonly offset: number;
}

interface Partition {
  /** Everything below is in a shard, or in none for good. */
  end: number;
  shards: number;
  /** Everything below was read by this process. */
  read: number;
  held: HeldRow[];
}

interface ShardSettings {
  readonly pipeline: string;
  readonly iterations: readonly string[];
  readonly seed: number;
  readonly settings: ExportSettings;
}

interface ShardManifest extends ShardSettings {
  readonly written: readonly Readonly<Pick<Partition, 'end' | 'shards'> & { partition: number }>[];
  readonly files: readonly ExportedFile[];
}

/** `trl/preference/train.jsonl` becomes `trl/preference/train-p0-000012.jsonl`, which loaders count to the same split. */
const shardPath = (path: string, partition: number, shard: number): string =>
  path.replace(/\.\w+$/, (ending) => `-p${partition}-${String(shard).padStart(6, '0')}${ending}`);

/** The file of the whole export that has the rows of a shard. */
export const wholePath = (path: string): string => path.replace(/-p\d+-\d{6,}(?=\.\w+$)/, '');

async function manifestIn(folder: string): Promise<ShardManifest | null> {
  const place = join(folder, manifestName);
  try {
    return JSON.parse(await readFile(place, 'utf8')) as ShardManifest;
  } catch (error) {
    if (isMissing(error)) return null;
    throw new UsageError(`${place} cannot be read: remove the shards, or name another --out`, {
      cause: error,
    });
  }
}
