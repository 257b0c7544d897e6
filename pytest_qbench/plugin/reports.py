"""Test reports as item outcomes and verdicts."""

from __future__ import annotations

import pytest

from pytest_qbench.plugin.collection import bench_item, is_gate
from pytest_qbench.plugin.stash import RECORD, STATUS, VERDICT

# status or verdict: (category, letter, word and colour with -v)
OUTCOMES: dict[str, tuple[str, str, tuple[str, dict[str, bool]]]] = {
    "correct": ("correct", ".", ("CORRECT", {"green": True})),
    "wrong": ("wrong", "w", ("WRONG", {"yellow": True})),
    "unparsed": ("unparsed", "u", ("UNPARSED", {"purple": True})),
    "measured": ("measured", ".", ("MEASURED", {"green": True})),
    "error": ("tolerated errors", "e", ("ERROR", {"red": True})),
    "inconclusive": ("inconclusive", "?", ("INCONCLUSIVE", {"yellow": True})),
    "not gated": ("not gated", "-", ("NOT GATED", {"yellow": True})),
}


def attach(item: pytest.Item, report: pytest.TestReport) -> None:
    """Put item (once) and outcome, or the verdict of a gate, on the report."""
    if (record := item.stash.get(RECORD, None)) is not None:
        report.qbench_item = (record.task, record.item)  # type: ignore[attr-defined]
        item.stash[STATUS] = record.status
        del item.stash[RECORD]
    kind = "gate" if is_gate(item) else "item" if bench_item(item) is not None else None
    report.qbench_kind = kind  # type: ignore[attr-defined]
    if report.when == "call" and report.passed:
        report.qbench_outcome = item.stash.get(STATUS, None) or item.stash.get(VERDICT, None)  # type: ignore[attr-defined]


def remember_wrong(config: pytest.Config, report: pytest.TestReport) -> None:
    """Let pytest's --lf and --ff know what was wrong, unparsed or in error, and not only what failed."""
    plugin = config.pluginmanager.getplugin("lfplugin")
    if plugin is not None:
        plugin.lastfailed[getattr(report, "id", report.nodeid)] = True
