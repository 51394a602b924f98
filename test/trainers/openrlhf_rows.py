"""Makes examples of an export's rows by OpenRLHF's own code, and writes what would be learnt from them as JSON.

Usage: openrlhf_rows.py FOLDER MODEL REPORT.json
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

from datasets import Dataset, load_dataset
from openrlhf.datasets.reward_dataset import RewardDataset
from openrlhf.datasets.sft_dataset import SFTDataset
from transformers import AutoTokenizer, PreTrainedTokenizerBase


def strategy(**keys: str | None) -> SimpleNamespace:
    """What its command line would have said: --apply_chat_template, and which key holds what."""
    return SimpleNamespace(args=SimpleNamespace(data=SimpleNamespace(apply_chat_template=True, **keys)))


def preference(rows: Dataset, tokenizer: PreTrainedTokenizerBase) -> list[dict]:
    keys = strategy(prompt_key="prompt", chosen_key="chosen", rejected_key="rejected")
    examples = RewardDataset(rows, tokenizer, 2048, keys, is_dpo=True, num_processors=1)
    return [pair(*examples[index], tokenizer) for index in range(len(examples))]


def pair(chosen, _chosen_mask, rejected, _rejected_mask, given: int, tokenizer) -> dict:
    """`given` is the length of the prompt, in tokens."""
    return {
        "given": tokenizer.decode(chosen[0][:given]),
        "learnt": [tokenizer.decode(side[0][given:]) for side in (chosen, rejected)],
    }


def refiner_sft(rows: Dataset, tokenizer: PreTrainedTokenizerBase) -> list[dict]:
    keys = strategy(input_key="messages", output_key=None)
    examples = SFTDataset(rows, tokenizer, 4096, keys, num_processors=1)
    return [answer(*examples[index], tokenizer) for index in range(len(examples))]


def answer(tokens, _attention_mask, loss_mask, tokenizer) -> dict:
    """Its mask is that of predictions: a token is learnt if the place before it counts."""
    learnt = [False, *(bool(place) for place in loss_mask[0][:-1])]
    return {
        "given": tokenizer.decode([token for token, is_learnt in zip(tokens[0], learnt) if not is_learnt]),
        "learnt": [tokenizer.decode([token for token, is_learnt in zip(tokens[0], learnt) if is_learnt])],
    }


def main() -> None:
    folder, model, report = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    tokenizer = AutoTokenizer.from_pretrained(model)
    found = {
        kind.__name__: {
            split: kind(rows, tokenizer)
            for split, rows in load_dataset(str(folder / kind.__name__)).items()
        }
        for kind in (preference, refiner_sft)
    }
    report.write_text(json.dumps(found))


main()
