"""`Outcome`, the result of a finished run in one of five words, for programs that read no sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pytest_qbench.report.finished_run import FinishedRun, Key

Word = Literal["passed", "failed", "not measured", "cannot tell", "not gated"]
_WORDS: dict[str, Word] = {
    "PASS": "passed",
    "BASELINE RECORDED": "passed",
    "REGRESSED": "failed",
    "OUT OF BOUNDS": "failed",
    "FAILED": "failed",
    "INVALID": "not measured",
    "NOT MEASURED": "not measured",
    "CANNOT TELL": "cannot tell",
    "INCONCLUSIVE": "cannot tell",
    "NOT GATED": "not gated",
    "NOTHING GATED": "not gated",
}
_WORST: tuple[Word, ...] = ("failed", "not measured", "cannot tell", "not gated", "passed")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a run. `verdict` is its sentence; `missing` are the expected items without a record.

    `fails` says whether the run itself ended in an error status, as `cannot tell` does in strict runs alone.
    """

    word: Word
    verdict: str
    missing: tuple[Key, ...]
    fails: bool

    @property
    def is_green(self) -> bool:
        """Whether everything was measured and every gate passes."""
        return self.word == "passed"


def outcome_of(run: FinishedRun) -> Outcome:
    """Return the outcome of a run. A verdict of unknown words, and one that the items contradict, is not green."""
    missing = tuple(key for key in run.items if key not in run.records)
    first, *others = [part.partition(":")[0] for part in run.summary.verdict.split("; ")]
    found = {_WORDS.get(first, "not measured"), *(_WORDS[word] for word in others if word in _WORDS)}
    failing = {gate.verdict for gate in run.gates if gate.outcome == "fail"}
    if "regressed" in failing:
        found.add("failed")
    if "invalid" in failing:
        found.add("not measured")
    if "passed" in found and (missing or failing or len(run.items) != run.summary.items.total):
        found.add("not measured")
    word = next(word for word in _WORST if word in found)
    return Outcome(word, run.summary.verdict, missing, word in ("failed", "not measured") or bool(failing))
