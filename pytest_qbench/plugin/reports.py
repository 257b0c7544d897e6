"""Turn test reports into outcomes of items and verdicts of gates."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pytest_qbench.escaping import one_line, printable
from pytest_qbench.gates.written_gate import FIXTURE
from pytest_qbench.plugin.access import run_of
from pytest_qbench.plugin.collection import bench_item, is_gate
from pytest_qbench.plugin.early_stop import send_plan
from pytest_qbench.plugin.stash import FAILED_BY_VERDICT, RECORD, STATUS, VERDICT
from pytest_qbench.scoring.score import explain_unparsed

LEAST_UNPARSED = 0.2  # a smaller share of the first replies may be chance
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
    """Store on a report the item (on one of its reports only) and its outcome, or the verdict of a gate."""
    if (record := item.stash.get(RECORD, None)) is not None:
        report.qbench_item = (record.task, record.item)  # type: ignore[attr-defined]
        item.stash[STATUS] = record.status
        send_plan(item.config, run_of(item.config), report)
        del item.stash[RECORD]
    if report.skipped and run_of(item.config).usage_error is None and (bench := bench_item(item)) is not None:
        report.qbench_skipped = (bench.task, bench.id)  # type: ignore[attr-defined]
    if is_gate(item):
        kind = "gate" if FIXTURE in item.fixturenames else "check"  # type: ignore[attr-defined]
        report.qbench_kind = kind  # type: ignore[attr-defined]
    if report.when == "setup" and report.failed and bench_item(item) is not None:
        end_after_failed_setup(item, report)
    if report.when == "call" and report.failed and item.stash.get(FAILED_BY_VERDICT, False):
        report.qbench_failed_by_verdict = True  # type: ignore[attr-defined]
    if report.when == "call" and report.passed:
        report.qbench_outcome = item.stash.get(STATUS, None) or item.stash.get(VERDICT, None)  # type: ignore[attr-defined]


def end_after_failed_setup(item: pytest.Item, report: pytest.TestReport) -> None:
    """End the session if the model could not be set up. Otherwise every item would repeat the same traceback."""
    run = run_of(item.config)
    if run.recorder.is_verified:  # the engine was built, so another fixture failed
        return
    message = str(getattr(report.longrepr, "reprcrash", None) or report.longrepr).strip().splitlines()
    reason = one_line(message[-1]) if message else "no reason"
    run.usage_error = run.usage_error or f"the model could not be set up: {reason}"
    item.session.shouldstop = run.usage_error


def remember_wrong(config: pytest.Config, report: pytest.TestReport) -> None:
    """Let pytest's --lf and --ff select items that were wrong, unparsed or in error, as well as failed tests."""
    plugin = config.pluginmanager.getplugin("lfplugin")
    if plugin is not None:
        plugin.lastfailed[getattr(report, "id", report.nodeid)] = True


def warn_of_unparsed(config: pytest.Config, reports: Sequence[pytest.TestReport]) -> None:
    """Warn after the first replies if too many are unparsed, since the gate on accuracy would then be invalid."""
    run, reporter = run_of(config), config.pluginmanager.getplugin("terminalreporter")
    unparsed = [record for record in run.recorder.records.values() if record.status == "unparsed"]
    share = sum(report.qbench_outcome == "unparsed" for report in reports) / len(reports)
    limit = run.request.settings.max_unparsed
    if reporter is None or share <= max(limit, LEAST_UNPARSED) or run.request.settings.judge_unparsed:
        return
    reporter.ensure_newline()
    reporter.write_line(
        printable(
            f"qbench: {share:.0%} of the first {len(reports)} replies name no option ({unparsed[0].response!r:.50}): "
            f"above {limit:.1%} the gate is invalid; {explain_unparsed(unparsed[0])}"
        ),
        yellow=True,
    )
