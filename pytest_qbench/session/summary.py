"""Build the summary of a live run: its verdict, gates, usage and notes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from pytest_qbench.baseline.baseline import MissingBaseline
from pytest_qbench.baseline.folder_files import head_digest
from pytest_qbench.gates.comparison import drifts
from pytest_qbench.items import TASKS
from pytest_qbench.metrics.results import Results
from pytest_qbench.records import Record
from pytest_qbench.report.run_summary import run_summary
from pytest_qbench.report.since_anchor import anchor_state
from pytest_qbench.runs.summary import Summary
from pytest_qbench.runs.summary_parts import DataState, RayReport
from pytest_qbench.session.blind_counterpart import accuracy_with_and_without_images
from pytest_qbench.session.run import Run


@dataclass(frozen=True)
class BaselineUpdate:
    """The result of --qbench-update-baseline: the written folder with its changes, or the reason of a refusal."""

    written: Path | None = None
    changes: list[str] = field(default_factory=list)
    refused: str | None = None


def verdict_line(run: Run, results: Results) -> str:
    """Return the verdict of the run in one line. It is PASS only if everything was measured and judged."""
    gating = run.gating
    measured = {item.task for item in results.expected.values()}
    absent = [task for task in TASKS if task not in measured]
    note = f" (not measured: {', '.join(absent)})" if absent else ""
    if results.stop is not None:
        note = f" ({results.stop}){note}"
    if failures := gating.failures():
        return f"{'; '.join(failures)}{note}"
    if run.not_measured:
        others = len(run.not_measured) - 1
        more = f" (and {others} more reason{'s' * (others > 1)})" if len(run.not_measured) > 1 else ""
        return f"NOT MEASURED: {run.not_measured[0]}{more}"
    if failed := gating.failed_tests:  # an item in error, a failed assertion of the user, an exception in a gate
        more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        return f"FAILED: {failed[0]}{more}{note}"
    if run.notes:
        return f"FAILED: {run.notes[0]}{note}"
    if gating.not_gated:
        return f"NOT GATED: {gating.not_gated}{note}"
    if gating.settings.update_baseline:
        return f"BASELINE RECORDED: {run.baseline_name}{note}"
    if found := [gate.name for gate in gating.results if gate.verdict == "inconclusive"]:
        return f"CANNOT TELL: {', '.join(found)}{note}"
    judged = [gate for gate in gating.results if not gate.nothing]
    if not gating.results and gating.own_checks:
        return f"PASS: {gating.own_checks} gate tests hold{note}"
    if not judged:  # the answers of the split are hidden
        reasons = [gate.reason for gate in gating.results if gate.name.partition(".")[0] in measured]
        return f"NOTHING GATED: {reasons[0] if reasons else 'no gate ran'}{note}"
    improved = [gate.name for gate in judged if gate.verdict == "improved"]
    better = f", improved: {', '.join(improved)}" if improved else ""
    return f"PASS: {len(judged)} of {len(judged)} gates hold{better}{note}"


def summarize(
    run: Run,
    results: Results,
    stored: Sequence[Record],
    update: BaselineUpdate | None,
    submissions: Sequence[str],
    seconds: float,
) -> Summary:
    """Return the summary. `stored` are the baseline's records of the same items."""
    gating, baseline = run.gating, run.baseline
    drift_rows = [] if isinstance(baseline, MissingBaseline) else drifts(results, baseline)
    shared = run_summary(
        results, baseline, gating.results, gating.outcome, drift_rows, stored, diagnostics=results.diagnostics,
        baseline_name=run.baseline_name, began=datetime.fromtimestamp(run.began, UTC).isoformat(timespec="seconds"),
        verdict=(verdict := verdict_line(run, results)),
    )  # fmt: skip
    written = str(update.written) if update and update.written else None
    written_digest = head_digest(update.written) if update and update.written else None
    return replace(
        shared,
        commit=commit(),
        baseline=replace(shared.baseline, written=written, written_digest=written_digest),
        sight=accuracy_with_and_without_images(results, baseline, run.recorder.folder.path),
        usage=run.endpoints.usage,
        ray=RayReport.from_json(run.ray_report) if run.ray_report else None,
        tracebacks=run.tracebacks,
        data=_data_state(run),
        outputs_matched=run.recorder.all_made_with.outputs_matched or {},
        notes=(*_reasons(run, verdict), *run.notes),
        changes=tuple(update.changes) if update else (),
        submissions=tuple(submissions),
        seconds=round(seconds, 3),
        resumed=run.recorder.resumed,
        anchor=anchor_state(results, baseline, run.anchor),
        suites=dict(sorted(run.collected.suites.items())),
    )


def _reasons(run: Run, verdict: str) -> list[str]:
    """Return one line per reason why a run does not count as measured, without those of the verdict and the gates."""
    of_gates = {f"{gate.name}: {gate.reason}" for gate in run.gating.results}
    reasons = [f"not measured: {reason}" for reason in run.not_measured if reason not in of_gates]
    return [] if [verdict.casefold()] == [reason.casefold() for reason in reasons] else reasons


def commit() -> str | None:
    """Return the commit that CI tests, or None if its environment does not name it."""
    return next((os.environ[name] for name in ("GITHUB_SHA", "CI_COMMIT_SHA") if os.environ.get(name)), None)


def _data_state(run: Run) -> DataState:
    """Return the interpretation of quality databases, and the databases whose direction the user has stated."""
    datasets = [d for d in run.request.datasets if d.task in run.request.tasks and d.meaning]
    stated = tuple(d.name for d in datasets if d.direction_stated)
    return DataState(tuple(d.meaning for d in datasets if d.meaning), stated)
