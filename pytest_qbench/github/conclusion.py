"""`Conclusion`: what a check on GitHub says of a run, from its folder and the exit status of pytest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pytest_qbench.errors import NOT_MEASURED, UsageError
from pytest_qbench.report.finished_run import FinishedRun, read_finished
from pytest_qbench.report.headline import headline
from pytest_qbench.report.outcome import outcome_of

Word = Literal["success", "failure", "neutral"]


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The conclusion, the sentence behind it, and the status with which the job should end.

    `run` is None if the folder holds no finished run. `neutral` means that nothing is known to be worse, but a gate
    cannot tell or nothing was judged: such a run ends with status 0.
    """

    word: Word
    headline: str
    status: int
    run: FinishedRun | None


def conclude(folder: Path, status: int) -> Conclusion:
    """Return the conclusion of the run in `folder`, whose pytest ended with `status`.

    It is a success only if both agree that everything passed.
    """
    try:
        run = read_finished(folder)
        outcome = outcome_of(run)
    except UsageError as e:
        return Conclusion("failure", f"NOT MEASURED: exit status {status}; {e}", status or NOT_MEASURED, None)
    if status:
        return Conclusion("failure", headline(run), status, run)
    if outcome.fails or outcome.missing:
        return Conclusion("failure", f"NOT MEASURED: exit status 0, but: {headline(run)}", NOT_MEASURED, run)
    return Conclusion("success" if outcome.is_green else "neutral", headline(run), 0, run)
