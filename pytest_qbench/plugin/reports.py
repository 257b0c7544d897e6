"""Test reports as item outcomes and verdicts, and the end of a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_qbench.plugin.access import KEY
from pytest_qbench.plugin.collection import bench_item, is_gate
from pytest_qbench.plugin.stash import RECORD, STATUS, VERDICT
from pytest_qbench.session.gc import growing
from pytest_qbench.session.workers import is_worker

if TYPE_CHECKING:
    from pytest_qbench.session.run import QBench

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


def _forget_nodes(session: pytest.Session) -> None:
    """Keep item nodes out of pytest's list of all tests ever seen: it is read whole at every start."""
    plugin = session.config.pluginmanager.getplugin("nfplugin")
    if plugin is not None and hasattr(session, "items"):
        items = [item for item in session.items if bench_item(item) is not None]
        plugin.cached_nodeids.difference_update(getattr(item, "id", item.nodeid) for item in items)


def finish(session: pytest.Session) -> None:
    """Hand over what a worker knows; else write summary and baseline and let the run fail where no gate could."""
    run = session.config.stash[KEY]
    _forget_nodes(session)
    if is_worker(session.config):
        session.config.workeroutput["qbench"] = run.handover()  # type: ignore[attr-defined]
        return
    with growing():
        _close(session, run)


def _close(session: pytest.Session, run: QBench) -> None:
    run.end()
    if run.records:
        from pytest_qbench.session.finish import close

        if session.exitstatus == pytest.ExitCode.INTERRUPTED:
            run.notes.append(f"interrupted; go on with --qbench-resume --qbench-run-dir={run.folder_path}")

        try:
            close(run, session.exitstatus)
        except OSError as e:
            run.notes.append(f"{e.filename or run.folder.path}: cannot be written: {e.strerror}; records are kept")
        if run.finished is not None:
            from pytest_qbench.report.junit import add_properties

            add_properties(session.config, run.finished)
        if any(gate.verdict == "inconclusive" for gate in run.gates):
            _inconclusive_first(session.config)
    else:
        run.discard_folder()
    if run.notes and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


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
