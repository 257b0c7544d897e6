"""Plugins, conftests and fixtures that look at each test: for them, items run or are reported like any test."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

import pytest

from pytest_qbench.plugin.stash import FULL_RUNS
from pytest_qbench.session.process_role import is_worker

Phase = Literal["setup", "call", "teardown"]
_PHASE_HOOKS = ("protocol", "setup", "call", "teardown", "makereport")  # as hooks pytest_runtest_...
_LOG_HOOKS = ("pytest_runtest_logstart", "pytest_runtest_logreport", "pytest_runtest_logfinish")
_COLLECTION_HOOKS = (
    *("pytest_collection_modifyitems", "pytest_itemcollected", "pytest_deselected", "pytest_collection_finish"),
    *("pytest_pycollect_makeitem", "pytest_make_collect_report", "pytest_collectreport"),
)
# Plugins that look at the collected tests for functions of their own kind.
_LOOK_AT_FUNCTIONS = ("_hypothesis_pytestplugin", "hypothesis", "anyio", "pytest_asyncio")
# What looks at each test for its report or its trace hooks into one of these.
_REPORT_HOOKS = ("protocol", "makereport")
# `__channelexec__` is the module of a worker of xdist.
_OWN = ("_pytest", "pytest", "pytest_qbench", "xdist", "__channelexec__", "pluggy")
#: Plugins with such hooks that need no phases of an item: they limit or repeat tests, or take an item's one report.
_CONTENT = (
    *("pytest_timeout", "pytest_rerunfailures", "pytest_html", "pytest_jsonreport", "pytest_cov", "pytest_metadata"),
    *("_hypothesis_pytestplugin", "hypothesis", "anyio", "pytest_asyncio", "pytest_mock", "pytest_randomly"),
)
# Plugins that listen to reports for repeated tests alone.
_LISTEN_TO_REPEATS = ("pytest_rerunfailures",)
_CONFTEST = "conftest.py"
#: Key of a worker's input: whether the controller's plugins listen to the reports of all phases.
LISTENS = "qbench_listens"


def watcher_in_project(metafunc: pytest.Metafunc, ours: Collection[str]) -> str | None:
    """Return, as a sentence, what of the project looks at each test: a hook of a conftest, or an own fixture.

    Fixtures of `ours` and those that the function requests itself do not count.
    """
    definition, config = metafunc.definition, metafunc.config
    if conftest := _hooking_conftest(definition):
        return f"{_relative(conftest, config)} hooks into each test"
    for name in metafunc.fixturenames:
        fixture = (metafunc._arg2fixturedefs.get(name) or (None,))[-1]
        if fixture is None or name in ours or name in definition._fixtureinfo.argnames:
            continue
        if fixture.scope != "session" and not _is_of_plugin(config, fixture):
            path = Path(fixture.func.__code__.co_filename)
            return f"fixture {name} of {_relative(path, config)} is set up for each test"
    return None


def _hooking_conftest(node: pytest.Item) -> Path | None:
    """Return a conftest that has hooks for the phases of a test. The fast path would not call them."""
    for name in _PHASE_HOOKS:
        for implementation in getattr(node.ihook, f"pytest_runtest_{name}").get_hookimpls():
            path = Path(getattr(implementation.plugin, "__file__", None) or "")
            if path.name == _CONFTEST:
                return path
    return None


def _relative(path: Path, config: pytest.Config) -> str:
    return path.relative_to(config.rootpath).as_posix() if path.is_relative_to(config.rootpath) else path.name


def watching_plugins(config: pytest.Config) -> list[str]:
    """Return the packages of the active plugins that look at each test, in order of their names."""
    found = {package for name in _REPORT_HOOKS for package in _implementers(config, f"pytest_runtest_{name}")}
    return sorted(found.difference(_CONTENT))


def listens_to_phases(config: pytest.Config) -> bool:
    """Whether a plugin of this process, or of the controller, may wait for the reports of all phases of a test."""
    if is_worker(config) and config.workerinput.get(LISTENS):  # type: ignore[attr-defined]
        return True
    return any(package not in _LISTEN_TO_REPEATS for package in _implementers(config, "pytest_runtest_logreport"))


def reported_phases(config: pytest.Config) -> tuple[Phase, ...]:
    """Return the phases of which a recorded item has a report: all where a plugin may wait for them."""
    return ("setup", "call", "teardown") if listens_to_phases(config) else ("call",)


def hears_reports(config: pytest.Config) -> bool:
    """Whether a plugin or a conftest of this process hears of each test that ends."""
    return _is_implemented(config, _LOG_HOOKS, (*_OWN, *_LISTEN_TO_REPEATS))


def looks_at_collection(config: pytest.Config) -> bool:
    """Whether a plugin or a conftest of this process may look at, select or order the collected tests."""
    return _is_implemented(config, _COLLECTION_HOOKS, (*_OWN, *_LOOK_AT_FUNCTIONS))


def _is_implemented(config: pytest.Config, hooks: Collection[str], known: Collection[str]) -> bool:
    return any(
        _package(implementation.plugin) not in known
        for name in hooks
        for implementation in getattr(config.hook, name).get_hookimpls()
    )


def _is_of_plugin(config: pytest.Config, fixture: Any) -> bool:
    """Whether a fixture comes from an installed plugin and not from the project."""
    packages = {_package(plugin) for plugin in config.pluginmanager.get_plugins() if not _is_conftest(plugin)}
    return not _is_conftest(sys.modules.get(fixture.func.__module__)) and _package(fixture.func) in packages


def package_of(fixture: Any) -> str:
    """Return the package that defines a fixture."""
    return _package(fixture.func)


def full_run_lines(config: pytest.Config, *, has_item_nodes: bool) -> list[str]:
    """Return a line for each plugin, conftest or fixture that is known to keep items from the fast path."""
    found = config.stash.setdefault(FULL_RUNS, {})
    if has_item_nodes:
        found.update((f"plugin {package} looks at each test", None) for package in watching_plugins(config))
    return [_full_run_line(why) for why in found]


def say_full_runs(config: pytest.Config, why: str) -> None:
    """Write the line for what is found in the set-up of a test, where output is captured; once."""
    found = config.stash.setdefault(FULL_RUNS, {})
    manager = config.pluginmanager
    reporter, capture = manager.getplugin("terminalreporter"), manager.getplugin("capturemanager")
    if why not in found and reporter is not None:
        with capture.global_and_fixture_disabled() if capture is not None else nullcontext():
            reporter.ensure_newline()
            reporter.write_line(_full_run_line(why))
    found[why] = None


def _full_run_line(why: str) -> str:
    return f"qbench: items take all phases of a test, which is slower: {why}"


def _implementers(config: pytest.Config, hook: str) -> Iterator[str]:
    for implementation in getattr(config.hook, hook).get_hookimpls():
        package = _package(implementation.plugin)
        if package not in _OWN and not _is_conftest(implementation.plugin):
            yield package


def _package(plugin: object) -> str:
    """Return the top package of a module, a function or the class of an object."""
    module = getattr(plugin, "__module__", None) or getattr(plugin, "__name__", None) or type(plugin).__module__
    return str(module).partition(".")[0]


def _is_conftest(plugin: object) -> bool:
    return Path(getattr(plugin, "__file__", None) or "").name == _CONFTEST
