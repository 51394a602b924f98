"""Makes examples of an export's pairs by axolotl's own code, and writes what would be learnt from them as JSON.

Usage: axolotl_rows.py FOLDER MODEL REPORT.json
"""

import json
import sys
from pathlib import Path

import yaml
from axolotl.prompt_strategies.dpo.chat_template import default
from axolotl.utils.dict import DictDefault
from datasets import Dataset, load_dataset
from transformers import AutoTokenizer, PreTrainedTokenizerBase

FILES = {"train": "preference.jsonl", "test": "preference_test.jsonl"}


def preference(rows: Dataset, tokenizer: PreTrainedTokenizerBase, settings: dict) -> list[dict]:
    transform, _ = default(DictDefault(settings))
    examples = (transform(row, tokenizer=tokenizer) for row in rows)
    return [{"given": one["prompt"], "learnt": [one["chosen"], one["rejected"]]} for one in examples]


def main() -> None:
    folder, model, report = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    tokenizer = AutoTokenizer.from_pretrained(model)
    settings = yaml.safe_load((folder / "dpo.yaml").read_text())
    sets = load_dataset("json", data_files={split: str(folder / name) for split, name in FILES.items()})
    found = {"preference": {split: preference(rows, tokenizer, settings) for split, rows in sets.items()}}
    report.write_text(json.dumps(found))


main()
