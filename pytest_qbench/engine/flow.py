"""Measure items whose model or judge waits for a server: the next item starts as soon as an earlier one is done.

There are no batches. Each item is asked in a thread, and its record goes to the observer at once. While the last items
of a call are in progress, those of the next calls begin. An item whose error may pass is asked again at the end of its
call, when all others are done.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice

from pytest_qbench.engine.grader import error_record
from pytest_qbench.errors import ItemError
from pytest_qbench.items import Item
from pytest_qbench.prompts import Prompt
from pytest_qbench.records import Key, Record, Response

STEP = 4
"""New items start when a quarter of the places is free, so that the journal gets a line for many items."""
Answer = tuple[Sequence[Response | ItemError], Sequence[Prompt]]
"""The responses of all passes and the prompts that the model was given. An error ends the passes: it is alone then."""


@dataclass(eq=False)
class Asked:
    """An item in progress. `given` are the prompts that the model was given, `failure` is what its thread raised."""

    item: Item
    prompt: Prompt
    is_second: bool = False
    responses: Sequence[Response | ItemError] = ()
    given: Sequence[Prompt] = ()
    record: Record | None = None
    may_pass: bool = False
    failure: BaseException | None = None

    @property
    def failed(self) -> bool:
        """Whether the model's response is an error."""
        return any(isinstance(response, ItemError) for response in self.responses)

    @property
    def key(self) -> Key:
        """Key of the item."""
        return self.item.task, self.item.id


@dataclass(frozen=True)
class Steps:
    """What happens to an item.

    - `prompt` returns its prompt.
    - `ask` asks the model, in a thread. It raises one of `failures` if that concerns the item alone.
    - `grade` returns the records of items from their responses in all passes. The ids of items on which the judge
      failed, but may succeed later, go to its third argument.
    - `grade_waits` returns whether grading items of its kind waits for a server; it then takes place in the thread.
    - `note` is called on the thread of `Flow.measure` for each answer, with the exception of `ask` if there is one.
    """

    prompt: Callable[[Item], Prompt]
    ask: Callable[[Item, Prompt], Answer]
    grade: Callable[[Sequence[Item], Sequence[Sequence[Response | ItemError]], set[str]], list[Record]]
    grade_waits: Callable[[Item], bool]
    note: Callable[[Asked, Exception | None], None]
    failures: tuple[type[Exception], ...]


class Flow:
    """Keeps `width` items in progress. All methods run on one thread, which must be that of the observer."""

    def __init__(self, width: int, steps: Steps, begin: Callable[[Sequence[Item], Sequence[Item]], None],
                 finish: Callable[[Sequence[Record]], None]) -> None:  # fmt: skip
        """`begin` is called with items that start and those in progress before, `finish` with records that are done."""
        self._width, self._steps, self._begin, self._finish = width, steps, begin, finish
        self._waiting: dict[Key, Item] = {}
        self._in_progress: dict[Key, Asked] = {}
        self._again: dict[Key, Asked] = {}
        self._to_do: queue.SimpleQueue[Asked | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Asked] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def measure(self, items: Sequence[Item], next_calls: Iterable[Sequence[Item]]) -> dict[Key, Record]:
        """Return the records of `items`. Items of `next_calls` may start; their records go to `finish` alone."""
        known = {**self._in_progress, **self._again}
        # Of items that an earlier call began for this one, only the others wait.
        own: dict[Key, Item] = {(item.task, item.id): item for item in items}
        first = {key: item for key, item in own.items() if key not in known}
        self._waiting = {**first, **{key: item for key, item in self._waiting.items() if key not in first}}
        ahead = iter(next_calls)
        records: dict[Key, Record] = {}
        while len(records) < len(own):
            if self._again and not any(key in self._waiting or key in self._in_progress for key in own):
                self._waiting = {**{key: own[key] for key in own if key in self._again}, **self._waiting}
            self._fill(ahead)
            for record in self._next_records():
                if (record.task, record.item) in own:
                    records[record.task, record.item] = record
        return records

    def close(self) -> None:
        """Start nothing more. Items in progress are left to their threads, which end with them."""
        self._waiting.clear()
        for _ in self._threads:
            self._to_do.put(None)
        self._threads.clear()

    def _fill(self, ahead: Iterator[Sequence[Item]]) -> None:
        """Start items while enough places are free; take more from the calls `ahead` if too few wait."""
        free = self._width - len(self._in_progress)
        if free < max(1, self._width // STEP) and self._in_progress:
            return
        while len(self._waiting) < free and (more := next(ahead, None)) is not None:
            known = self._in_progress.keys() | self._again.keys()
            self._waiting.update({(i.task, i.id): i for i in more if (i.task, i.id) not in known})
        chosen = [(key, self._waiting.pop(key)) for key in [*islice(self._waiting, free)]]
        self._start(
            [
                self._again.pop(key) if key in self._again else Asked(item, self._steps.prompt(item))
                for key, item in chosen
            ]
        )

    def _start(self, asked: Sequence[Asked]) -> None:
        if not asked:
            return
        self._begin([each.item for each in asked], [each.item for each in self._in_progress.values()])
        for each in asked:
            self._in_progress[each.key] = each
            self._to_do.put(each)
        while len(self._threads) < min(self._width, len(self._in_progress)):
            # A daemon: an interrupted process does not wait for replies that nobody will read.
            thread = threading.Thread(target=self._work, name="qbench-item", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        """Ask one item after the other, on a thread of its own."""
        while (asked := self._to_do.get()) is not None:
            try:
                self._ask(asked)
            except BaseException as e:  # noqa: BLE001 - raised again on the thread of `measure`
                asked.failure = e
            self._done.put(asked)

    def _ask(self, asked: Asked) -> None:
        if not asked.responses:
            asked.responses, asked.given = self._steps.ask(asked.item, asked.prompt)
            asked.may_pass = any(isinstance(each, ItemError) and each.may_pass for each in asked.responses)
        if not asked.failed and self._steps.grade_waits(asked.item):
            passing: set[str] = set()
            (asked.record,) = self._steps.grade([asked.item], [asked.responses], passing)
            asked.may_pass = bool(passing)

    def _next_records(self) -> list[Record]:
        """Wait for the next items that are done, and return the records that are final."""
        found = [self._done.get()]
        while not self._done.empty():
            found.append(self._done.get())
        for asked in found:
            del self._in_progress[asked.key]
        ungraded = []
        for asked in found:
            failure = asked.failure
            if failure is not None and not isinstance(failure, self._steps.failures):
                raise failure
            assert failure is None or isinstance(failure, Exception)
            self._steps.note(asked, failure)
            if failure is not None:
                asked.record = error_record(asked.item, failure)
                asked.may_pass = isinstance(failure, ItemError) and failure.may_pass
            elif asked.record is None:
                ungraded.append(asked)
        for _, same in groupby(sorted(ungraded, key=lambda asked: asked.item.task), lambda asked: asked.item.task):
            self._grade(list(same))
        final = []
        for asked in found:
            assert asked.record is not None
            if asked.may_pass and not asked.is_second:
                responses = () if asked.failed else asked.responses
                self._again[asked.key] = Asked(asked.item, asked.prompt, is_second=True, responses=responses)
            else:
                final.append(asked.record)
        if final:
            self._finish(final)
        return final

    def _grade(self, asked: Sequence[Asked]) -> None:
        """Grade items of one task together: a judge on this machine is faster with many."""
        graded = self._steps.grade([each.item for each in asked], [each.responses for each in asked], set())
        for each, record in zip(asked, graded, strict=True):
            each.record = record
