import { createHash } from 'node:crypto';
import { basename, extname } from 'node:path';
import { UsageError } from '../../errors.ts';
import { readInstructions } from '../../input/read.ts';
import { openSource } from '../../input/source.ts';
import type { GateSettings } from '../settings.ts';
import type { InstructionGate } from './gate.ts';
import { gramsOf, textOf, wordsOf } from './words.ts';

/** The prompts of benchmarks by their runs of words. */
export interface Benchmarks {
  readonly gate: InstructionGate;
  readonly files: readonly GateFile[];
}

/** A file that settings name: its content decides, too. */
export interface GateFile {
  readonly path: string;
  readonly sha256: string;
}

/** A prompt of a benchmark. */
interface Item {
  /** `ifeval/1000`: the file's name without its ending, and the prompt's id. */
  readonly name: string;
  /** How many different runs of words it has. */
  readonly grams: number;
}

/**
 * Finds instructions that hold a prompt of a benchmark, whole or in large part, whatever stands around it: whoever
 * trains on them measures nothing with that benchmark any more.
 *
 * @throws UsageError if a file cannot be read, or a line of it is no prompt
 */
export async function openBenchmarks(settings: GateSettings['benchmarks']): Promise<Benchmarks> {
  const items: Item[] = [];
  const holders = new Map<string, number[]>();
  const files: GateFile[] = [];
  for (const path of settings.files) {
    const { prompts, file } = await promptsIn(path);
    files.push(file);
    for (const { name, text } of prompts) {
      const grams = gramsOf(wordsOf(text), settings.words);
      if (grams.size === 0) continue;
      for (const gram of grams) {
        const known = holders.get(gram);
        if (known) known.push(items.length);
        else holders.set(gram, [items.length]);
      }
      items.push({ name, grams: grams.size });
    }
  }
  const shortest = shortestPrompts(holders, settings.words);
  return {
    files,
    gate: ({ messages }) => {
      if (items.length === 0) return null;
      const words = wordsOf(textOf(messages));
      const found = new Map<number, number>();
      for (const length of [settings.words, ...shortest]) {
        if (length > words.length) continue;
        for (const gram of gramsOf(words, length)) {
          for (const item of holders.get(gram) ?? []) found.set(item, (found.get(item) ?? 0) + 1);
        }
      }
      let best: { readonly name: string; readonly share: number } | null = null;
      for (const [item, count] of found) {
        const { name, grams } = items[item] ?? { name: '', grams: Infinity };
        const share = count / grams;
        if (share < settings.overlap || (best && best.share >= share)) continue;
        best = { name, share };
      }
      return best && { reason: 'benchmark', detail: `${best.name} ${best.share.toFixed(2)}` };
    },
  };
}

/** Lengths of prompts that are shorter than a run: they are looked for whole. */
const shortestPrompts = (holders: ReadonlyMap<string, unknown>, words: number): readonly number[] =>
  [...new Set([...holders.keys()].map((gram) => gram.split(' ').length))].filter(
    (length) => length < words,
  );

/** A longer line than that is no prompt. */
const lineBytesMax = 8 * 1024 * 1024;

async function promptsIn(path: string): Promise<{
  readonly prompts: readonly { readonly name: string; readonly text: string }[];
  readonly file: GateFile;
}> {
  const source = await openSource(path);
  const hash = createHash('sha256');
  const prompts: { readonly name: string; readonly text: string }[] = [];
  async function* watched(): AsyncGenerator<Uint8Array> {
    for await (const chunk of source.chunks) {
      hash.update(chunk);
      yield chunk;
    }
  }
  const benchmark = basename(path, extname(path));
  // The same prompt twice is one prompt, and two with one id are two.
  const seen = { add: () => null, close: () => undefined };
  const items = readInstructions(
    { name: path, chunks: watched() },
    { format: 'auto', maxLineBytes: lineBytesMax, seen },
  );
  for await (const item of items) {
    if (item.kind === 'rejected') throw new UsageError(`benchmark ${item.message}`);
    if (item.kind === 'duplicate') continue;
    const { id, messages } = item.instruction;
    prompts.push({ name: `${benchmark}/${id}`, text: textOf(messages) });
  }
  return { prompts, file: { path, sha256: hash.digest('hex') } };
}
