"""Loads an export as its users do, and prints what their loaders make of it as one JSON object.

Usage: load.py FOLDER
"""

import json
import sys
from pathlib import Path

import yaml
from datasets import get_dataset_config_names, load_dataset


def llamafactory(folder: Path) -> dict:
    """Every data set of dataset_info.json, through the checks of LLaMA-Factory's sharegpt converter."""
    info = json.loads((folder / "dataset_info.json").read_text())
    return {name: converted(folder, entry) for name, entry in info.items()}


def converted(folder: Path, entry: dict) -> dict:
    rows = load_dataset("json", data_files=str(folder / entry["file_name"]), split="train")
    kept = [row for row in rows if accepted(row, entry)]
    return {"columns": sorted(rows.column_names), "rows": len(rows), "accepted": len(kept)}


def accepted(row: dict, entry: dict) -> bool:
    """Source: LLaMA-Factory, src/llamafactory/data/converter.py, SharegptDatasetConverter."""
    tags, columns = entry["tags"], entry["columns"]
    ranking = entry.get("ranking", False)
    role, content = tags["role_tag"], tags["content_tag"]
    turns = row[columns["messages"]]
    if turns and turns[0][role] == tags["system_tag"]:
        turns = turns[1:]
    for index, turn in enumerate(turns):
        expected = tags["assistant_tag"] if index % 2 else tags["user_tag"]
        if turn[role] != expected or not isinstance(turn[content], str):
            return False
    if len(turns) % 2 != (1 if ranking else 0):
        return False
    if "kto_tag" in columns and not isinstance(row[columns["kto_tag"]], bool):
        return False
    if not ranking:
        return True
    sides = [row[columns["chosen"]], row[columns["rejected"]]]
    return all(isinstance(side, dict) and side[role] == tags["assistant_tag"] for side in sides)


def folders(folder: Path) -> dict:
    """Every folder as a data set of its own, as TRL, OpenRLHF and whoever reads `raw` name them."""
    return {kind.name: splits(load_dataset(str(kind))) for kind in sorted(folder.iterdir())}


def configurations(folder: Path) -> dict:
    """Every configuration that the card of a hub's folder names, and what is loaded where none is named."""
    names = get_dataset_config_names(str(folder))
    found = {name: splits(load_dataset(str(folder), name)) for name in names}
    return {"default": splits(load_dataset(str(folder))), **found}


def splits(sets) -> dict:
    return {
        split: {
            "columns": sorted(rows.column_names),
            "features": {name: str(feature) for name, feature in rows.features.items()},
            "rows": rows.to_list(),
        }
        for split, rows in sets.items()
    }


def openrlhf(folder: Path) -> list:
    """Source: OpenRLHF, openrlhf/datasets/utils.py (a file by its ending) and reward_dataset.py (prompt + side)."""
    rows = load_dataset("json", data_files=str(folder / "preference" / "train.jsonl"))["train"]
    return [[rendered(row["prompt"] + row[side]) for side in ("chosen", "rejected")] for row in rows]


def axolotl(folder: Path) -> dict:
    """Every data set that a configuration names, through the steps of axolotl's strategies."""
    found = {}
    for name in ("dpo", "sft"):
        for entry in yaml.safe_load((folder / f"{name}.yaml").read_text())["datasets"]:
            rows = load_dataset(entry["ds_type"], data_files=str(folder / entry["path"]), split=entry["split"])
            found[name] = [learnt(row, entry) for row in rows]
    return found


def learnt(row: dict, entry: dict) -> dict:
    """Source: axolotl, prompt_strategies/dpo/chat_template.py and prompt_strategies/chat_template.py."""
    if entry["type"] == "chat_template.default":
        return {side: cut(row[side]) for side in ("chosen", "rejected")}
    mark, detail = entry["message_field_training"], entry["message_field_training_detail"]
    turns = [turn for turn in row["messages"] if turn[mark]]
    pieces = [
        turn["content"][piece["begin_offset"] : piece["end_offset"] + 1] for turn in turns for piece in turn[detail]
    ]
    return {"learnt": pieces, "whole": [turn["content"] for turn in turns], "turns": len(row["messages"])}


def cut(side: dict) -> str:
    """A side is rendered after a made-up turn, and begins where its text is first found."""
    text = rendered([{"role": "user", "content": "[[dummy_message]]"}, side])
    return text[text.find(side["content"]) :].rstrip()


def rendered(turns: list) -> str:
    return "".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in turns)


def main() -> None:
    folder = Path(sys.argv[1])
    found = {
        "llamafactory": llamafactory(folder / "llamafactory"),
        "trl": folders(folder / "trl"),
        "openrlhf": {"folders": folders(folder / "openrlhf"), "texts": openrlhf(folder / "openrlhf")},
        "axolotl": axolotl(folder / "axolotl"),
        "huggingface": configurations(folder / "huggingface"),
        "raw": folders(folder / "raw"),
        "yaml": {path.stem: yaml.safe_load(path.read_text()) for path in (folder / "llamafactory").glob("*.yaml")},
    }
    print(json.dumps(found))


main()
