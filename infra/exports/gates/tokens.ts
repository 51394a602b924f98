import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { UsageError } from '../../errors.ts';
import { messageOf } from '../../text.ts';
import type { PreferenceRow } from '../format.ts';
import type { GateSettings } from '../settings.ts';
import type { GateFile } from './benchmarks.ts';
import type { Gate } from './gate.ts';

/**
 * Leaves out pairs that a trainer would cut: it cuts the longer side harder, and then the pair says that shorter is
 * worse or better. Counted with the tokenizer of the model that is to be trained.
 *
 * @throws UsageError if the file cannot be read, or is no tokenizer
 */
export async function openTokensGate(
  path: string,
  { max, per_turn }: Pick<GateSettings['tokens'], 'max' | 'per_turn'>,
): Promise<{ readonly gate: Gate; readonly file: GateFile }> {
  const { tokenizer, file } = await tokenizerIn(path);
  const count = (text: string) =>
    tokenizer.encode(text, { add_special_tokens: false }).ids.length + per_turn;
  return {
    file,
    gate: ({ row }) => {
      const { prompt, chosen, rejected } = lengthsOf(row, count);
      return prompt + Math.max(chosen, rejected) <= max
        ? null
        : {
            reason: 'too-long',
            detail: `prompt ${prompt}, chosen ${chosen}, rejected ${rejected} tokens`,
          };
    },
  };
}

const lengthsOf = (
  { messages, chosen, rejected }: PreferenceRow,
  count: (text: string) => number,
) => ({
  prompt: messages.reduce((sum, { content }) => sum + count(content), 0),
  chosen: count(chosen),
  rejected: count(rejected),
});

/** What we use of `@huggingface/tokenizers`: its own types do not resolve as Node resolves modules. */
interface Tokenizer {
  encode(
    text: string,
    options: { readonly add_special_tokens: boolean },
  ): { readonly ids: readonly number[] };
}

type Package = Readonly<Record<'Tokenizer', new (tokenizer: object, config: object) => Tokenizer>>;

async function tokenizerIn(
  path: string,
): Promise<{ readonly tokenizer: Tokenizer; readonly file: GateFile }> {
  try {
    const bytes = await readFile(path);
    // Loaded only where the gate is on.
    const { Tokenizer } = (await import('@huggingface/tokenizers')) as unknown as Package;
    const tokenizer = new Tokenizer(JSON.parse(bytes.toString()) as object, {});
    // It builds anything, and fails at the first text.
    tokenizer.encode('a b', { add_special_tokens: false });
    return { tokenizer, file: { path, sha256: createHash('sha256').update(bytes).digest('hex') } };
  } catch (error) {
    throw new UsageError(
      `export.gates.tokens.tokenizer ${path} is not a tokenizer.json that can be read: ${messageOf(error)}`,
      { cause: error },
    );
  }
}
