"""Measure items: prefetch images in threads, query the model in batches, score. A bad item affects no other item."""

from __future__ import annotations

import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import takewhile
from typing import Any, Protocol

from pytest_qbench.engine.batching import plan_batches
from pytest_qbench.engine.dispatch import ITEM_FAILURES, BatchBuilder, PromptSettings
from pytest_qbench.engine.flow import Answer, Asked, Flow, Steps
from pytest_qbench.engine.grader import Grader, error_record
from pytest_qbench.engine.prefetch import Batch, Prefetcher, PreparedBatch
from pytest_qbench.engine.prompt_changes import PromptChanges
from pytest_qbench.errors import ItemError
from pytest_qbench.items import Item
from pytest_qbench.judges.base import Judge, JudgesInThreads
from pytest_qbench.models import given_prompts
from pytest_qbench.models.base import (
    MatchesItems,
    Model,
    RemoteModel,
    SupportsPrefetch,
    SupportsReplay,
    SupportsSamples,
    SupportsThreads,
)
from pytest_qbench.models.errors import OutOfMemoryError, WorkerDied
from pytest_qbench.prompt_sets.read import packaged_set
from pytest_qbench.prompts import DEFAULT_PROMPTS, MAX_NEW_TOKENS, AnswerMode, Prompt, PromptSet
from pytest_qbench.records import Record, Response, error_kind, repeated
from pytest_qbench.scoring.score import DEFAULT, Scoring

TRACEBACKS = 10  # maximum number of kinds of errors whose traceback is kept
AUTO_BATCH_SIZE = 16
"""Batch size when neither the user nor the model names one."""


class BatchObserver(Protocol):
    """Receives the batches in progress. Both methods run on the thread that called `Engine.measure`."""

    def batch_started(self, items: Sequence[Item], others: Sequence[Item] = ()) -> None:
        """Note the items that start now, and the `others` that started before and are in progress.

        Batches of a local model never overlap. A failed batch is retried in parts, and each part starts and finishes
        with its own calls. The failed batch itself never finishes. Items of an endpoint finish one by one.
        """
        ...

    def batch_finished(self, records: Sequence[Record]) -> None:
        """Note the records of items that have just finished."""
        ...


class Engine:
    """Measures items with one model. Apart from rounding, results do not depend on which items share a call."""

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
        reads_unparsed: bool = False,
        marks_answers: bool = False,
        max_new_tokens: Mapping[str, int] = MAX_NEW_TOKENS,
        prompt_set: PromptSet | None = None,
        named_words: Sequence[str] = (),
        repeats: int = 1,
        on_prompt_change: Callable[[dict[str, Any]], None] = lambda found: None,
    ) -> None:
        """Wrap a loaded model. `batch_size` None starts with the model's own size and halves it when memory runs out.

        `prompt_set` None is the packaged default. `named_words` are recorded beside those of the score. Each item is
        asked `repeats` times; more than once needs a model that supports samples.
        `on_prompt_change` takes what `PromptChanges` finds.

        Raises `ModelError` for a model whose methods have earlier names.
        """
        self.model, self.answer = model, answer
        largest = model.largest_batch if isinstance(model, SupportsPrefetch | RemoteModel) else None
        if isinstance(model, SupportsThreads):
            largest = model.items_at_once
        self.batch_size = batch_size or largest or AUTO_BATCH_SIZE
        # Checked once: isinstance with a Protocol takes longer than an item of a model without weights.
        self._replay = model if isinstance(model, SupportsReplay) else None
        self._matches = model if isinstance(model, MatchesItems) else None
        self._remote = model if isinstance(model, RemoteModel) else None
        self._samples = model if isinstance(model, SupportsSamples) else None
        self.repeats = repeats
        self.scoring = scoring
        self._settings = PromptSettings(
            answer,
            blind,
            scoring.words,
            max_new_tokens,
            prompt_set or packaged_set(DEFAULT_PROMPTS),
            named_words,
        )
        self._prompt_changes = PromptChanges(on_prompt_change)
        self._grade = Grader(scoring, judge, judge_rounds, reads_unparsed, marks_answers)
        self._prefetcher = Prefetcher(model)
        self._expected: deque[tuple[tuple[Item, ...], int]] = deque()
        self.tracebacks: dict[str, str] = {}  # item id -> traceback, for the first error of each kind
        self._kinds: set[str] = set()
        self._has_threads = isinstance(model, SupportsThreads)
        self._one_at_a_time = threading.Lock()
        self._flow: tuple[BatchObserver | None, Flow] | None = None

    @property
    def sees(self) -> bool:
        """Whether the model is shown the images of the items."""
        return self.model.needs_images and not self._settings.blind

    def measure(
        self, items: Sequence[Item], observer: BatchObserver | None = None, next_calls: Iterable[Sequence[Item]] = ()
    ) -> list[Record]:
        """Return the record of each item, in order. `batching.plan_batches` decides which items share a batch.

        `next_calls` predicts the items of the next calls, so that the engine can prefetch their images. A wrong
        prediction costs time only: the engine then drops the prefetched batches. An endpoint is asked for these items
        ahead. The observer then gets their records, and the caller must not ask for them again.
        """
        if self._matches is not None:
            self._matches.expect(items)
        if items and all(map(self._flows, items)):
            flow = self._flow_of(observer)
            found = flow.measure(items, takewhile(lambda call: all(map(self._flows, call)), next_calls))
            return [found[item.task, item.id] for item in items]
        batches = self._claim(tuple(items))
        self._prefetch(next_calls)
        records: dict[int, Record] = {}
        for _ in range(batches):
            ready = self._prefetcher.next()
            records.update(zip(ready.batch.positions, self._measure(ready, observer), strict=True))
        return [records[i] for i in range(len(items))]

    def close(self) -> None:
        """Stop the threads."""
        if self._flow is not None:
            self._flow[1].close()
            self._flow = None
        self._expected.clear()
        self._prefetcher.close()

    def _flows(self, item: Item) -> bool:
        """Return whether an item is measured without batches, because its model or only its judge waits for a server.

        Recorded outputs are the only other model that flows: it answers at once, and the judge sets the pace.
        """
        if self._has_threads:
            return True
        return self._replay is not None and self._judge_waits(item)

    def _judge_waits(self, item: Item) -> bool:
        return self._grade.waits_for(item) and self._judge_has_threads

    @cached_property
    def _judge_has_threads(self) -> bool:
        return isinstance(self._grade.judge(), JudgesInThreads)

    def _flow_of(self, observer: BatchObserver | None) -> Flow:
        """Return the flow whose records go to `observer`. What was asked ahead for another one is dropped."""
        if self._flow is None or self._flow[0] is not observer:
            if self._flow is not None:
                self._flow[1].close()
            steps = Steps(self._prompt, self._ask, self._grade_passes, self._judge_waits, self._note, ITEM_FAILURES)
            begin = observer.batch_started if observer else lambda items, others: None
            finish = observer.batch_finished if observer else lambda records: None
            self._flow = observer, Flow(self.batch_size, steps, begin, finish)
        return self._flow[1]

    def _prompt(self, item: Item) -> Prompt:
        self._judge_waits(item)  # loads the judge on this thread
        (batch,) = self._batches((item,), [((0,), False)])
        return batch.prompts[0]

    def _ask(self, item: Item, prompt: Prompt) -> Answer:
        """Return the model's responses to one item, one per pass, and the prompts that it was given.

        Several threads call this.
        """
        if self._replay is not None:
            with self._one_at_a_time:
                return self._replay.recall([item]), [prompt]
        responses: list[Response | ItemError] = []
        for number in range(self.repeats):
            if self._samples is not None:
                self._samples.use_sample(number)
            with given_prompts.collect() as given:
                (response,) = self._settings.query(self.model, [item], [prompt])
            if isinstance(response, ItemError):
                return [response], given
            responses.append(response)
        return responses, given

    def _grade_passes(
        self, items: Sequence[Item], answers: Sequence[Sequence[Response | ItemError]], passing: set[str]
    ) -> list[Record]:
        """Return the graded responses of items of one task, over all passes of each."""
        found: list[Record | None] = [None] * len(items)
        for count in {len(responses) for responses in answers}:
            chosen = [i for i, responses in enumerate(answers) if len(responses) == count]
            passes = [
                self._grade([items[i] for i in chosen], [answers[i][number] for i in chosen], passing)
                for number in range(count)
            ]
            for i, outcomes in zip(chosen, zip(*passes, strict=True), strict=True):
                found[i] = repeated(outcomes)
        return [record for record in found if record is not None]

    def _note(self, asked: Asked, error: Exception | None) -> None:
        """Note how the prompt of an item was changed, and the traceback of its error."""
        if error is not None:
            self._keep_traceback(asked.item.id, error_record(asked.item, error).error or "", error)
        elif asked.given:
            template = self._settings.prompt_set.template(asked.item.task, self.answer)
            self._prompt_changes.add([asked.item], [asked.prompt], asked.given, template)

    def _claim(self, items: tuple[Item, ...]) -> int:
        """Make the batches of `items` the first in the queue and return their number."""
        if self._expected:
            expected, batches = self._expected.popleft()
            if expected == items:
                return batches
        self._expected.clear()
        self._prefetcher.clear()
        return self._enqueue(items)

    def _prefetch(self, next_calls: Iterable[Sequence[Item]]) -> None:
        """Queue the batches of the next calls until the queue is long enough."""
        queued = 0
        for call, items in enumerate(next_calls):
            if call == len(self._expected):
                self._expected.append((tuple(items), self._enqueue(tuple(items))))
            queued += self._expected[call][1]
            if queued >= self._prefetcher.ahead:
                return

    def _enqueue(self, items: tuple[Item, ...]) -> int:
        plan = plan_batches(items, self.batch_size, self._length)
        self._prefetcher.add(self._batches(items, plan))
        return len(plan)

    def _length(self, item: Item) -> int:
        template = self._settings.prompt_set.template(item.task, self.answer)
        return len(template.fill(item)[0]) if item.task == "perception" else 0

    def _batches(self, items: tuple[Item, ...], plan: Sequence[tuple[tuple[int, ...], bool]]) -> Iterator[Batch]:
        build = BatchBuilder(self._settings, vision=self.model.needs_images)
        for positions, shared in plan:
            yield build(positions, [items[i] for i in positions], shared)

    def _measure(self, ready: PreparedBatch, observer: BatchObserver | None) -> list[Record]:
        """Measure one batch of the plan; in parts if the batch size has shrunk since it was planned."""
        items = ready.batch.items
        readable = [i for i in range(len(items)) if i not in ready.broken]
        records = {i: error_record(items[i], error) for i, error in ready.broken.items()}
        if records and observer is not None:
            observer.batch_started([items[i] for i in records])
            observer.batch_finished(list(records.values()))
        measured = self._parts([items[i] for i in readable], ready.prompts, self.batch_size, observer)
        records.update(zip(readable, measured, strict=True))
        return [records[i] for i in range(len(items))]

    def _parts(
        self, items: list[Item], prompts: Sequence[Prompt], size: int, observer: BatchObserver | None
    ) -> list[Record]:
        """Measure items `size` at a time, or fewer if the batch size has shrunk."""
        records: list[Record] = []
        while len(records) < len(items):
            start = len(records)
            part = slice(start, start + min(size, self.batch_size))
            whole = len(items) <= size <= self.batch_size  # a slice of the prompts has no prepared tensors
            records += self._batch(items[part], prompts if whole else prompts[part], observer)
        return records

    def _batch(self, items: list[Item], prompts: Sequence[Prompt], observer: BatchObserver | None) -> list[Record]:
        """Measure one batch. If it fails, measure its items in smaller batches."""
        if observer is not None:
            observer.batch_started(items)
        try:
            records = self._measure_passes(items, prompts)
        except ITEM_FAILURES as e:
            if len(items) > 1:
                return self._parts(items, prompts, self._smaller(len(items), e), observer)
            records = [error_record(items[0], e)]
            self._keep_traceback(items[0].id, records[0].error or "", e)
        if observer is not None:
            observer.batch_finished(records)
        return records

    def _keep_traceback(self, item: str, message: str, error: Exception) -> None:
        """Keep the traceback of the first error of a kind. An `ItemError` without a cause needs none."""
        kind = error_kind(message, item)
        if kind in self._kinds or len(self._kinds) == TRACEBACKS:
            return
        if not isinstance(error, ItemError) or error.__cause__ is not None:
            self._kinds.add(kind)
            self.tracebacks[item] = "".join(traceback.format_exception(error.__cause__ or error, chain=False))

    def _smaller(self, size: int, error: Exception) -> int:
        """Return the size of the next attempt after a batch of `size` failed.

        Half if memory ran out or a process died, else 1.
        """
        if isinstance(error, WorkerDied):
            return size // 2
        if isinstance(error, OutOfMemoryError) or "out of memory" in str(error):
            self.batch_size = min(self.batch_size, size // 2)
            return size // 2
        return 1

    def _measure_passes(self, items: list[Item], prompts: Sequence[Prompt]) -> list[Record]:
        """Return the graded responses of one batch, over all passes."""
        if self.repeats == 1 or self._samples is None:
            return self._grade(items, self._query(items, prompts))
        passes = []
        for number in range(self.repeats):
            self._samples.use_sample(number)
            passes.append(self._grade(items, self._query(items, prompts)))
        return [repeated(outcomes) for outcomes in zip(*passes, strict=True)]

    def _query(self, items: list[Item], prompts: Sequence[Prompt]) -> Sequence[Response | ItemError]:
        """Return the model's response to each item of a batch."""
        if self._replay is not None:
            return self._replay.recall(items)
        if self._remote is not None:
            return self._remote.receive(items, prompts)
        with given_prompts.collect() as given:
            responses = self._settings.query(self.model, items, prompts)
        template = self._settings.prompt_set.template(items[0].task, self.answer)
        self._prompt_changes.add(items, prompts, given, template)
        return responses
