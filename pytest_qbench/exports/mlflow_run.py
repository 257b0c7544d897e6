"""MLflow: one run with parameters, metrics, tags and the summary as an artifact, in a tracking store.

The run is `FINISHED` only if nothing failed and nothing is missing, otherwise `FAILED`. An undefined metric has no
value in MLflow; the tag `qbench.undefined` names it.
"""

from __future__ import annotations

import json
import logging
import os
import re
from pathlib import Path

from pytest_qbench.errors import UsageError
from pytest_qbench.exports.content import conditions, metric_label, state, times_of
from pytest_qbench.report.finished_run import FinishedRun
from pytest_qbench.report.markdown import markdown
from pytest_qbench.report.outcome import outcome_of

EXPERIMENT = "q-bench"
_LONGEST_PARAM, _LONGEST_TAG = 6000, 5000  # MLflow's limits; the artifacts are whole


def write(run: FinishedRun, out: str) -> str:
    """Write the run to the store at the address `out` and return the address with the run's id."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nobody asked for a connection
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.exceptions import MlflowException

    outcome, times = outcome_of(run), times_of(run)
    start, end = times.start // 1_000_000, times.end // 1_000_000
    metrics = [Metric(name, value, end, 0) for name, value in _numbers(run).items()]
    params = [Param(_allowed(k), v[:_LONGEST_PARAM]) for k, v in conditions(run).items()]
    found = state(run, outcome)
    tags = [RunTag(f"qbench.{k}", v[:_LONGEST_TAG]) for k, v in found.items()]
    if run.summary.commit:
        tags.append(RunTag("mlflow.source.git.commit", run.summary.commit))
    try:
        client = MlflowClient(tracking_uri=out)
        known = client.get_experiment_by_name(EXPERIMENT)
        experiment = known.experiment_id if known else client.create_experiment(EXPERIMENT, _artifacts(out))
        # Begun as FAILED: what an error below leaves half written never looks finished.
        id_ = client.create_run(experiment, start_time=start, run_name=run.folder.resolve().name).info.run_id
        client.set_terminated(id_, "FAILED", end)
        for first in range(0, max(len(metrics), len(params)), 100):  # at most 100 parameters a call
            chosen = slice(first, first + 100)
            client.log_batch(id_, metrics[chosen], params[chosen], tags if first == 0 else [])
        client.log_text(id_, run.summary.as_text(), "summary.json")
        client.log_text(id_, markdown(run), "report.md")
        client.log_text(id_, json.dumps(found, indent=1), "state.json")
        client.set_terminated(id_, "FAILED" if outcome.fails or outcome.missing else "FINISHED", end)
    except MlflowException as e:
        raise UsageError(f"--out={out}: MLflow refuses: {str(e).splitlines()[0]}") from e
    return f"{out}, run {id_}"


def _artifacts(out: str) -> str | None:
    """Return the folder of artifacts beside a database, None where the store chooses the place."""
    database = out.removeprefix("sqlite:///")
    return None if database == out else (Path(database).resolve().parent / "mlartifacts").as_uri()


def _numbers(run: FinishedRun) -> dict[str, float]:
    found: dict[str, float] = {}
    for m in run.metrics:
        low, high = m.delta_ci or (None, None)
        numbers = {"": m.value, ".baseline": m.baseline, ".delta": m.delta, ".delta.low": low, ".delta.high": high}
        found |= {_allowed(metric_label(m) + end): n for end, n in numbers.items() if n is not None}
    return found


def _allowed(name: str) -> str:
    """Return a name of the characters that MLflow allows, and of its length. "=" becomes ":"."""
    return re.sub(r"[^\w./ :-]", "_", name.replace("=", ":"), flags=re.ASCII)[:250]
