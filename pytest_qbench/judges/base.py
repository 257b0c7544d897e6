"""What a judge must be able to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pytest_qbench.errors import ItemError
    from pytest_qbench.items import Item

# Per dimension, one entry a round: 0, 1, 2 (between them where a judge gives its expectation), None if unreadable.
Verdicts = Mapping[str, Sequence[float | None]]


class Judge(Protocol):
    """Scores a description against its golden texts."""

    name: str

    def describe(self) -> dict[str, Any]:
        """Return what identifies the judge: plain values for the fingerprint."""
        ...

    def judge(
        self, descriptions: Sequence[str], golden: Sequence[Sequence[str]], rounds: int
    ) -> Sequence[Verdicts | ItemError]:
        """Return the verdicts on each description, `rounds` entries per dimension, or why it could not be judged."""
        ...


@runtime_checkable
class Decides(Protocol):
    """A judge that can read which option a reply means."""

    def decide(
        self, items: Sequence[Item], replies: Sequence[str], rounds: int
    ) -> Sequence[Sequence[int | None] | ItemError]:
        """Return `rounds` votes on each reply: the position of the option that it chooses, None for none."""
        ...
