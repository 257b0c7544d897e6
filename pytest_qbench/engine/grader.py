"""Grade responses into records. A judge grades descriptions and, on request, reads unparsed replies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pytest_qbench.errors import ItemError
from pytest_qbench.items import Item
from pytest_qbench.judges.base import Judge, SupportsChoice, SupportsMarking, SupportsUnreadable, Verdicts
from pytest_qbench.records import Record, Response, check_record
from pytest_qbench.scoring.score import Scoring, answer_text, apply_votes, marked, score

VOTES = 5  # number of times that the judge reads each unparsed reply


@dataclass(frozen=True, slots=True)
class Grader:
    """Grades the responses of one batch. `judge` returns the same judge each time and creates it on first use.

    `reads_unparsed`: whether the judge reads the replies from which extraction finds no option. `marks_answers`:
    whether it marks all replies, knowing the right answer.
    """

    scoring: Scoring
    judge: Callable[[], Judge]
    rounds: int
    reads_unparsed: bool = False
    marks_answers: bool = False

    def waits_for(self, item: Item) -> bool:
        """Return whether the judge may grade a response to an item."""
        if item.task == "description":
            return bool(item.golden)
        return item.task == "perception" and (self.reads_unparsed or self.marks_answers)

    def __call__(
        self, items: Sequence[Item], responses: Sequence[Response | ItemError], passing: set[str] | None = None
    ) -> list[Record]:
        """Return the record of each item. An error in one response affects no other item.

        All items are of one task. The ids of items on which the judge failed, but may succeed later, go to `passing`.
        """
        passing = set() if passing is None else passing
        records = [self._score(item, response) for item, response in zip(items, responses, strict=True)]
        valid = [i for i, record in enumerate(records) if record.status != "error"]
        chosen, kept = [items[i] for i in valid], [records[i] for i in valid]
        if chosen and chosen[0].task == "description":
            judged = [i for i, item in enumerate(chosen) if item.golden]  # others have nothing to be judged by
            if judged:
                graded = self._judge_descriptions([chosen[i] for i in judged], [kept[i] for i in judged], passing)
                for i, record in zip(judged, graded, strict=True):
                    kept[i] = record
        elif chosen and chosen[0].task == "perception" and self.reads_unparsed:
            kept = self._read_unparsed(chosen, kept, passing)
        elif chosen and chosen[0].task == "perception" and self.marks_answers:
            kept = self._mark(chosen, kept, passing)
        for i, record in zip(valid, kept, strict=True):
            records[i] = record
        return records

    def _score(self, item: Item, response: Response | ItemError) -> Record:
        if isinstance(response, ItemError):
            return error_record(item, response)
        try:
            return score(item, response, self.scoring)
        except ItemError as e:
            return replace(error_record(item, e), response=response.text, finish=response.finish)

    def _judge_descriptions(self, items: list[Item], records: list[Record], passing: set[str]) -> list[Record]:
        texts = [answer_text(record.response) for record in records]
        judge = self.judge()
        verdicts = judge.judge(texts, [item.golden for item in items], self.rounds)
        passing.update(item.id for item, v in zip(items, verdicts, strict=True) if _may_pass(v))
        why = judge.unreadable if isinstance(judge, SupportsUnreadable) else [None] * len(records)
        return [_with_verdicts(record, v, reason) for record, v, reason in zip(records, verdicts, why, strict=True)]

    def _read_unparsed(self, items: list[Item], records: list[Record], passing: set[str]) -> list[Record]:
        """Let the judge read the unparsed replies. The record keeps the votes."""
        answers = [answer_text(record.response) for record in records]
        # A judge votes for one option.
        unread = [i for i, r in enumerate(records) if r.status == "unparsed" and answers[i] and not items[i].answers]
        if unread:
            judge = self.judge()
            assert isinstance(judge, SupportsChoice), "the recorder checks this before the run"
            replies = [answers[i] for i in unread]
            for i, votes in zip(unread, judge.decide([items[i] for i in unread], replies, VOTES), strict=True):
                if _may_pass(votes):
                    passing.add(items[i].id)
                if isinstance(votes, ItemError):
                    records[i] = replace(records[i], status="error", error=error_text(votes))
                else:
                    records[i] = apply_votes(items[i], records[i], votes)
        return records

    def _mark(self, items: list[Item], records: list[Record], passing: set[str]) -> list[Record]:
        """Let the judge mark the replies to questions whose answer is known. The record keeps the votes."""
        replies = [answer_text(record.response) for record in records]
        known = [i for i, item in enumerate(items) if item.answer is not None and replies[i]]
        if known:
            judge = self.judge()
            assert isinstance(judge, SupportsMarking), "the recorder checks this before the run"
            found = judge.mark([items[i] for i in known], [replies[i] for i in known], VOTES)
            for i, votes in zip(known, found, strict=True):
                if _may_pass(votes):
                    passing.add(items[i].id)
                if isinstance(votes, ItemError):
                    records[i] = replace(records[i], status="error", choice=None, error=error_text(votes))
                else:
                    records[i] = marked(items[i], records[i], votes)
        return records


def _may_pass(result: object) -> bool:
    return isinstance(result, ItemError) and result.may_pass


def _any_readable(rounds: Sequence[float | None]) -> bool:
    return any(verdict is not None for verdict in rounds)


def _with_verdicts(record: Record, verdicts: Verdicts | ItemError, reason: str | None) -> Record:
    """Return the record with a judge's verdicts, or in error if the judge returned anything but grades.

    `reason` says why verdicts are unreadable. The record keeps it if a dimension has no readable verdict.
    """
    if isinstance(verdicts, ItemError):
        return replace(record, status="error", error=error_text(verdicts))
    graded = replace(record, judge=verdicts)
    try:
        check_record(graded)
    except ValueError as e:
        return replace(record, status="error", error=error_text(ItemError(f"the judge returned no grades: {e}")))
    return replace(graded, error=None if all(map(_any_readable, verdicts.values())) else reason)


def error_record(item: Item, error: Exception) -> Record:
    """Return the error record of an item."""
    return Record.of(item, "error", error=error_text(error))


def error_text(error: Exception) -> str:
    """Return the type of an error and the first line of its message."""
    return f"{type(error).__name__}: {(str(error).splitlines() or [type(error).__name__])[0]}"
