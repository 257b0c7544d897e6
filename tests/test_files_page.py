"""The pages on files and metrics name every field and every metric that the code writes."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from pytest_qbench.metrics.metric import Metric
from pytest_qbench.metrics.specs import METRICS
from pytest_qbench.records import Record

DOCS = Path(__file__).parents[1] / "docs"


def first_cells(page: str, heading: str) -> set[str]:
    """Return the words in backticks in the first cells of the tables after a heading."""
    text = (DOCS / page).read_text(encoding="utf-8").partition(heading)[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return {word for line in lines for word in re.findall(r"`([^`]+)`", line.split("|")[1])}


def test_every_field_of_a_record_is_described() -> None:
    assert first_cells("files.md", "## records.jsonl") == {"schema", *(field.name for field in fields(Record))}


def test_every_field_of_a_metric_is_described() -> None:
    table = first_cells("files.md", "| field of a metric |")
    assert table == {field.name for field in fields(Metric)}


def test_every_metric_of_a_gate_is_described() -> None:
    text = (DOCS / "metrics.md").read_text(encoding="utf-8").partition("## Metrics that a gate can judge")[2]
    named = set(re.findall(r"`([a-z_.]+)`", text.partition("\n## ")[0]))
    for name in METRICS:
        assert name in named or f".{name.partition('.')[2]}" in named, name
