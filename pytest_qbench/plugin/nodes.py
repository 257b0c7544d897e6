"""Light test nodes for the items of a plain suite function.

A suite function is plain if it does nothing but measure. Its body is empty, it has no marks but ours, and it uses only
our fixtures and fixtures of session scope. Its items share one function node, which represents them in pytest's fixture
system. Every other suite function is parametrized normally, at ten times the cost.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, MutableMapping
from functools import cached_property
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

import pytest
from _pytest._code.code import Traceback, filter_traceback
from _pytest.fixtures import TopRequest
from _pytest.mark.structures import NodeKeywords

from pytest_qbench import PACKAGE
from pytest_qbench.errors import UsageError
from pytest_qbench.plugin.item_test import measure, stop
from pytest_qbench.plugin.stash import FULL_RUNS
from pytest_qbench.plugin.watchers import (
    Phase,
    package_of,
    reported_phases,
    say_full_runs,
    watcher_in_project,
    watching_plugins,
)
from pytest_qbench.session.gc import gc_paused
from pytest_qbench.session.options import NAME

if TYPE_CHECKING:
    from pytest_qbench.engine.engine import Engine
    from pytest_qbench.items import Item
    from pytest_qbench.session.run import Run

_OURS = frozenset({"qbench_item", "qbench_record", "request"})
# Attributes of half a kilobyte that pytest creates with every node and most nodes never need.
_LAZY_ATTRIBUTES = (
    *("keywords", "extra_keyword_matches", "stash", "user_properties", "_report_sections"),
    *(["_store"] if hasattr(pytest.Item, "_store") else []),
)


def _empty() -> None: ...


class Items(tuple["Item", ...]):
    """All items of a plain suite function, as the single parameter of its function node."""

    __slots__ = ()


def is_plain(metafunc: pytest.Metafunc) -> bool:
    """Return whether a suite function is plain, that is, does nothing but measure."""
    function, definition = metafunc.function, metafunc.definition
    if metafunc.cls is not None or not isinstance(function, FunctionType):
        return False
    if function.__code__.co_code != _empty.__code__.co_code:
        return False
    option = metafunc.config.option  # each of these options shows a test's phases or its function
    if option.trace or getattr(option, "setupshow", False) or getattr(option, "setuponly", False):
        return False
    if any(mark.name != NAME for mark in definition.iter_markers()):
        return False
    if why := watcher_in_project(metafunc, _OURS):
        metafunc.config.stash.setdefault(FULL_RUNS, {})[why] = None
        return False
    # pytest has no public API for the fixtures of a function.
    known: dict[str, Any] = metafunc._arg2fixturedefs
    if any(len(known.get(name, ())) != 1 for name in ("qbench_record", "qbench_engine")):
        return False
    for name in metafunc.fixturenames:
        defs = known.get(name)
        if name in _OURS:
            continue
        if not defs or defs[-1].params or (defs[-1].scope != "session" and name in definition._fixtureinfo.argnames):
            return False
    return True


class Suite:
    """Data that all items of one suite function share."""

    def __init__(self, function: pytest.Function) -> None:
        self.function = function
        self.path, self.line, self.name = function.location[0], function.location[1], function.originalname
        self.marks = tuple(function.own_markers)
        self.keywords: dict[str, Any] = {self.name: 1}
        self.fixturenames = tuple(function.fixturenames)
        self.looked_at = False
        self.watcher: str | None = None  # a fixture that was found to look at its test
        parent = function.parent
        assert parent is not None
        self.parent = parent
        # pytest 9.2 stores a node id in parts. The ids of one function share all parts but the last.
        self._id = parent.id.child(self.name) if hasattr(parent, "id") else f"{parent.nodeid}::{self.name}"

    @property
    def function_id(self) -> str:
        """Node id of the suite function, with which those of its items begin."""
        return str(self._id)

    def nodeid(self, parameters: str) -> Any:
        """Return the node id of one item."""
        return f"{self._id}[{parameters}]" if isinstance(self._id, str) else self._id.with_params(parameters)

    def engine(self, node: ItemNode) -> Engine:
        """Return the engine from pytest's fixtures, which live as long as the session.

        `node` is the test that requests them, as for pytest's doctests.
        """
        request = TopRequest(node, _ispytest=True)  # type: ignore[arg-type]
        for name in self.fixturenames:
            if name not in _OURS and name not in self.plugin_fixtures:
                request.getfixturevalue(name)
        engine: Engine = request.getfixturevalue("qbench_engine")
        return engine

    def set_up_plugin_fixtures(self, node: ItemNode) -> None:
        """Set up the fixtures that installed plugins give every test; note the first that looks at the test.

        They are set up for the items that run like any test: the first of each chunk or, once one of them looked at
        its test, all.
        """
        if not self.plugin_fixtures:
            return
        request = TopRequest(node, _ispytest=True)  # type: ignore[arg-type]
        node.__class__ = _ObservedNode
        try:
            for name, package in self.plugin_fixtures.items():
                request.getfixturevalue(name)
                if self.looked_at and not self.watcher:
                    self.watcher = f"fixture {name} of plugin {package} looks at each test"
        finally:
            node.__class__ = ItemNode

    @cached_property
    def plugin_fixtures(self) -> dict[str, str]:
        """The fixtures that installed plugins give every test, in order, and the package of each."""
        known = self.function._fixtureinfo.name2fixturedefs
        found = {name: known[name][-1] for name in self.fixturenames if name not in _OURS and name in known}
        return {name: package_of(one) for name, one in found.items() if one.scope != "session"}

    @cached_property
    def needs_phases(self) -> bool:
        """Whether a plugin looks at each test, so that every item runs like any test."""
        return bool(watching_plugins(self.function.config))

    @cached_property
    def reported_phases(self) -> tuple[Phase, ...]:
        """The phases of which a recorded item has a report."""
        return reported_phases(self.function.config)

    @cached_property
    def hook(self) -> Any:
        """The hooks of its file. They are cached, as pytest looks for conftest files on each access."""
        return self.function.ihook

    @cached_property
    def has_marks_above(self) -> bool:
        """Whether its module or a folder above has a mark of another plugin. Read this when the tests run."""
        return any(mark.name != NAME for mark in self.parent.iter_markers())

    @property
    def takes_fast_path(self) -> bool:
        """Whether recorded items without marks of their own can be reported in one step."""
        return not (self.has_marks_above or self.needs_phases or self.watcher)

    @property
    def model(self) -> tuple[int, None, None]:
        """Identity of its model fixture, equal for two suites that measure the same model."""
        return id(self.function._fixtureinfo.name2fixturedefs["qbench_model"][-1]), None, None


class ItemNode(pytest.Item):
    """The test of one item. It is reported in one step if its record exists, else run like any test."""

    def __init__(self, name: str, parent: Any, nodeid: str, suite: Suite, bench: Item, run: Run) -> None:
        super().__init__(name, parent, nodeid=nodeid)
        for attribute in _LAZY_ATTRIBUTES:
            delattr(self, attribute)
        self.suite, self.bench, self.run = suite, bench, run
        self.own_markers = list(suite.marks)

    @cached_property
    def keywords(self) -> MutableMapping[str, Any]:  # type: ignore[override]
        """Names that `-m` matches."""
        return NodeKeywords(self)

    @cached_property
    def extra_keyword_matches(self) -> set[str]:  # type: ignore[override]
        """More names that `-k` matches."""
        return set()

    @cached_property
    def stash(self) -> pytest.Stash:  # type: ignore[override]
        """Storage of plugins."""
        return pytest.Stash()

    @cached_property
    def user_properties(self) -> list[tuple[str, object]]:  # type: ignore[override]
        """Properties for the JUnit report."""
        return []

    @cached_property
    def _report_sections(self) -> list[tuple[str, str, str]]:  # type: ignore[override]
        return []

    @cached_property
    def _store(self) -> pytest.Stash:  # type: ignore[override]
        return self.stash

    @property
    def function(self) -> Any:
        """The suite function."""
        return self.suite.function.function

    @property
    def obj(self) -> Any:
        """The suite function, as pytest names it for `request.function`."""
        return self.function

    @property
    def originalname(self) -> str:
        """Name of the suite function."""
        return self.suite.name

    @property
    def fixturenames(self) -> tuple[str, ...]:
        """Fixtures of the suite function."""
        return self.suite.fixturenames

    @property
    def location(self) -> tuple[str, int | None, str]:
        """Location of the suite function. pytest's own property would build a path for each item."""
        return self.suite.path, self.suite.line, self.name

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return the location of the suite function."""
        return self.path, self.suite.line, self.name

    @property
    def _fixtureinfo(self) -> Any:
        return self.suite.function._fixtureinfo

    def _traceback_filter(self, excinfo: pytest.ExceptionInfo[BaseException]) -> Traceback:
        """Leave out the frames of pytest and of this package, as pytest does for functions: 1,400 lines otherwise."""
        kept = excinfo.traceback.filter(
            lambda entry: filter_traceback(entry) and not Path(entry.path).is_relative_to(PACKAGE)
        )
        return kept or excinfo.traceback

    def setup(self) -> None:
        """Request the fixtures; those of the session only if the item needs the model. Exceptions are set-up errors."""
        was_watched = self.suite.watcher is not None
        self.suite.set_up_plugin_fixtures(self)
        if self.suite.watcher and not was_watched:
            say_full_runs(self.config, self.suite.watcher)
        try:
            needs_model = self.run.recorder.measurer.needs_model(self.nodeid, self.bench)
        except UsageError as e:  # the run folder cannot be read
            stop(self.session, self.run, e)
        if needs_model:
            self.engine = self.suite.engine(self)

    def runtest(self) -> None:
        """Measure the item with the rest of its chunk."""
        measure(self, self.run, self.bench, lambda: self.engine)


class _ObservedNode(ItemNode):
    """An item node that notes, for its suite, whether code outside pytest reads one of its attributes."""

    def __getattribute__(self, name: str) -> Any:
        reader = str(sys._getframe(1).f_globals.get("__name__", "")).partition(".")[0]
        # pytest reads these two for `request.function` and `request.keywords` alone.
        if reader not in ("_pytest", "pluggy", "pytest_qbench") or name in ("obj", "keywords"):
            object.__getattribute__(self, "suite").looked_at = True
        return super().__getattribute__(name)


def item_nodes(found: list[Any], make: Callable[[pytest.Function, Items], Iterable[Any]]) -> list[Any] | None:
    """Return `found` with the nodes that `make` returns for the items of a body-less suite function.

    None if another plugin parametrized the function too.
    """
    nodes: list[Any] = []
    for node in found:
        parameters = node.callspec.params if isinstance(node, pytest.Function) and hasattr(node, "callspec") else {}
        items = parameters.get("qbench_item")
        if not isinstance(items, Items):
            nodes.append(node)
        elif len(parameters) > 1 or len(found) > 1:
            return None
        else:
            nodes += make(node, items)
    return nodes


def nodes_of(function: pytest.Function, items: Items, run: Run) -> list[ItemNode]:
    """Return one node per item of a suite function."""
    suite, nodes = Suite(function), []
    with gc_paused():
        for item in items:
            name = node_name(item.id)
            given = {"nodeid": suite.nodeid(name), "suite": suite, "bench": item, "run": run}
            nodes.append(ItemNode.from_parent(suite.parent, name=f"{suite.name}[{name}]", **given))
    return nodes


def node_name(id_: str) -> str:
    """Return an item id as pytest writes it in a node id: ASCII, with unprintable characters escaped."""
    if id_.isascii() and id_.isprintable() and "\\" not in id_:
        return id_
    escaped = id_.encode("unicode_escape").decode("ascii")
    return escaped.replace("\x7f", "\\x7f")
