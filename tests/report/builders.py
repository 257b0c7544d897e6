"""Build run folders without a run: computed items and records, and the summary that a run would write about them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pytest_qbench.baseline.snapshot import SNAPSHOT
from pytest_qbench.gates.flips import flips
from pytest_qbench.items import Item
from pytest_qbench.metrics.compute import compute_metrics
from pytest_qbench.metrics.metric import Metric
from pytest_qbench.records import RECORDS, Record
from pytest_qbench.runs.items_file import NamedImage, write_items
from pytest_qbench.runs.summary import SUMMARY

TYPES = ("yes_or_no", "what", "how")
CONCERNS = ("distortion", "other", "in_context_distortion", "in_context_other")
SCRIPT = "<script>alert(1)</script>"
QUOTED = "a \"quoted\" 'name' & <b>.jpg"


def run_folder(
    folder: Path,
    items: Sequence[Item],
    records: Sequence[Record],
    before: Sequence[Record] = (),
    **summary: Any,
) -> Path:
    """Write a run folder. With records of a baseline, its summary contains one gate on accuracy."""
    folder.mkdir(parents=True, exist_ok=True)
    write_items(folder, items)
    for name, lines in ((RECORDS, records), (SNAPSHOT, before)):
        (folder / name).write_text("".join(r.to_json() + "\n" for r in lines), encoding="utf-8")
    old = {(r.task, r.item): r for r in before}
    pairs = [(r, old[r.task, r.item]) for r in records if r.task == "perception" and before]
    moved = flips("perception.accuracy", pairs, {(i.task, i.id): i for i in items})
    row = Metric(
        "perception.accuracy", "mini", None, None, 0.71, 400, (0.66, 0.75), 0.74, -0.03, (-0.05, -0.012), 0.001, 0.017,
        0.01, 0.024, "regressed",
    )  # fmt: skip
    gate = {
        "name": "perception.accuracy", "verdict": "regressed", "outcome": "fail", "reason": "mini: -0.0300, p = 0.001",
        "rows": [asdict(row)], "lost": [asdict(f) for f in moved.lost],
        "gained": [asdict(f) for f in moved.gained], "lost_count": len(moved.all_lost),
        "gained_count": len(moved.all_gained),
    }  # fmt: skip
    count = {s: sum(r.status == s for r in records) for s in ("unparsed", "error")}
    model = summary.get("model", {"name": "built"})
    content = {
        "schema": 1, "began": "2026-01-01T00:00:00+00:00", "seconds": 1.0, "verdict": "REGRESSED: perception.accuracy",
        "model": model, "fingerprint": {"data": "built", "model": model},
        "baseline": {"name": "old", "path": "baselines/old", "recorded": "2025-12-01T00:00:00+00:00"},
        "items": {"total": len(items), "scored": len(records) - sum(count.values()), "unparsed": count["unparsed"],
                  "errors": count["error"]},
        "metrics": [asdict(m) for m in compute_metrics(records)], "gates": [gate] if before else [], "sight": None,
        "errors": [], "missing": [], "left_out": [], "drifts": [], "made_otherwise": [], "notes": [], "changes": [],
        "submissions": [], **summary,
    }  # fmt: skip
    (folder / SUMMARY).write_text(json.dumps(content), encoding="utf-8")
    return folder


def make_item(i: int, task: str, dataset: str, image: str | None = None) -> Item:
    images = (NamedImage(image or f"images/{dataset}/{i:06d}.jpg"),)
    name = f"{dataset}/{i:06d}.jpg"
    if task == "assessment":
        return Item(name, "assessment", dataset, None, name, images, target=(i * 7919 % 1000) / 200)
    if task == "description":
        return Item(name, "description", dataset, None, name, images, golden=(f"Golden text {i}.",))
    words = ("Yes", "No") if i % 3 == 0 else ("Blur", "Noise", "Low light", "None of them")
    slices = {"type": TYPES[i % 3], "concern": CONCERNS[i // 3 % 4]}
    return Item(
        name, "perception", dataset, None, name, images, f"Which of these fits image {i}?", words, words[0], slices
    )


def make_record(item: Item, shift: int, reply: str | None = None) -> Record:
    """Return the record of an item. Another `shift` changes one answer or score in fifty."""
    i = int(item.id.rpartition("/")[2].removesuffix(".jpg"))
    moved = (i + shift) % 50 == 0
    if item.task == "assessment":
        score = 0.05 + 0.15 * float(item.target or 0) + 0.1 * (i * 31 % 17) / 17
        return Record.of(item, "measured", score=min(1.0, score), logprobs={"good": -score, "poor": -1.0})
    if item.task == "description":
        verdicts = {d: [i % 3, 2, (i + shift) % 3, 2, 1] for d in ("completeness", "preciseness", "relevance")}
        return Record.of(item, "measured", response=reply or f"The image {i} is sharp.", judge=verdicts)
    choice = item.options[1 if moved or i % 4 == 0 else 0]
    return Record.of(
        item, "correct" if choice == item.answer else "wrong", response=reply or f"I think {choice}.", choice=choice
    )


def large(n: int) -> tuple[list[Item], list[Record], list[Record]]:
    """Return `n` items of all tasks in nine datasets, their records and those of a baseline."""
    parts = [("perception", "llvisionqa")] * 2 + [("description", "lldescribe")] * 1
    parts += [("assessment", name) for name in ("koniq", "spaq", "livefb", "livec", "cgiqa", "agiqa", "kadid")]
    items = [make_item(i, *parts[i % len(parts)]) for i in range(n)]
    return items, [make_record(item, 0) for item in items], [make_record(item, 1) for item in items]
