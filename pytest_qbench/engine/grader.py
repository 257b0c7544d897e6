"""Grade responses into records. A judge grades descriptions and, on request, reads unparsed replies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pytest_qbench.errors import ItemError
from pytest_qbench.items import Item
from pytest_qbench.judges.base import Judge, SupportsChoice
from pytest_qbench.records import Record, Response
from pytest_qbench.scoring.score import Scoring, decided, score

VOTES = 5  # samples of the judge for each unparsed reply


@dataclass(frozen=True, slots=True)
class Grader:
    """Grade the responses of one batch. `judge` returns the same judge each time and creates it on first use.

    `reads_unparsed`: whether the judge reads the replies from which extraction finds no option.
    """

    scoring: Scoring
    judge: Callable[[], Judge]
    rounds: int
    reads_unparsed: bool = False

    def __call__(self, items: Sequence[Item], responses: Sequence[Response | ItemError]) -> list[Record]:
        """Return the record of each item. An error in one response affects no other item.

        All items are of one task.
        """
        records = [self._score(item, response) for item, response in zip(items, responses, strict=True)]
        valid = [i for i, record in enumerate(records) if record.status != "error"]
        chosen, kept = [items[i] for i in valid], [records[i] for i in valid]
        if chosen and chosen[0].task == "description":
            kept = self._judge_descriptions(chosen, kept)
        elif chosen and chosen[0].task == "perception" and self.reads_unparsed:
            kept = self._read_unparsed(chosen, kept)
        for i, record in zip(valid, kept, strict=True):
            records[i] = record
        return records

    def _score(self, item: Item, response: Response | ItemError) -> Record:
        if isinstance(response, ItemError):
            return error_record(item, response)
        try:
            return score(item, response, self.scoring)
        except ItemError as e:
            return error_record(item, e)

    def _judge_descriptions(self, items: list[Item], records: list[Record]) -> list[Record]:
        texts = [record.response or "" for record in records]
        verdicts = self.judge().judge(texts, [item.golden for item in items], self.rounds)
        return [
            replace(record, status="error", error=error_text(v))
            if isinstance(v, ItemError)
            else replace(record, judge=v)
            for record, v in zip(records, verdicts, strict=True)
        ]

    def _read_unparsed(self, items: list[Item], records: list[Record]) -> list[Record]:
        """Let the judge read the unparsed replies. The record keeps the votes."""
        unread = [i for i, r in enumerate(records) if r.status == "unparsed" and (r.response or "").strip()]
        if unread:
            judge = self.judge()
            assert isinstance(judge, SupportsChoice), "the recorder checks this before the run"
            replies = [str(records[i].response) for i in unread]
            for i, votes in zip(unread, judge.decide([items[i] for i in unread], replies, VOTES), strict=True):
                if isinstance(votes, ItemError):
                    records[i] = replace(records[i], status="error", error=error_text(votes))
                else:
                    records[i] = decided(items[i], records[i], votes)
        return records


def error_record(item: Item, error: Exception) -> Record:
    """Return the error record of an item."""
    return Record.of(item, "error", error=error_text(error))


def error_text(error: Exception) -> str:
    """Return the type of an error and the first line of its message."""
    return f"{type(error).__name__}: {(str(error).splitlines() or [type(error).__name__])[0]}"
