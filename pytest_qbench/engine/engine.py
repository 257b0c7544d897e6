"""Items in, records out: decode and preprocess ahead in threads, ask in batches, score. A bad item costs itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from pytest_qbench.engine.batching import plan_batches
from pytest_qbench.engine.dispatch import FAILURES, Asking, Works
from pytest_qbench.engine.grader import Marker, failed
from pytest_qbench.engine.prefetch import Pipeline, Ready, Work
from pytest_qbench.errors import ItemError
from pytest_qbench.items import Item
from pytest_qbench.models.base import Model, Prepares, Recalls, Sends
from pytest_qbench.models.errors import OutOfMemoryError, WorkerDied
from pytest_qbench.prompts import AnswerMode, Prompt, question_text
from pytest_qbench.records import Record, Response
from pytest_qbench.scoring.score import DEFAULT, Scoring

if TYPE_CHECKING:
    from pytest_qbench.judges.base import Judge

AUTO_BATCH_SIZE = 16
"""Where the user names no number and the model no other."""


class Watch(Protocol):
    """Who wants to know which batch is being measured: both are called on the thread that called `Engine.measure`."""

    def begun(self, items: Sequence[Item]) -> None:
        """Called just before a batch is measured; batches follow one another.

        A batch that fails is begun again in parts: then each part is, and only the parts are done.
        """
        ...

    def done(self, records: Sequence[Record]) -> None:
        """Called right after a batch was scored, with the record of each of its items."""
        ...


class Engine:
    """Measures items with one model. Results do not depend on which items share a call beyond float rounding."""

    def __init__(
        self,
        model: Model,
        *,
        answer: AnswerMode,
        batch_size: int | None,
        blind: bool,
        judge_rounds: int,
        judge: Callable[[], Judge],
        scoring: Scoring = DEFAULT,
        decides: bool = False,
    ) -> None:
        """Wrap a loaded model; `batch_size` None is auto: what the model begins with, halved where memory runs out."""
        self.model, self.answer = model, answer
        largest = model.largest_batch if isinstance(model, Prepares | Sends) else None
        self.batch_size = batch_size or largest or AUTO_BATCH_SIZE
        # Asked once: of a protocol that takes longer than to measure with a model without weights.
        self._recalls = model if isinstance(model, Recalls) else None
        self._sends = model if isinstance(model, Sends) else None
        self.scoring = scoring
        self._asking = Asking(answer, blind, scoring.words)
        self._score = Marker(scoring, judge, judge_rounds, decides)
        self._pipeline = Pipeline(model)
        self._expected: deque[tuple[tuple[Item, ...], int]] = deque()

    def measure(
        self, items: Sequence[Item], watch: Watch | None = None, then: Iterable[Sequence[Item]] = ()
    ) -> list[Record]:
        """Return the record of each item, in order. What is measured together follows `plan.plan_batches`.

        `then` are the items that the next calls will be about, call by call: as many as the line has room for are made
        ready behind these. Only a hint; what was expected in vain is dropped.
        """
        batches = self._claim(tuple(items))
        self._expect(then)
        records: dict[int, Record] = {}
        for _ in range(batches):
            ready = self._pipeline.next()
            records.update(zip(ready.work.positions, self._measure(ready, watch), strict=True))
        return [records[i] for i in range(len(items))]

    def close(self) -> None:
        """End the threads."""
        self._expected.clear()
        self._pipeline.close()

    def _claim(self, items: tuple[Item, ...]) -> int:
        """Have the batches of `items` first in the line and return their number."""
        if self._expected:
            expected, batches = self._expected.popleft()
            if expected == items:
                return batches
        self._expected.clear()
        self._pipeline.clear()
        return self._enter(items)

    def _expect(self, then: Iterable[Sequence[Item]]) -> None:
        """Put what the next calls will be about behind what is in the line, until that is long enough."""
        standing = 0
        for call, items in enumerate(then):
            if call == len(self._expected):
                self._expected.append((tuple(items), self._enter(tuple(items))))
            standing += self._expected[call][1]
            if standing >= self._pipeline.ahead:
                return

    def _enter(self, items: tuple[Item, ...]) -> int:
        plan = plan_batches(items, self.batch_size, self._length)
        self._pipeline.add(self._works(items, plan))
        return len(plan)

    def _length(self, item: Item) -> int:
        return len(question_text(item, self.answer)) if item.task == "perception" else 0

    def _works(self, items: tuple[Item, ...], plan: Sequence[tuple[tuple[int, ...], bool]]) -> Iterator[Work]:
        make = Works(self._asking, sees=self.model.needs_images)
        for positions, shared in plan:
            yield make(positions, [items[i] for i in positions], shared)

    def _measure(self, ready: Ready, watch: Watch | None) -> list[Record]:
        """Measure one batch of the plan, in parts where it is larger than what fits by now."""
        items = ready.work.items
        whole = [i for i in range(len(items)) if i not in ready.broken]
        records = {i: failed(items[i], error) for i, error in ready.broken.items()}
        if records and watch is not None:
            watch.begun([items[i] for i in records])
            watch.done(list(records.values()))
        measured = self._parts([items[i] for i in whole], ready.prompts, self.batch_size, watch)
        records.update(zip(whole, measured, strict=True))
        return [records[i] for i in range(len(items))]

    def _parts(self, items: list[Item], prompts: Sequence[Prompt], size: int, watch: Watch | None) -> list[Record]:
        """Measure items `size` at a time, or as many as fit by now."""
        records: list[Record] = []
        while len(records) < len(items):
            start = len(records)
            part = slice(start, start + min(size, self.batch_size))
            whole = len(items) <= size <= self.batch_size  # not cut: cut prompts have lost their tensors
            records += self._batch(items[part], prompts if whole else prompts[part], watch)
        return records

    def _batch(self, items: list[Item], prompts: Sequence[Prompt], watch: Watch | None) -> list[Record]:
        """Measure one batch; where it fails, the same items in smaller ones."""
        if watch is not None:
            watch.begun(items)
        try:
            records = self._score(items, self._ask(items, prompts))
        except FAILURES as e:
            if len(items) > 1:
                return self._parts(items, prompts, self._smaller(len(items), e), watch)
            records = [failed(items[0], e)]
        if watch is not None:
            watch.done(records)
        return records

    def _smaller(self, size: int, error: Exception) -> int:
        """Return how many items to try after a batch of `size` failed.

        Half where memory ran out or processes died, else one by one.
        """
        if isinstance(error, WorkerDied):
            return size // 2
        if isinstance(error, OutOfMemoryError) or "out of memory" in str(error):
            self.batch_size = min(self.batch_size, size // 2)
            return size // 2
        return 1

    def _ask(self, items: list[Item], prompts: Sequence[Prompt]) -> Sequence[Response | ItemError]:
        if self._recalls is not None:
            return self._recalls.recall(items)
        if self._sends is not None:
            return self._sends.answers(items, prompts)
        return self._asking.ask(self.model, items, prompts)
