"""The chain of a baseline: what it replaced, when, from which commit and why, and its anchor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_qbench.metrics.metric import Metric
from pytest_qbench.untrusted.shape import MappingOf, Maybe, Shape, check_shape

TOTALS = ("perception.accuracy", "description.sum", "assessment.srcc")
_NOTE: Shape = {"commit": Maybe(str), "reason": Maybe(str), "accepted": Maybe([str])}
_LINEAGE: Shape = {
    **_NOTE,
    "anchor": Maybe({"recorded": str, "digest": str}),
    "ancestors": Maybe([{**_NOTE, "recorded": str, "seal": str, "values": MappingOf(float)}]),
}


@dataclass(frozen=True, slots=True)
class Note:
    """What people say about an update: the commit, the reason, the losses that they accept.

    `new_anchor` makes the new baseline its own anchor.
    """

    commit: str | None = None
    reason: str | None = None
    accepted: tuple[str, ...] = ()
    new_anchor: bool = False


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A baseline that was replaced. `values` are its totals by metric and dataset."""

    recorded: str
    seal: str
    note: Note
    values: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"recorded": self.recorded, "seal": self.seal, **_note_json(self.note), "values": dict(self.values)}


@dataclass(frozen=True, slots=True)
class Lineage:
    """The chain of a baseline: its own note and its ancestors, oldest first.

    `anchor` is the date of the anchor and the SHA-256 of its head, None where the baseline is its own anchor.
    """

    note: Note = Note()
    ancestors: tuple[Ancestor, ...] = ()
    anchor: tuple[str, str] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the entries of `baseline.yaml`; none for a first baseline without a note."""
        found = _note_json(self.note)
        if self.anchor is not None:
            found["anchor"] = {"recorded": self.anchor[0], "digest": self.anchor[1]}
        if self.ancestors:
            found["ancestors"] = [each.to_json() for each in self.ancestors]
        return found

    @classmethod
    def from_head(cls, head: Mapping[str, Any]) -> Lineage:
        """Return the lineage in the content of `baseline.yaml`. Raises `ValueError` for a wrong shape."""
        check_shape(dict(head), _LINEAGE)
        anchor = head.get("anchor")
        return cls(
            _note(head),
            tuple(
                Ancestor(each["recorded"], each["seal"], _note(each), each["values"])
                for each in head.get("ancestors") or ()
            ),
            None if anchor is None else (anchor["recorded"], anchor["digest"]),
        )


def totals(metrics: Iterable[Metric]) -> dict[str, float]:
    """Return the totals by metric and dataset, such as "perception.accuracy mini"."""
    return {
        " ".join(filter(None, (m.name, m.dataset))): m.value
        for m in metrics
        if m.name in TOTALS and m.slice is None and m.value is not None
    }


def _note(data: Mapping[str, Any]) -> Note:
    return Note(data.get("commit"), data.get("reason"), tuple(data.get("accepted") or ()))


def _note_json(note: Note) -> dict[str, Any]:
    given = {"commit": note.commit, "reason": note.reason, "accepted": list(note.accepted)}
    return {key: value for key, value in given.items() if value}
