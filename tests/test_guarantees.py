"""The page of guarantees names tests that exist, and states how often each promise was attacked."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROW = re.compile(r"^\| (?P<promise>[^|]+) \| `(?P<file>[^`:]+)::(?P<test>\w+)` \| (?P<attacks>\d+) \|$")


def test_every_promise_names_a_test_that_exists() -> None:
    text = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    table = [
        line for line in text.splitlines() if line.startswith("| ") and not line.startswith(("| promise", "| ---"))
    ]
    rows = [ROW.match(line) for line in table]
    assert len(rows) >= 20
    assert all(rows), [line for line, row in zip(table, rows, strict=True) if row is None]
    for row in filter(None, rows):
        tree = ast.parse((ROOT / row["file"]).read_text(encoding="utf-8"))
        assert row["test"] in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, row["test"]
    said = re.search(r"(\d+) ended as wanted", text)
    assert said is not None
    assert int(said[1]) == sum(int(row["attacks"]) for row in filter(None, rows))
