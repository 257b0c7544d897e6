"""Write the answers to questions with hidden answers, in the format that the benchmark's authors accept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pytest_qbench.data import published
from pytest_qbench.items import Item
from pytest_qbench.metrics.results import Results
from pytest_qbench.records import Record
from pytest_qbench.untrusted.files import write_text


def write_submissions(folder: Path, results: Results) -> list[str]:
    """Write a file per dataset with a hidden key, named like its data file. Return a line about each.

    A file contains every item in the order of the data. A missing response is empty, and the line counts these.
    A run with shuffled options writes none, for its letters mean other options than those of the data. Raises `OSError`
    if a file cannot be written.
    """
    lines: list[str] = []
    if results.fingerprint.option_order is not None:
        return lines
    hidden = [item for item in results.expected.values() if _is_hidden(item)]
    for task, dataset, split in dict.fromkeys((i.task, i.dataset, i.split) for i in hidden):
        items = [i for i in hidden if (i.task, i.dataset, i.split) == (task, dataset, split)]
        records = {r.item: r for r in results.records if r.task == task}
        entries = [_entry(item, records.get(item.id)) for item in items]
        path = folder / f"{dataset}_{split or 'hidden'}.json"
        write_text(path, json.dumps(entries, ensure_ascii=False, indent=1) + "\n")
        empty = sum(not entry["response"] for entry in entries)
        without = f", {empty} of them without a response" if empty else ""
        kind, key = ("images", "golden texts") if task == "description" else ("questions", "answers")
        lines.append(f"submission: {path} ({len(entries)} {kind}{without}); nothing was gated: the {key} are hidden")
    return lines


def _is_hidden(item: Item) -> bool:
    """Return whether the key of an item is not public."""
    if item.task == "description":
        return not item.golden
    return item.task == "perception" and item.answer is None


def _entry(item: Item, record: Record | None) -> dict[str, Any]:
    """Return the entry as published, with the added key `response`: the model's text, or the likeliest option."""
    prefix = f"{item.dataset}/{item.split}/" if item.split else f"{item.dataset}/"
    name, number, count = item.id.removeprefix(prefix).rpartition("#")
    image = name if number and count.isdigit() else item.id.removeprefix(prefix)
    response = "" if record is None else record.response if record.response is not None else record.choice or ""
    if item.task == "description":
        return {"img_path": image, "response": response}
    if "category" in item.slices:  # A-Bench
        steps = [item.slices.get("part"), *item.slices["category"].split("/")]
        category = " -> ".join(step for step in steps if step is not None)
        return {"img_path": image, "question": item.question, "answers": list(item.options), "category": category,
                "response": response}  # fmt: skip
    return {**_codes(item), "question": item.question, "img_path": image, "candidates": list(item.options),
            "response": response}  # fmt: skip


def _codes(item: Item) -> dict[str, int]:
    codes = {}
    kind, concern, pair = (item.slices.get(key) for key in ("type", "concern", "pair"))
    if kind in published.TYPES:
        codes["type"] = published.TYPES.index(kind)
    if concern is not None and pair is not None and (concern, pair) in published.PAIR_CONCERNS:
        codes["concern"] = published.PAIR_CONCERNS.index((concern, pair))
    elif concern in published.CONCERNS:
        codes["concern"] = published.CONCERNS.index(concern)
    return codes
