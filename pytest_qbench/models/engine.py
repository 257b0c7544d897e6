"""Items in, records out: decode, ask in batches, score. A batch that fails is asked again item by item."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from pytest_qbench.errors import ItemError
from pytest_qbench.items import Item
from pytest_qbench.models.base import Model, Recalls, Response
from pytest_qbench.prompts import AnswerMode, Prompt, prompt, question_text
from pytest_qbench.records import Record
from pytest_qbench.scoring import DEFAULT, Scoring, score

if TYPE_CHECKING:
    from PIL.Image import Image

    from pytest_qbench.judges.base import Judge

GREY = (128, 128, 128)
# What a model may raise over its items; RuntimeError is torch's, out of memory included. A `UsageError` passes: then
# the run cannot work, not an item.
FAILURES = (ArithmeticError, ItemError, LookupError, OSError, RuntimeError, TypeError, ValueError)
MAX_NEW_TOKENS = {"perception": 32, "description": 256}


class Watch(Protocol):
    """Who wants to know which batch is being measured: both are called on the thread that called `Engine.measure`."""

    def begun(self, items: Sequence[Item]) -> None:
        """Called just before a batch is measured; batches follow one another."""
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
        batch_size: int,
        blind: bool,
        judge_rounds: int,
        judge: Callable[[], Judge],
        scoring: Scoring = DEFAULT,
    ) -> None:
        self.model, self.answer, self.batch_size, self.blind = model, answer, batch_size, blind
        self.judge_rounds, self._judge = judge_rounds, judge
        self.scoring = scoring

    def measure(self, items: Sequence[Item], watch: Watch | None = None) -> list[Record]:
        """Return the record of each item, in order; items of like length share a batch, so little is padding."""
        records: dict[int, Record] = {}
        # By task, then by the length of the text; the order is a function of the items alone.
        order = sorted(range(len(items)), key=lambda i: (items[i].task, self._length(items[i]), i))
        for batch in _batches(order, [items[i].task for i in order], self.batch_size):
            if watch is not None:
                watch.begun([items[i] for i in batch])
            measured = self._measure_batch([items[i] for i in batch])
            if watch is not None:
                watch.done(measured)
            records.update(zip(batch, measured, strict=True))
        return [records[i] for i in range(len(items))]

    def _length(self, item: Item) -> int:
        return len(question_text(item, self.answer)) if item.task == "perception" else 0

    def _measure_batch(self, items: list[Item]) -> list[Record]:
        try:
            return self._score(items, self._ask(items))
        except FAILURES as e:
            if len(items) == 1:
                return [Record.of(items[0], "error", error=f"{type(e).__name__}: {_first_line(e)}")]
            return [record for item in items for record in self._measure_batch([item])]

    def _ask(self, items: list[Item]) -> list[Response]:
        if isinstance(self.model, Recalls):
            return self.model.recall(items)
        prompts = [self._prompt(item) for item in items]
        task = items[0].task
        if task == "assessment":
            words = self.scoring.words
            rows = self.model.next_token_logprobs(prompts, words)
            return [Response(logprobs=dict(zip(words, row, strict=True))) for row in rows]
        if task == "perception" and self.answer == "likelihood":
            options = [item.options for item in items]
            rows = self.model.option_likelihoods(prompts, options)
            return [Response(logprobs=dict(zip(o, row, strict=True))) for o, row in zip(options, rows, strict=True)]
        return [Response(text=text) for text in self.model.generate(prompts, MAX_NEW_TOKENS[task])]

    def _prompt(self, item: Item) -> Prompt:
        images = tuple(self._decode(item)) if self.model.needs_images else ()
        return prompt(item, images, self.answer)

    def _decode(self, item: Item) -> Iterator[Image]:
        from PIL import Image, UnidentifiedImageError

        for source in item.images:
            try:
                image = Image.open(io.BytesIO(source.read())).convert("RGB")
            except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as e:
                raise ItemError(f"{source.name}: not a readable image: {_first_line(e)}") from e
            yield Image.new("RGB", image.size, GREY) if self.blind else image

    def _score(self, items: list[Item], responses: list[Response]) -> list[Record]:
        records = [score(item, response, self.scoring) for item, response in zip(items, responses, strict=True)]
        if items[0].task != "description":
            return records
        texts = [record.response or "" for record in records]
        verdicts = self._judge().judge(texts, [item.golden for item in items], self.judge_rounds)
        return [replace(record, judge=v) for record, v in zip(records, verdicts, strict=True)]


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _batches(order: list[int], tasks: list[str], size: int) -> Iterator[list[int]]:
    """Cut `order` into runs of one task of at most `size`."""
    start = 0
    for end in range(1, len(order) + 1):
        if end == len(order) or end - start == size or tasks[end] != tasks[start]:
            yield order[start:end]
            start = end
