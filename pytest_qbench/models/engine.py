"""Items in, records out: decode, ask in batches, score. A batch that fails is asked again item by item."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from pytest_qbench.errors import ItemError
from pytest_qbench.items import Item
from pytest_qbench.models.base import Model, Recalls, Response
from pytest_qbench.models.marking import Marker, failed
from pytest_qbench.prompts import AnswerMode, Prompt, prompt, question_text
from pytest_qbench.records import Record
from pytest_qbench.scoring import DEFAULT, Scoring

if TYPE_CHECKING:
    from PIL.Image import Image

    from pytest_qbench.judges.base import Judge

GREY = (128, 128, 128)
# What a model may raise over its items; RuntimeError is torch's, out of memory included. A `UsageError` passes: then
# the run cannot work, not an item.
FAILURES = (ArithmeticError, ItemError, LookupError, OSError, RuntimeError, TypeError, ValueError)
MAX_NEW_TOKENS = {"perception": 32, "description": 256}


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
        decides: bool = False,
    ) -> None:
        self.model, self.answer, self.batch_size, self.blind = model, answer, batch_size, blind
        self.scoring = scoring
        self._score = Marker(scoring, judge, judge_rounds, decides)

    def measure(self, items: Sequence[Item]) -> list[Record]:
        """Return the record of each item, in order; items of like length share a batch, so little is padding."""
        records: dict[int, Record] = {}
        # By task, then by the length of the text; the order is a function of the items alone.
        order = sorted(range(len(items)), key=lambda i: (items[i].task, self._length(items[i]), i))
        for batch in _batches(order, [items[i].task for i in order], self.batch_size):
            for i, record in zip(batch, self._measure_batch([items[i] for i in batch]), strict=True):
                records[i] = record
        return [records[i] for i in range(len(items))]

    def _length(self, item: Item) -> int:
        return len(question_text(item, self.answer)) if item.task == "perception" else 0

    def _measure_batch(self, items: list[Item]) -> list[Record]:
        try:
            return self._score(items, self._ask(items))
        except FAILURES as e:
            if len(items) == 1:
                return [failed(items[0], e)]
            return [record for item in items for record in self._measure_batch([item])]

    def _ask(self, items: list[Item]) -> Sequence[Response | ItemError]:
        if isinstance(self.model, Recalls):
            return self.model.recall(items)
        prompts = [self._prompt(item) for item in items]
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


def _scored(words: Sequence[str], row: Sequence[float] | ItemError) -> Response | ItemError:
    return row if isinstance(row, ItemError) else Response(logprobs=dict(zip(words, row, strict=True)))


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _batches(order: list[int], tasks: list[str], size: int) -> Iterator[list[int]]:
    """Cut `order` into runs of one task of at most `size`."""
    start = 0
    for end in range(1, len(order) + 1):
        if end == len(order) or end - start == size or tasks[end] != tasks[start]:
            yield order[start:end]
            start = end
