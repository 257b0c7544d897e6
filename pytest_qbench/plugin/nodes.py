"""A test node per benchmark item, as light as pytest allows: what a plain suite function is collected into.

A suite function is plain when nothing but the measurement happens in it: an empty body, our fixtures (and session
fixtures behind them), no marks but ours. Its items share one function node, which stands for it in pytest's fixture
system. Every other suite function is parametrized as any test is, and pays for it.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from functools import cached_property
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from _pytest.fixtures import TopRequest
from _pytest.mark.structures import NodeKeywords

from pytest_qbench.errors import UsageError
from pytest_qbench.session.gc import gc_paused
from pytest_qbench.session.options import NAME

if TYPE_CHECKING:
    from pytest_qbench.engine.engine import Engine
    from pytest_qbench.items import Item
    from pytest_qbench.records import Record
    from pytest_qbench.session.run import Run

_OURS = frozenset({"qbench_item", "qbench_record", "request"})
# What pytest gives every node at once, and most never need: half a kilobyte.
_EMPTY = (
    *("keywords", "extra_keyword_matches", "stash", "user_properties", "_report_sections"),
    *(["_store"] if hasattr(pytest.Item, "_store") else []),
)
_WATCHES = ("protocol", "setup", "call", "teardown", "makereport")  # of a test, as hooks pytest_runtest_...


def _empty() -> None: ...


class Items(tuple["Item", ...]):
    """The items of a plain suite function, as the one parameter that its function node is collected with."""

    __slots__ = ()


def is_plain(metafunc: pytest.Metafunc) -> bool:
    """Tell whether nothing but the measurement happens in a suite function."""
    function, definition = metafunc.function, metafunc.definition
    if metafunc.cls is not None or not isinstance(function, FunctionType):
        return False
    if function.__code__.co_code != _empty.__code__.co_code:
        return False
    option = metafunc.config.option  # each wants to see a test's phases, or its function
    if option.trace or getattr(option, "setupshow", False) or getattr(option, "setuponly", False):
        return False
    if any(mark.name != NAME for mark in definition.iter_markers()) or _is_watched(definition):
        return False
    # pytest has no public way to ask what a function's fixtures are.
    known: dict[str, Any] = metafunc._arg2fixturedefs
    if any(len(known.get(name, ())) != 1 for name in ("qbench_record", "qbench_engine")):
        return False
    for name in metafunc.fixturenames:
        defs = known.get(name)
        if name not in _OURS and (not defs or defs[-1].scope != "session" or defs[-1].params):
            return False
    return True


def _is_watched(node: pytest.Item) -> bool:
    """Tell whether a conftest watches the running of tests, which light nodes do in one step."""
    for name in _WATCHES:
        for implementation in getattr(node.ihook, f"pytest_runtest_{name}").get_hookimpls():
            if Path(getattr(implementation.plugin, "__file__", None) or "").name == "conftest.py":
                return True
    return False


class Suite:
    """What the items of one function share."""

    def __init__(self, function: pytest.Function) -> None:
        self.function = function
        self.path, self.line, self.name = function.location[0], function.location[1], function.originalname
        self.marks = tuple(function.own_markers)
        self.keywords: dict[str, Any] = {self.name: 1}
        self.fixturenames = tuple(function.fixturenames)
        parent = function.parent
        assert parent is not None
        # pytest 9.2 holds ids in parts; those of one function share all but the last.
        self._id = parent.id.child(self.name) if hasattr(parent, "id") else f"{parent.nodeid}::{self.name}"

    def nodeid(self, parameters: str) -> Any:
        """The node id of one item."""
        return f"{self._id}[{parameters}]" if isinstance(self._id, str) else self._id.with_params(parameters)

    def engine(self, node: ItemNode) -> Engine:
        """The engine, through pytest's fixtures: made once a session, torn down by pytest at its end.

        `node` is the test being set up, on whose behalf they are requested, as pytest does it for doctests.
        """
        request = TopRequest(node, _ispytest=True)  # type: ignore[arg-type]
        for name in self.fixturenames:
            if name not in _OURS:
                request.getfixturevalue(name)
        engine: Engine = request.getfixturevalue("qbench_engine")
        return engine

    @cached_property
    def hook(self) -> Any:
        """The hooks of its file: pytest's own way looks for conftest files per item."""
        return self.function.ihook

    @cached_property
    def marked_above(self) -> bool:
        """Whether its module or folder has a mark of another plugin; asked when the tests run."""
        assert self.function.parent is not None
        return any(mark.name != NAME for mark in self.function.parent.iter_markers())

    @property
    def model(self) -> tuple[int, None, None]:
        """What tells whether two suites measure the same model."""
        return id(self.function._fixtureinfo.name2fixturedefs["qbench_model"][-1]), None, None


class ItemNode(pytest.Item):
    """The test of one item. Reported in one step where its record is there (see `shortcut`), else like any test."""

    def __init__(self, name: str, parent: Any, nodeid: str, suite: Suite, bench: Item, run: Run) -> None:
        super().__init__(name, parent, nodeid=nodeid)
        for empty in _EMPTY:
            delattr(self, empty)
        self.suite, self.bench, self.run = suite, bench, run
        self.own_markers = list(suite.marks)

    @cached_property
    def keywords(self) -> MutableMapping[str, Any]:  # type: ignore[override]
        """Names that `-m` and others look at."""
        return NodeKeywords(self)

    @cached_property
    def extra_keyword_matches(self) -> set[str]:  # type: ignore[override]
        """More names that `-k` looks at."""
        return set()

    @cached_property
    def stash(self) -> pytest.Stash:  # type: ignore[override]
        """What plugins keep here."""
        return pytest.Stash()

    @cached_property
    def user_properties(self) -> list[tuple[str, object]]:  # type: ignore[override]
        """What tests tell of themselves."""
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
    def originalname(self) -> str:
        """Its name."""
        return self.suite.name

    @property
    def fixturenames(self) -> tuple[str, ...]:
        """The fixtures it stands for."""
        return self.suite.fixturenames

    @property
    def location(self) -> tuple[str, int | None, str]:
        """Where the function stands; pytest's own way costs a path per item."""
        return self.suite.path, self.suite.line, self.name

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the function stands."""
        return self.path, self.suite.line, self.name

    @property
    def _fixtureinfo(self) -> Any:
        return self.suite.function._fixtureinfo

    def setup(self) -> None:
        """Get the session fixtures where the item is still to be measured: what they raise is an error in setup."""
        if self.run.recorder.measurer.needs_model(self.nodeid, self.bench):
            self.engine = self.suite.engine(self)

    def runtest(self) -> None:
        """Measure the item, with its whole chunk."""
        measure(self, self.run, self.bench, lambda: self.engine)


def item_nodes(found: list[Any], run: Run) -> list[Any] | None:
    """Return one node per item for a body-less suite function; None if another plugin parametrized it too."""
    nodes: list[Any] = []
    for node in found:
        parameters = node.callspec.params if isinstance(node, pytest.Function) and hasattr(node, "callspec") else {}
        items = parameters.get("qbench_item")
        if not isinstance(items, Items):
            nodes.append(node)
        elif len(parameters) > 1 or len(found) > 1:
            return None
        else:
            suite = Suite(node)
            with gc_paused():
                for item in items:
                    one = node_name(item.id)
                    own = {"nodeid": suite.nodeid(one), "suite": suite, "bench": item, "run": run}
                    nodes.append(ItemNode.from_parent(node.parent, name=f"{suite.name}[{one}]", **own))
    return nodes


def node_name(id_: str) -> str:
    """An item id as pytest writes it in a node id: ASCII, unprintable characters escaped."""
    if id_.isascii() and id_.isprintable() and "\\" not in id_:
        return id_
    escaped = id_.encode("unicode_escape").decode("ascii")
    return escaped.replace("\x7f", "\\x7f")


def measure(node: pytest.Item, run: Run, item: Item, engine: Any) -> Record:
    """Measure the item of a test and leave its record for the report; an error fails the test where none is allowed."""
    from pytest_qbench.plugin.stash import RECORD

    try:
        asked: list[Engine] = []

        def noted() -> Engine:
            asked[:] = [engine()]
            return asked[0]

        record = run.recorder.measurer.measure(node.nodeid, item, noted)
        if asked:
            run.recorder.made_with.batch_size = asked[0].batch_size  # auto may have halved it
    except UsageError as e:
        stop(node.session, run, e)
    node.stash[RECORD] = record
    if record.status == "error" and run.request.settings.max_errors == 0:
        pytest.fail(f"{item.id}: {record.error}", pytrace=False)
    return record


def stop(session: pytest.Session, run: Run, error: UsageError) -> NoReturn:
    """End the session in a usage error; the reports of items not run are not wanted."""
    run.usage_error = run.usage_error or str(error)
    session.shouldstop = run.usage_error
    pytest.skip(run.usage_error)  # this item's own report: the session ends in exit status 4
