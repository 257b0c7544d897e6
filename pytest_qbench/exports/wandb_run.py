"""Weights & Biases: one offline run in the folder `wandb`, which `wandb sync` uploads when you want it.

The run's exit code is 0 only if nothing failed and nothing is missing; the service then shows it as finished, otherwise
as failed. Undefined metrics are named in the summary under `undefined`.
"""

from __future__ import annotations

import os
from pathlib import Path

from pytest_qbench.exports.content import conditions, metric_label, state
from pytest_qbench.report.finished_run import FinishedRun
from pytest_qbench.report.outcome import outcome_of

PROJECT = "q-bench"


def write(run: FinishedRun, out: str) -> str:
    """Write the run below the folder `out` and return the run's folder."""
    os.environ["WANDB_ERROR_REPORTING"] = "false"  # nobody asked for a connection
    import wandb

    Path(out).mkdir(parents=True, exist_ok=True)
    outcome = outcome_of(run)
    settings = wandb.Settings(
        silent=True, console="off", disable_git=True, disable_code=True, save_code=False, disable_job_creation=True,
        x_disable_meta=True, x_disable_stats=True, x_disable_machine_info=True,
    )  # fmt: skip
    with wandb.init(
        mode="offline", project=PROJECT, name=run.folder.resolve().name, dir=out, config=conditions(run),
        tags=[outcome.word], notes=outcome.verdict, settings=settings, reinit="create_new",
    ) as found:  # fmt: skip
        for m in run.metrics:
            low, high = m.delta_ci or (None, None)
            numbers = {"": m.value, ".baseline": m.baseline, ".delta": m.delta, ".delta.low": low, ".delta.high": high}
            found.summary.update({metric_label(m) + end: n for end, n in numbers.items() if n is not None})
        found.summary.update({f"qbench.{name}": text for name, text in state(run, outcome).items()})
        found.finish(exit_code=int(outcome.fails or bool(outcome.missing)))
    return str(Path(found.settings.sync_dir))
