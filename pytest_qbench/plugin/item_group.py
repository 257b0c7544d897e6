"""Collect a plain suite function as one test on a worker of xdist. A worker measures a part of the items only.

Collecting a node for each item would cost each worker as much as one process alone. Instead one `ItemGroup` stands for
all items of a function, its node id says how many there are, and the controller counts them as if they were collected.
A worker makes the node of an item when it runs the item. Options, plugins and conftests that select, order or look at
single tests keep it from doing so: every item then has its node from the start.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Any, cast

import pytest

from pytest_qbench.errors import UsageError
from pytest_qbench.plugin.nodes import ItemNode, Suite, node_name
from pytest_qbench.plugin.watchers import hears_reports, looks_at_collection
from pytest_qbench.session.chunk_measurer import Chunk
from pytest_qbench.session.chunks import chunk_starts

if TYPE_CHECKING:
    from pytest_qbench.items import Item, Task
    from pytest_qbench.records import Record
    from pytest_qbench.session.run import Run

_MARK = "\x00"  # no node id of pytest's contains it
# Options that select, order or repeat single tests.
_SELECTING = ("qbench_early_stop", "keyword", "lf", "failedfirst", "newfirst", "stepwise", "stepwise_skip")


class ItemGroup(pytest.Item):
    """All items of a plain suite function. It never runs: an index of `Tests` gives the node of one item."""

    def __init__(self, name: str, parent: Any, nodeid: Any, suite: Suite, items: tuple[Item, ...], run: Run) -> None:
        super().__init__(name, parent, nodeid=nodeid)
        self.suite, self.items, self.run = suite, items, run
        self.own_markers = list(suite.marks)
        self._function = suite.function_id

    @classmethod
    def of(cls, function: pytest.Function, items: tuple[Item, ...], run: Run) -> ItemGroup:
        """Return the group of a function's items, which are of one task."""
        suite, size = Suite(function), f"{_MARK}{items[0].task}:{len(items)}"
        given = {"nodeid": suite.nodeid(size), "suite": suite, "items": items, "run": run}
        return cls.from_parent(suite.parent, name=f"{suite.name}[{size}]", **given)

    def node(self, position: int) -> ItemNode:
        """Return a new node for one of the items."""
        item = self.items[position]
        name = node_name(item.id)
        given = {"nodeid": self.suite.nodeid(name), "suite": self.suite, "bench": item, "run": self.run}
        return ItemNode.from_parent(self.suite.parent, name=f"{self.suite.name}[{name}]", **given)

    def take(self, position: int) -> Record | None:
        """Return the record of an item that can be reported from it, once, as `take_recorded` does with its node."""
        if not self.suite.takes_fast_path:
            return None
        item = self.items[position]
        return self.run.recorder.measurer.take(item_id(self._function, item), item)

    @cached_property
    def _starts(self) -> list[int]:
        request = self.run.request
        return chunk_starts(len(self.items), request.chunk_size, request.planned_batch)

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {item.id: position for position, item in enumerate(self.items)}

    def chunk(self, item: Item) -> Chunk:
        """Return the chunk that an item belongs to."""
        following = bisect_right(self._starts, self._positions[item.id])
        items = self.items[self._starts[following - 1] : self._starts[following]]
        return Chunk(tuple(item_id(self._function, item) for item in items), items)

    def runtest(self) -> None:
        """Raise `AssertionError`, since a group is not a test."""
        raise AssertionError(f"{self.suite.name}: its items run, and not their group")


class Tests(list[pytest.Item]):
    """The collected tests of a worker: iterating yields a group once, while an index counts all items of a group."""

    def __init__(self, collected: Iterable[pytest.Item]) -> None:
        super().__init__(collected)
        sizes = (len(node.items) if isinstance(node, ItemGroup) else 1 for node in self)
        self._starts = list(accumulate(sizes, initial=0))
        self._made: dict[int, ItemNode] = {}

    def __getitem__(self, index: Any) -> Any:
        """Return the test with this index. The node of an item is made once."""
        node, position = self.locate(index)
        if not isinstance(node, ItemGroup):
            return node
        if index not in self._made:
            self._made[index] = node.node(position)
        return self._made[index]

    def locate(self, index: int) -> tuple[pytest.Item, int]:
        """Return the collected test or group that an index counts, and the position in it."""
        place = bisect_right(self._starts, index) - 1
        return super().__getitem__(place), index - self._starts[place]

    def chunk(self, nodeid: str, item: Item) -> Chunk:
        """Return the chunk of an item that is about to be measured."""
        function = nodeid.partition("[")[0]
        for node in self:
            if isinstance(node, ItemGroup) and node.suite.function_id == function:
                return node.chunk(item)
        raise KeyError(nodeid)


def item_id(function: str, item: Item) -> str:
    """Return the node id of an item's test."""
    return f"{function}[{node_name(item.id)}]"


def collects_groups(config: pytest.Config) -> bool:
    """Whether this process is a worker in which nothing selects, orders or looks at single tests."""
    if getattr(config, "workerinput", {}).get("qbench_dist") != "load":
        return False
    if any(getattr(config.option, name, None) for name in _SELECTING):
        return False
    if any("[" in text for text in (*config.args, *(config.option.deselect or ()))):
        return False
    return not (looks_at_collection(config) or hears_reports(config))


def expand(ids: list[str], items_of: Callable[[Task], list[Item]]) -> None:
    """Replace the node id of each group by those of its items, in place. Raises `UsageError` for other data."""
    expanded: list[str] = []
    for nodeid in ids:
        function, _, group = nodeid.partition(f"[{_MARK}")
        if not group:
            expanded.append(nodeid)
            continue
        task, _, size = group.removesuffix("]").partition(":")
        items = items_of(cast("Task", task))
        if len(items) != int(size):
            raise UsageError(
                f"{function}: a worker found {size} items and its controller {len(items)}: use the same data"
            )
        expanded += [item_id(function, item) for item in items]
    ids[:] = expanded
