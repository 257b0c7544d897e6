"""Judges: `make_judge` builds the one that the user named."""

from __future__ import annotations

from pytest_qbench.errors import UsageError
from pytest_qbench.judges.base import Judge


def check_judge(spec: str) -> None:
    """Raise `UsageError` for a judge that does not exist."""
    if spec != "lexicon":
        raise UsageError(f"--qbench-judge={spec}: no such judge; there is lexicon (embedded, a smoke judge)")


def make_judge(spec: str) -> Judge:
    """Return the judge that `spec` names."""
    from pytest_qbench.judges.lexicon import LexiconJudge

    check_judge(spec)
    return LexiconJudge()
