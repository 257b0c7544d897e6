"""Test reports as item outcomes and verdicts, and the end of a session."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest

from pytest_qbench.session import KEY, QBench, is_worker

if TYPE_CHECKING:
    from pytest_qbench.records import Record

RECORD = pytest.StashKey["Record"]()
STATUS = pytest.StashKey[str]()
VERDICT = pytest.StashKey[str]()

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


def attach(item: pytest.Item, report: pytest.TestReport) -> pytest.TestReport:
    """Put the record of an item (once) and the verdict of a gate on the report."""
    if (record := item.stash.get(RECORD, None)) is not None:
        report.qbench_record = asdict(record)  # type: ignore[attr-defined]
        item.stash[STATUS] = record.status
        del item.stash[RECORD]
    if report.when == "call" and report.passed:
        report.qbench_outcome = item.stash.get(STATUS, None) or item.stash.get(VERDICT, None)  # type: ignore[attr-defined]
    return report


def status(report: pytest.TestReport) -> tuple[str, str, Any] | None:
    """Return category, letter and word of a passed item or gate; None leaves it to pytest."""
    return OUTCOMES.get(getattr(report, "qbench_outcome", None) or "")


class Collector:
    """Takes in records as their reports arrive: alone, and on the controller; never on a worker."""

    def __init__(self, run: QBench) -> None:
        self.run = run

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write the record that a report carries."""
        data = getattr(report, "qbench_record", None)
        if data is not None:
            self.run.add(data)


def finish(session: pytest.Session) -> None:
    """Hand over what a worker knows; else write summary and baseline and let the run fail where no gate could."""
    run = session.config.stash[KEY]
    if is_worker(session.config):
        session.config.workeroutput["qbench"] = run.handover()  # type: ignore[attr-defined]
    elif run.records:
        if not run.finish() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if any(gate.verdict == "inconclusive" for gate in run.gates):
            _inconclusive_first(session.config)


def _inconclusive_first(config: pytest.Config) -> None:
    """Let pytest's last line begin with INCONCLUSIVE: "3 passed, 1 inconclusive" reads as green."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is None:
        return
    build = reporter.build_summary_stats_line

    def build_inconclusive_first() -> tuple[list[tuple[str, dict[str, bool]]], str]:
        parts, colour = build()
        first = [(text.upper(), markup) for text, markup in parts if text.endswith(" inconclusive")]
        rest = [part for part in parts if not part[0].endswith(" inconclusive")]
        return first + rest, "yellow" if colour == "green" else colour

    reporter.build_summary_stats_line = build_inconclusive_first
