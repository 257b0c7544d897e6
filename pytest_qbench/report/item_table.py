"""The items of a run as columns, so that a table of 85,000 rows takes a few megabytes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_qbench.items import TASKS, Item
from pytest_qbench.metrics.specs import judged_mean
from pytest_qbench.records import Record
from pytest_qbench.report.finished_run import FinishedRun, Key

STATUSES = ("correct", "wrong", "unparsed", "measured", "error", "missing")
DIGITS = 6  # significant digits of scores and MOS; the run folder holds the exact values


class Texts:
    """A list of distinct texts. A cell of the table holds the position of its text, or -1 for no text."""

    def __init__(self) -> None:
        self.positions: dict[str, int] = {}

    def add(self, text: str | None) -> int:
        """Return the position of a text, added if it is new."""
        return -1 if text is None else self.positions.setdefault(text, len(self.positions))


def columns(run: FinishedRun) -> dict[str, Any]:
    """Return the columns of a table of all items, with their results now and before, as JSON-ready data.

    The order is that of the run. `texts` holds each distinct text once. Numbers are rounded to `DIGITS` digits.
    """
    texts = Texts()
    names = (
        "id", "task", "status", "dataset", "slices", "question", "options", "answer", "reference", "image", "golden",
        "choice", "reply", "value", "judge", "error", "was_status", "was_choice", "was_reply", "was_value",
    )  # fmt: skip
    table: dict[str, list[Any]] = {name: [] for name in names}
    for key, item in run.items.items():
        row = {**_item_cells(item, texts), **_record_cells(key, run.records, texts, "")}
        if run.before:
            row |= _record_cells(key, run.before, texts, "was_")
        for name in names:
            table[name].append(row.get(name, -1))
    return {
        "texts": list(texts.positions), "tasks": TASKS, "statuses": STATUSES,
        **{name: cells for name, cells in table.items() if any(cell != -1 for cell in cells)},
    }  # fmt: skip


def _item_cells(item: Item, texts: Texts) -> dict[str, Any]:
    return {
        "id": item.id,
        "task": TASKS.index(item.task),
        "dataset": texts.add(item.dataset),
        "slices": texts.add(", ".join(f"{k} {v}".replace("_", " ") for k, v in item.slices.items()) or None),
        "question": texts.add(item.question),
        "options": texts.add("\n".join(option.replace("\n", " ") for option in item.options) or None),
        "answer": texts.add(item.answer),
        "reference": rounded(item.target),
        "image": texts.add(item.images[0].name if item.images else None),
        "golden": texts.add("\n\n".join(item.golden) or None),
    }


def _record_cells(key: Key, records: Mapping[Key, Record], texts: Texts, prefix: str) -> dict[str, Any]:
    record = records.get(key)
    if record is None:
        return {prefix + "status": STATUSES.index("missing"), prefix + "value": None}
    value = judged_mean(record, "sum") if record.task == "description" else record.score
    rounds = "; ".join(
        f"{dimension} {' '.join('?' if v is None else str(v) for v in verdicts)}"
        for dimension, verdicts in (record.judge or {}).items()
    )
    return {
        prefix + "status": STATUSES.index(record.status),
        prefix + "choice": texts.add(record.choice),
        prefix + "reply": texts.add(record.response),
        prefix + "value": rounded(value),
        prefix + "judge": texts.add(rounds or None),
        prefix + "error": texts.add(record.error),
    }


def rounded(value: float | None) -> float | None:
    """Return a number rounded to `DIGITS` significant digits."""
    return None if value is None else float(f"{value:.{DIGITS}g}")
