"""Items in, records out: decode and preprocess ahead in threads, ask in batches, score. A bad item costs itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from pytest_qbench.errors import ItemError
from pytest_qbench.items import ImageSource, Item
from pytest_qbench.models.base import Model, Prepares, Recalls, Response
from pytest_qbench.models.failures import OutOfMemoryError
from pytest_qbench.models.marking import Marker, failed
from pytest_qbench.models.pipeline import Pipeline, Ready, Work
from pytest_qbench.models.plan import plan_batches
from pytest_qbench.pictures import Picture, Pictures
from pytest_qbench.prompts import AnswerMode, Prompt, prompt, question_text
from pytest_qbench.records import Record
from pytest_qbench.scoring import DEFAULT, Scoring

if TYPE_CHECKING:
    from pytest_qbench.judges.base import Judge

# What a model may raise over its items; RuntimeError is torch's, out of memory included. A `UsageError` passes: then
# the run cannot work, not an item.
FAILURES = (ArithmeticError, ItemError, LookupError, OSError, RuntimeError, TypeError, ValueError)
MAX_NEW_TOKENS = {"perception": 32, "description": 256}
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
        self.model, self.answer, self.blind = model, answer, blind
        self.batch_size = batch_size or (model.largest_batch if isinstance(model, Prepares) else AUTO_BATCH_SIZE)
        self.scoring = scoring
        self._score = Marker(scoring, judge, judge_rounds, decides)
        self._pipeline = Pipeline(model)
        self._expected: tuple[tuple[Item, ...], int] | None = None

    def measure(self, items: Sequence[Item], watch: Watch | None = None, then: Sequence[Item] = ()) -> list[Record]:
        """Return the record of each item, in order. What is measured together follows `plan.plan_batches`.

        `then` are the items that the next call will be about: they are made ready behind these. Only a hint; what was
        expected in vain is dropped.
        """
        batches = self._claim(tuple(items))
        if then:
            self._expected = tuple(then), self._enter(tuple(then))
        records: dict[int, Record] = {}
        for _ in range(batches):
            ready = self._pipeline.next()
            records.update(zip(ready.work.positions, self._measure(ready, watch), strict=True))
        return [records[i] for i in range(len(items))]

    def close(self) -> None:
        """End the threads."""
        self._expected = None
        self._pipeline.close()

    def _claim(self, items: tuple[Item, ...]) -> int:
        """Have the batches of `items` first in the line and return their number."""
        expected, self._expected = self._expected, None
        if expected is not None and expected[0] == items:
            return expected[1]
        self._pipeline.clear()
        return self._enter(items)

    def _enter(self, items: tuple[Item, ...]) -> int:
        plan = plan_batches(items, self.batch_size, self._length)
        self._pipeline.add(self._works(items, plan))
        return len(plan)

    def _length(self, item: Item) -> int:
        return len(question_text(item, self.answer)) if item.task == "perception" else 0

    def _works(self, items: tuple[Item, ...], plan: Sequence[tuple[tuple[int, ...], bool]]) -> Iterator[Work]:
        last: list[tuple[ImageSource, ...]] = []
        pictures: list[tuple[Picture, ...]] = []
        for positions, shared in plan:
            batch = [items[i] for i in positions]
            sources = [item.images for item in batch]
            if not shared or sources != last:
                last = sources if shared else []
                pictures = [
                    tuple(Picture(source, blind=self.blind, shared=shared) for source in item.images)
                    if self.model.needs_images
                    else ()
                    for item in batch
                ]
            prompts = [
                prompt(item, Pictures(own) if own else (), self.answer)
                for item, own in zip(batch, pictures, strict=True)
            ]
            yield Work(positions, tuple(batch), tuple(prompts), tuple(pictures))

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
        """Return how many items to try after a batch of `size` failed: half where memory ran out, else one by one."""
        if isinstance(error, OutOfMemoryError) or "out of memory" in str(error):
            self.batch_size = min(self.batch_size, size // 2)
            return size // 2
        return 1

    def _ask(self, items: list[Item], prompts: Sequence[Prompt]) -> Sequence[Response | ItemError]:
        if isinstance(self.model, Recalls):
            return self.model.recall(items)
        if not isinstance(self.model, Prepares):
            prompts = [replace(prompt, images=tuple(prompt.images)) for prompt in prompts]
        task = items[0].task
        if task == "assessment":
            words = self.scoring.words
            rows = self.model.next_token_logprobs(prompts, words)
            return [_scored(words, row) for row in rows]
        if task == "perception" and self.answer == "likelihood":
            options = [item.options for item in items]
            rows = self.model.option_likelihoods(prompts, options)
            return [_scored(own, row) for own, row in zip(options, rows, strict=True)]
        texts = self.model.generate(prompts, MAX_NEW_TOKENS[task])
        return [text if isinstance(text, ItemError) else Response(text=text) for text in texts]


def _scored(words: Sequence[str], row: Sequence[float] | ItemError) -> Response | ItemError:
    return row if isinstance(row, ItemError) else Response(logprobs=dict(zip(words, row, strict=True)))
