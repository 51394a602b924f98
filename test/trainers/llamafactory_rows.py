"""Loads an export as `llamafactory-cli train` does, and writes what it would learn from, row by row, as JSON.

Runs in the folder of the export's configurations.

Usage: llamafactory_rows.py MODEL REPORT.json
"""

import json
import sys
from pathlib import Path

import yaml
from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
from llamafactory.hparams import get_train_args
from llamafactory.model import load_tokenizer

KINDS = {"preference": ("dpo.yaml", "rm"), "refiner_sft": ("sft.yaml", "sft")}


def loaded(configuration: str, stage: str, model: str, scratch: str) -> tuple[dict, object]:
    """The data sets that a configuration names, tokenised; precision is the only thing that this machine decides."""
    settings = yaml.safe_load(Path(configuration).read_text())
    changes = {"model_name_or_path": model, "output_dir": scratch, "bf16": False}
    model_args, data_args, training_args, _, _ = get_train_args({**settings, **changes})
    module = load_tokenizer(model_args)
    template = get_template_and_fix_tokenizer(module["tokenizer"], data_args)
    sets = get_dataset(template, model_args, data_args, training_args, stage=stage, **module)
    return sets, module["tokenizer"]


def rows_of(sets: dict, tokenizer: object, prefixes: tuple[str, ...]) -> dict:
    """Of each row what is given, and what is learnt for each of these prefixes of its columns."""
    splits = {"train": sets["train_dataset"], "test": sets["eval_dataset"]}
    return {split: [learnt(row, tokenizer, prefixes) for row in rows] for split, rows in splits.items()}


def learnt(row: dict, tokenizer: object, prefixes: tuple[str, ...]) -> dict:
    first = prefixes[0]
    pairs = zip(row[f"{first}input_ids"], row[f"{first}labels"])
    return {
        "given": tokenizer.decode([token for token, label in pairs if label == -100]),
        "learnt": [
            tokenizer.decode([label for label in row[f"{prefix}labels"] if label != -100])
            for prefix in prefixes
        ],
    }


def main() -> None:
    model, report = sys.argv[1], Path(sys.argv[2])
    found = {}
    for kind, (configuration, stage) in KINDS.items():
        sets, tokenizer = loaded(configuration, stage, model, str(report.parent / "unused"))
        prefixes = ("chosen_", "rejected_") if kind == "preference" else ("",)
        found[kind] = rows_of(sets, tokenizer, prefixes)
    report.write_text(json.dumps(found))


main()
