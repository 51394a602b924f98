"""Loads an export as TRL's commands do, and writes what its trainers would learn from, row by row, as JSON.

Usage: trl_rows.py FOLDER MODEL REPORT.json
"""

import json
import sys
from pathlib import Path

from datasets import load_dataset
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

# No training, so neither precision nor batches matter; the lengths are DESIGN's.
COMMON = {"report_to": "none", "bf16": False, "use_cpu": True}


def preference(folder: Path, model: str, scratch: str) -> dict:
    sets = load_dataset(str(folder))
    config = DPOConfig(output_dir=scratch, max_length=2048, **COMMON)
    trainer = DPOTrainer(
        model=model, args=config, train_dataset=sets["train"], eval_dataset=sets["test"]
    )
    text = trainer.processing_class.decode
    return {
        split: [
            {"given": text(row["prompt_ids"]), "learnt": [text(row["chosen_ids"]), text(row["rejected_ids"])]}
            for row in rows
        ]
        for split, rows in (("train", trainer.train_dataset), ("test", trainer.eval_dataset))
    }


def refiner_sft(folder: Path, model: str, scratch: str) -> dict:
    sets = load_dataset(str(folder))
    config = SFTConfig(output_dir=scratch, max_length=4096, **COMMON)
    trainer = SFTTrainer(
        model=model, args=config, train_dataset=sets["train"], eval_dataset=sets["test"]
    )
    text = trainer.processing_class.decode
    return {
        split: [
            {
                "given": text([token for token, label in zip(row["input_ids"], row["labels"]) if label == -100]),
                "learnt": [text([label for label in row["labels"] if label != -100])],
            }
            for row in rows
        ]
        for split, rows in (("train", trainer.train_dataset), ("test", trainer.eval_dataset))
    }


def main() -> None:
    folder, model, report = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    scratch = str(report.parent / "unused")
    found = {
        "preference": preference(folder / "preference", model, scratch),
        "refiner_sft": refiner_sft(folder / "refiner_sft", model, scratch),
    }
    report.write_text(json.dumps(found))


main()
