"""The end of a run: records -> results -> baseline update -> summary -> reports."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_qbench.baseline.baseline import Baseline, MissingBaseline, as_baseline, changes
from pytest_qbench.baseline.eligibility import why_incomplete
from pytest_qbench.baseline.lineage import Note
from pytest_qbench.baseline.snapshot import comparable_records, write_snapshot
from pytest_qbench.baseline.store import write_baseline
from pytest_qbench.errors import UsageError
from pytest_qbench.gates.evaluate import DEFAULT_MARGINS
from pytest_qbench.gates.margins import suggest
from pytest_qbench.gates.promotion import accepted_drops, lost_items, unexcluded_drop
from pytest_qbench.gates.targets import gated_tasks
from pytest_qbench.metrics.direction import reversed_scales
from pytest_qbench.metrics.noise_floor import noise_floor
from pytest_qbench.metrics.results import Results, share
from pytest_qbench.metrics.specs import task_of
from pytest_qbench.policy.git import head_commit
from pytest_qbench.report.finished_run import FinishedRun
from pytest_qbench.report.submission import write_submissions
from pytest_qbench.report.thumbnails import images_to_show, write_thumbnails
from pytest_qbench.report.write import write_reports, write_step_summary
from pytest_qbench.runs.items_file import write_items
from pytest_qbench.runs.summary import SUMMARY, Summary
from pytest_qbench.session.gating import Gating
from pytest_qbench.session.ledger import shortfalls
from pytest_qbench.session.run import Run
from pytest_qbench.session.summary import BaselineUpdate, commit, summarize, verdict_line
from pytest_qbench.session.why import why_hints
from pytest_qbench.untrusted.files import write_text


def finish(run: Run, exitstatus: int) -> FinishedRun:
    """Write baseline, summary and reports, and return the finished run.

    Afterwards, `Run.notes` has the reasons why the run fails even if no gate failed.
    """
    results, settings, folder = run.results, run.request.settings, run.recorder.folder
    run.notes += _too_many_errors(results, settings.max_errors)
    run.not_measured = shortfalls(run.request, run.gating, results, run.baseline)
    update = _update_baseline(run, results, exitstatus) if settings.update_baseline else None
    if update and update.refused:
        run.notes.append(f"baseline not recorded: {update.refused}")
    stored = comparable_records(results, run.baseline)
    write_items(folder.path, results.expected.values())
    write_snapshot(folder.path, stored)
    submissions: list[str] = []
    try:
        submissions = write_submissions(folder.path, results)
    except OSError as e:
        run.notes.append(f"the submission cannot be written: {e.filename}: {e.strerror}")
    write_thumbnails(folder.path, images_to_show(run.gating.results, results))
    summary = summarize(run, results, stored, update, submissions, time.time() - run.began)
    summary = replace(summary, hints=tuple(why_hints(run, results, folder.path)))
    finished = FinishedRun(folder.path, summary)
    unwritten = [
        *_write_summary(summary, folder.path, settings.json),
        *write_reports(finished, settings.html, settings.md),
    ]
    summary = replace(summary, hints=(*summary.hints, *write_step_summary(finished)))
    if unwritten:
        run.notes += unwritten
        summary = replace(summary, notes=tuple(run.notes), verdict=verdict_line(run, results))
        _write_summary(summary, folder.path, settings.json)
    folder.close()
    return FinishedRun(folder.path, summary)


def _too_many_errors(results: Results, limit: float) -> list[str]:
    notes = []
    for task, dataset in dict.fromkeys((r.task, r.dataset) for r in results.records):
        found = share((r for r in results.records if (r.task, r.dataset) == (task, dataset)), "error")
        if found > limit:
            notes.append(f"{found:.1%} of the {task} items of {dataset} ended in an error")
    return notes


def _write_summary(summary: Summary, folder: Path, copy: Path | None) -> list[str]:
    """Write the summary. Return a note if the copy for --qbench-json cannot be written."""
    text = summary.as_text()
    write_text(folder / SUMMARY, text)
    try:
        if copy:
            copy.write_text(text, encoding="utf-8")
    except OSError as e:
        return [f"--qbench-json={copy}: cannot be written: {e.strerror}"]
    return []


def _update_baseline(run: Run, results: Results, exitstatus: int) -> BaselineUpdate:
    settings = run.request.settings
    stated = [d.name for d in run.request.datasets if d.direction_stated]
    reason = _why_not_recorded(results, run.baseline, run.gating, exitstatus)
    if reason := reason or next(iter(reversed_scales(results.metrics, stated)), None):
        return BaselineUpdate(refused=reason)
    floor = noise_floor(run.recorder.second, run.recorder.records, run.request.scoring.words)
    try:
        note = Note(
            commit() or head_commit(settings.rootdir), settings.reason, accepted_drops(run.gating.results),
            new_anchor=settings.new_anchor,
        )  # fmt: skip
        written = write_baseline(
            settings.baseline_dir, run.baseline_name, results, floor, note=note, store=settings.baseline_store
        )
    except UsageError as e:
        return BaselineUpdate(refused=str(e), changes=changes(run.baseline, results))
    lines = changes(run.baseline, results)
    if isinstance(run.baseline, MissingBaseline):  # for a first baseline, suggest margins for this data
        metrics = [name for name in DEFAULT_MARGINS if task_of(name) in gated_tasks(results)]
        found = suggest(metrics, as_baseline(written, results), None, max(1, len(metrics)))
        lines = [*lines, *(f"suggested margin: {one}" for one in found)]
    return BaselineUpdate(written=written, changes=lines)


def _why_not_recorded(results: Results, old: Baseline | MissingBaseline, gating: Gating, exitstatus: int) -> str | None:
    """Return the reason why this run cannot replace the baseline, or None."""
    s = gating.settings
    if reason := why_incomplete(results, s.max_errors, s.max_unparsed, s.max_cut):
        return reason
    failing = [gate for gate in gating.results if gating.outcome(gate) == "fail"]
    if regressed := [gate.name for gate in failing if gate.verdict == "regressed"]:
        return f"{', '.join(regressed)} regressed (accept with --qbench-accept-regression and --qbench-reason)"
    if not s.accept_regression and (drop := unexcluded_drop(gating.results)):
        return f"{drop} (or accept with --qbench-accept-regression and --qbench-reason)"
    if failing or gating.failed_tests:
        return f"{failing[0].name if failing else gating.failed_tests[0]} failed"
    if exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        return "the run did not end"
    if isinstance(old, MissingBaseline):
        return None
    measured = {(r.task, r.dataset) for r in results.records}
    if not s.accept_lost_items and (lost := lost_items(old, results)):
        return (
            f"{lost}; record this part with --qbench-baseline=NAME, or accept the loss with --qbench-accept-lost-items"
        )
    judged = {gate.name.partition(".")[0] for gate in gating.results}
    if unjudged := sorted({task for task, _ in measured} - judged):
        return f"no gate judged {', '.join(unjudged)} against the old baseline"
    return None
