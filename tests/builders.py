"""Small benchmark objects for the tests."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import yaml

from pytest_qbench.baseline.folder_files import seal
from pytest_qbench.items import Item
from pytest_qbench.metrics.fingerprint import Fingerprint
from pytest_qbench.metrics.results import Results
from pytest_qbench.records import Record


def question(i: int, *, answer: str | None = "Yes", type_: str = "yes_or_no", group: str | None = None) -> Item:
    return Item(
        f"mini/{i}", "perception", "mini", None, group or f"mini/{i}", (), f"Is image {i} blurry?", ("Yes", "No"),
        answer, {"type": type_, "concern": "distortion"},
    )  # fmt: skip


def picture(i: int, target: float, dataset: str = "mini_a") -> Item:
    return Item(f"{dataset}/{i}", "assessment", dataset, None, f"{dataset}/{i}", (), target=target)


def text(i: int) -> Item:
    return Item(f"mini/{i}-d", "description", "mini", None, f"mini/{i}-d", (), golden=("The image is blurry.",))


def answered(item: Item, choice: str | None) -> Record:
    status = "unparsed" if choice is None else "correct" if choice == item.answer else "wrong"
    return Record.of(item, status, choice=choice)


def scored(item: Item, score: float) -> Record:
    return Record.of(item, "measured", score=score)


def judged(item: Item, *verdicts: int | None) -> Record:
    return Record.of(
        item,
        "measured",
        response="text",
        judge={key: list(verdicts) for key in ("completeness", "preciseness", "relevance")},
    )


CONDITIONS: dict[str, Any] = {
    "prompts": "p", "answer": "likelihood", "scoring": {"words": ["good", "poor"], "temperature": 1.0}, "blind": False, "judge": None, "judge_rounds": 5,
}  # fmt: skip


def results(items: list[Item], records: list[Record], **conditions: Any) -> Results:
    return Results(records, {(i.task, i.id): i for i in items}, Fingerprint.from_json({**CONDITIONS, **conditions}))


def reseal(baseline: Path) -> None:
    """Update the checksums of a baseline after a test has changed its files."""
    head = yaml.safe_load((baseline / "baseline.yaml").read_text())
    for entry in head["files"]:
        entry["sha256"] = hashlib.sha256((baseline / entry["file"]).read_bytes()).hexdigest()
    head["seal"] = seal(head)
    (baseline / "baseline.yaml").write_text(yaml.safe_dump(head))
