"""From responses to records, with the judge where one is needed: descriptions, and replies that were left unparsed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_qbench.errors import ItemError
from pytest_qbench.items import Item
from pytest_qbench.judges.base import Decides
from pytest_qbench.records import Record, Response
from pytest_qbench.scoring.score import Scoring, decided, score

if TYPE_CHECKING:
    from pytest_qbench.judges.base import Judge

VOTES = 5  # of the judge on a reply that extraction left unparsed


@dataclass(frozen=True, slots=True)
class Marker:
    """Scores the responses of one batch; `judge` makes the judge when one is needed, the same each time.

    `decides` tells whether the judge reads replies that extraction left unparsed.
    """

    scoring: Scoring
    judge: Callable[[], Judge]
    rounds: int
    decides: bool = False

    def __call__(self, items: Sequence[Item], responses: Sequence[Response | ItemError]) -> list[Record]:
        """Return the record of each item; one whose response is an error, or says nothing, ends in it alone.

        Items are of one task.
        """
        records = [self._scored(item, response) for item, response in zip(items, responses, strict=True)]
        whole = [i for i, record in enumerate(records) if record.status != "error"]
        chosen, kept = [items[i] for i in whole], [records[i] for i in whole]
        if chosen and chosen[0].task == "description":
            kept = self._judged(chosen, kept)
        elif chosen and chosen[0].task == "perception" and self.decides:
            kept = self._decided(chosen, kept)
        for i, record in zip(whole, kept, strict=True):
            records[i] = record
        return records

    def _scored(self, item: Item, response: Response | ItemError) -> Record:
        if isinstance(response, ItemError):
            return failed(item, response)
        try:
            return score(item, response, self.scoring)
        except ItemError as e:
            return failed(item, e)

    def _judged(self, items: list[Item], records: list[Record]) -> list[Record]:
        texts = [record.response or "" for record in records]
        verdicts = self.judge().judge(texts, [item.golden for item in items], self.rounds)
        return [
            replace(record, status="error", error=told(v)) if isinstance(v, ItemError) else replace(record, judge=v)
            for record, v in zip(records, verdicts, strict=True)
        ]

    def _decided(self, items: list[Item], records: list[Record]) -> list[Record]:
        """Let the judge read the replies that extraction left open; its votes stay in the record."""
        unread = [i for i, r in enumerate(records) if r.status == "unparsed" and (r.response or "").strip()]
        if unread:
            judge = self.judge()
            assert isinstance(judge, Decides), "the session has checked it"
            replies = [str(records[i].response) for i in unread]
            for i, votes in zip(unread, judge.decide([items[i] for i in unread], replies, VOTES), strict=True):
                if isinstance(votes, ItemError):
                    records[i] = replace(records[i], status="error", error=told(votes))
                else:
                    records[i] = decided(items[i], records[i], votes)
        return records


def failed(item: Item, error: Exception) -> Record:
    """Return the record of an item that ended in `error`."""
    return Record.of(item, "error", error=told(error))


def told(error: Exception) -> str:
    """Return an error's type and the first line of its message."""
    return f"{type(error).__name__}: {(str(error).splitlines() or [type(error).__name__])[0]}"
