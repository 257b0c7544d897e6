"""The formats of `qbench export`, and where each is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from pytest_qbench.errors import UsageError

if TYPE_CHECKING:  # `qbench --help` reads the names of the formats
    from pytest_qbench.report.finished_run import FinishedRun


@dataclass(frozen=True, slots=True)
class Format:
    """A format: its module in this package, the default of `--out`, and the extra that installs its library, if any.

    The module's `write(run, out)` returns the place of what it wrote. Its library is imported there alone.
    """

    module: str
    out: str
    library: str | None = None
    extra: str | None = None


FORMATS = {
    "ctrf": Format("ctrf", "ctrf-report.json"),
    "every-eval-ever": Format("every_eval_ever", "."),
    "mlflow": Format("mlflow_run", "sqlite:///mlflow.db", "mlflow", "mlflow"),
    "otlp": Format("otlp", "metrics.otlp.jsonl"),
    "parquet": Format("parquet", "run.parquet", "pyarrow", "hub"),
    "wandb": Format("wandb_run", ".", "wandb", "wandb"),
}


def export(run: FinishedRun, to: str, out: str | None) -> str:
    """Write a run in the format `to` and return the place. Raises `UsageError`."""
    chosen = FORMATS[to]
    if chosen.library:
        try:
            import_module(chosen.library)
        except ModuleNotFoundError as e:
            if (e.name or "").partition(".")[0] != chosen.library:
                raise
            raise UsageError(
                f"--to={to}: {chosen.library} is not installed; pip install 'pytest-qbench[{chosen.extra}]'"
            ) from e
    write: Callable[[FinishedRun, str], str] = import_module(f"pytest_qbench.exports.{chosen.module}").write
    place = out or chosen.out
    try:
        return write(run, place)
    except OSError as e:
        raise UsageError(f"--out={place}: cannot be written: {e.strerror or e}") from e
