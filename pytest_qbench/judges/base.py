"""The protocol of a judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pytest_qbench.errors import ItemError
    from pytest_qbench.items import Item

# Dimension -> one verdict per round: 0, 1 or 2, a value between them for an expectation, None if unreadable.
Verdicts = Mapping[str, Sequence[float | None]]


class Judge(Protocol):
    """Grades a description against its golden texts."""

    name: str

    def describe(self) -> dict[str, Any]:
        """Return the identity and settings of the judge as plain values for the fingerprint."""
        ...

    def judge(
        self, descriptions: Sequence[str], golden: Sequence[Sequence[str]], rounds: int
    ) -> Sequence[Verdicts | ItemError]:
        """Return the verdicts on each description, `rounds` for each dimension, or the error that prevents them."""
        ...


@runtime_checkable
class SupportsUnreadable(Protocol):
    """A judge that keeps the reasons why it could not read replies."""

    unreadable: Sequence[str | None]
    """For each description of the last call of `judge`: why the first unreadable reply is no verdict, or None."""


@runtime_checkable
class JudgesInThreads(Protocol):
    """A judge that waits for a server: several threads may ask it at once. Others grade many descriptions in a call."""

    items_at_once: int
    """Number of descriptions that keep its server busy."""


@runtime_checkable
class SupportsMarking(Protocol):
    """A judge that can tell whether a reply is right when it knows the right answer."""

    def mark(
        self, items: Sequence[Item], replies: Sequence[str], rounds: int
    ) -> Sequence[Sequence[int | None] | ItemError]:
        """Return `rounds` votes on each reply: 1 for right, 0 for wrong, or None."""
        ...


@runtime_checkable
class SupportsChoice(Protocol):
    """A judge that can identify the option that a reply chooses."""

    def decide(
        self, items: Sequence[Item], replies: Sequence[str], rounds: int
    ) -> Sequence[Sequence[int | None] | ItemError]:
        """Return `rounds` votes on each reply: the position of the chosen option, or None."""
        ...
