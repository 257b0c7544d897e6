"""The end of a run: the summary, and the baseline if one was asked for and the run is whole."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from pytest_qbench.baselines import changes, write_baseline
from pytest_qbench.errors import UsageError
from pytest_qbench.report.summary import summary
from pytest_qbench.results import Results, share
from pytest_qbench.submission import write_submissions

if TYPE_CHECKING:
    from pytest_qbench.session import QBench


def close(run: QBench) -> bool:
    """Write summary and baseline; return False when the run must fail for a reason that no gate reported."""
    results, settings = run.results, run.settings
    good = results.counts()["errors"] <= settings.max_errors * len(results.expected)
    if settings.update_baseline:
        good = _update_baseline(run) and good
    try:
        run.submissions = write_submissions(run.folder.path, results)
    except OSError as e:
        run.notes.append(f"the submission cannot be written: {e.filename}: {e.strerror}")
        good = False
    text = json.dumps(summary(run, time.time() - run.began), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    (run.folder.path / "summary.json").write_text(text, encoding="utf-8")
    if settings.json:
        try:
            settings.json.write_text(text, encoding="utf-8")
        except OSError as e:
            run.notes.append(f"--qbench-json={settings.json}: cannot be written: {e.strerror}")
            good = False
    run.folder.close()
    return good


def _update_baseline(run: QBench) -> bool:
    settings = run.settings
    if reason := why_not_whole(run.results, settings.max_errors, settings.max_unparsed):
        run.notes.append(f"baseline not recorded: {reason}")
        return False
    regressed = [gate.name for gate in run.gates if gate.verdict == "regressed"]
    if regressed and not settings.accept_regression:
        which = ", ".join(regressed)
        run.notes.append(f"baseline not recorded: {which} regressed (accept with --qbench-accept-regression)")
        return False
    run.changes = changes(run.baseline, run.results)
    try:
        run.baseline_written = write_baseline(settings.baseline_dir, run.baseline_name, run.results)
    except UsageError as e:
        run.notes.append(str(e))
        return False
    return True


def why_not_whole(results: Results, max_errors: float, max_unparsed: float) -> str | None:
    """Say why a run may not become a baseline (missing, errors, unparsed, undefined), or return None."""
    if not results.records:
        return "nothing was measured"
    for task in dict.fromkeys(t for t, _ in results.expected):
        if missing := results.missing(task):
            return f"{len(missing)} {task} items were not measured (first: {missing[0]})"
        records = [r for r in results.records if r.task == task]
        for status, limit in (("error", max_errors), ("unparsed", max_unparsed)):
            if share(records, status) > limit:
                return f"{share(records, status):.1%} of the {task} items are {status}, more than {limit:.1%}"
    for metric in results.metrics:
        # A half is told beside the total, which is undefined as well where it matters.
        if (
            metric.value is None
            and metric.name != "perception.yes_rate"
            and not (metric.slice or "").startswith("half=")
        ):
            return f"{metric.name} of {metric.dataset} is undefined: {metric.note}"
    return None
