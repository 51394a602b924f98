"""Loads an export as its users do, and prints what their loaders make of it as one JSON object.

Usage: load.py FOLDER
"""

import json
import sys
from pathlib import Path

import yaml
from datasets import load_dataset


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
    if not ranking:
        return True
    sides = [row[columns["chosen"]], row[columns["rejected"]]]
    return all(isinstance(side, dict) and side[role] == tags["assistant_tag"] for side in sides)


def trl(folder: Path) -> dict:
    """Every folder as a data set of its own."""
    return {kind.name: splits(kind) for kind in sorted(folder.iterdir())}


def splits(folder: Path) -> dict:
    sets = load_dataset(str(folder))
    return {
        split: {"columns": sorted(rows.column_names), "rows": rows.to_list()}
        for split, rows in sets.items()
    }


def main() -> None:
    folder = Path(sys.argv[1])
    configurations = {
        path.stem: yaml.safe_load(path.read_text()) for path in (folder / "llamafactory").glob("*.yaml")
    }
    found = {
        "llamafactory": llamafactory(folder / "llamafactory"),
        "trl": trl(folder / "trl"),
        "yaml": configurations,
    }
    print(json.dumps(found))


main()
