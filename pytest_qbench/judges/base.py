"""What a judge must be able to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

DIMENSIONS = ("completeness", "preciseness", "relevance")
Verdicts = dict[str, list[int | None]]  # per dimension, one entry a round: 0, 1, 2, or None where it was unreadable


class Judge(Protocol):
    """Scores a description against its golden texts."""

    name: str

    def describe(self) -> dict[str, Any]:
        """Return what identifies the judge: plain values for the fingerprint."""
        ...

    def judge(self, descriptions: Sequence[str], golden: Sequence[Sequence[str]], rounds: int) -> list[Verdicts]:
        """Return the verdicts on each description, `rounds` entries per dimension."""
        ...
