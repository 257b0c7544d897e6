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
    """Write a file per dataset with hidden answers, named like its data file. Return a line about each.

    A file contains every question in the order of the data. A missing response is empty, and the line counts these.
    Raises `OSError` if a file cannot be written.
    """
    lines = []
    for dataset, split in dict.fromkeys((i.dataset, i.split) for i in results.expected.values() if _is_hidden(i)):
        items = [i for i in results.expected.values() if (i.dataset, i.split) == (dataset, split) and _is_hidden(i)]
        records = {r.item: r for r in results.records if r.task == "perception"}
        entries = [_entry(item, records.get(item.id)) for item in items]
        path = folder / f"{dataset}_{split or 'hidden'}.json"
        write_text(path, json.dumps(entries, ensure_ascii=False, indent=1) + "\n")
        empty = sum(not entry["response"] for entry in entries)
        without = f", {empty} of them without a response" if empty else ""
        lines.append(
            f"submission: {path} ({len(entries)} questions{without}); nothing was gated: the answers are hidden"
        )
    return lines


def _is_hidden(item: Item) -> bool:
    return item.task == "perception" and item.answer is None


def _entry(item: Item, record: Record | None) -> dict[str, Any]:
    """Return the question as published, with the added key `response`: the model's text, or the likeliest option."""
    prefix = f"{item.dataset}/{item.split}/" if item.split else f"{item.dataset}/"
    name, number, count = item.id.removeprefix(prefix).rpartition("#")
    entry: dict[str, Any] = _codes(item)
    entry["question"] = item.question
    entry["img_path"] = name if number and count.isdigit() else item.id.removeprefix(prefix)
    entry["candidates"] = list(item.options)
    entry["response"] = (
        "" if record is None else record.response if record.response is not None else record.choice or ""
    )
    return entry


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
