import type { Format } from './format.ts';
import { conversationalPairs, conversations } from './trl.ts';

/**
 * What OpenRLHF reads with `--apply_chat_template`: it adds prompt and side together, so both are lists of turns.
 * Its keys are named on the command line (`--data.prompt_key prompt`, `--data.input_key messages`). Without `--data.multiturn` it
 * learns the last turn of a conversation only, as it should. It makes the sides of pairs unpaired itself.
 *
 * Source: OpenRLHF, `openrlhf/datasets/reward_dataset.py`, `sft_dataset.py` and `utils.py`.
 */
export const openrlhf: Format = {
  name: 'openrlhf',
  path: (kind, split) => `openrlhf/${kind}/${split}.jsonl`,
  sets: {
    preference: conversationalPairs,
    steps: conversationalPairs,
    refiner_sft: conversations,
    actor_sft: conversations,
  },
  extras: () => ({}),
};
