"""The end of a run: the summary, the reports, and the baseline where one was asked for."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from pytest_qbench.baseline.baseline import changes
from pytest_qbench.baseline.eligibility import why_not_whole
from pytest_qbench.baseline.snapshot import before, write_before
from pytest_qbench.baseline.store import write_baseline
from pytest_qbench.errors import UsageError
from pytest_qbench.metrics.drift import noise
from pytest_qbench.metrics.results import share
from pytest_qbench.records import Record
from pytest_qbench.report.finished_run import Finished
from pytest_qbench.report.submission import write_submissions
from pytest_qbench.report.thumbnails import pictured, write_thumbnails
from pytest_qbench.report.write import write_reports, write_step_summary
from pytest_qbench.runs.items_file import write_items
from pytest_qbench.runs.read import SUMMARY
from pytest_qbench.session.summary import summary, verdict_line

if TYPE_CHECKING:
    from pytest_qbench.session.run import QBench


def close(run: QBench, exitstatus: int) -> bool:
    """Write summary and baseline; return False when the run must fail for a reason that no gate reported."""
    results, settings = run.results, run.settings
    for task, dataset in dict.fromkeys((r.task, r.dataset) for r in results.records):
        found = share((r for r in results.records if (r.task, r.dataset) == (task, dataset)), "error")
        if found > settings.max_errors:
            run.notes.append(f"{found:.1%} of the {task} items of {dataset} ended in an error")
    if settings.update_baseline:
        _update_baseline(run, exitstatus)
    old = before(results, run.baseline)
    write_items(run.folder.path, results.expected.values())
    write_before(run.folder.path, old)
    try:
        run.submissions = write_submissions(run.folder.path, results)
    except OSError as e:
        run.notes.append(f"the submission cannot be written: {e.filename}: {e.strerror}")
    write_thumbnails(run.folder.path, pictured(run.gates, results))
    told = summary(run, old, time.time() - run.began)
    run.finished = Finished(run.folder.path, told)
    unwritten = [*_write(told, run), *write_reports(run.finished, settings.html, settings.md)]
    told["hints"] = write_step_summary(run.finished)
    if unwritten:
        run.notes += unwritten
        told["verdict"] = verdict_line(run)
        _write(told, run)
    run.folder.close()
    return not run.notes


def _write(told: dict[str, Any], run: QBench) -> list[str]:
    """Write the summary; return a note where the copy that --qbench-json asked for cannot be written."""
    text = json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    (run.folder.path / SUMMARY).write_text(text, encoding="utf-8")
    copy = run.settings.json
    try:
        if copy:
            copy.write_text(text, encoding="utf-8")
    except OSError as e:
        return [f"--qbench-json={copy}: cannot be written: {e.strerror}"]
    return []


def _update_baseline(run: QBench, exitstatus: int) -> None:
    if reason := _why_not_recorded(run, exitstatus):
        run.notes.append(f"baseline not recorded: {reason}")
        return
    run.changes = changes(run.baseline, run.results)
    measured = run.noise or {"how": None, "records": []}
    varied = [Record(**data) for data in measured["records"]]
    stored = noise(measured["how"], run.records, varied, run.scoring.words)
    try:
        run.baseline_written = write_baseline(run.settings.baseline_dir, run.baseline_name, run.results, stored)
    except UsageError as e:
        run.notes.append(f"baseline not recorded: {e}")


def _why_not_recorded(run: QBench, exitstatus: int) -> str | None:
    """Say why this run may not replace the baseline, or return None."""
    results, settings, old = run.results, run.settings, run.baseline
    if reason := why_not_whole(results, settings.max_errors, settings.max_unparsed):
        return reason
    failing = [gate for gate in run.gates if run.outcome(gate) == "fail"]
    if regressed := [gate.name for gate in failing if gate.verdict == "regressed"]:
        return f"{', '.join(regressed)} regressed (accept with --qbench-accept-regression)"
    if failing or run.failed:
        return f"{failing[0].name if failing else run.failed[0]} failed"
    if exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        return "the run did not end"
    if isinstance(old, str):
        return None
    measured = {(r.task, r.dataset) for r in results.records}
    lost = sorted({(r.task, r.dataset) for r in old.records.values()} - measured)
    if lost:
        parts = ", ".join(f"{task} {dataset}" for task, dataset in lost)
        return f"it also holds {parts}, which this run did not measure; record this part with --qbench-baseline=NAME"
    judged = {gate.name.partition(".")[0] for gate in run.gates}
    if unjudged := sorted({task for task, _ in measured} - judged):
        return f"no gate judged {', '.join(unjudged)} against the old baseline"
    return None
