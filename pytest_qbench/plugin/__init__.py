"""The pytest plugin: hooks only, thin. Modules beside it are imported when a suite, a gate or an option asks."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from pytest_qbench.plugin.access import KEY, qbench
from pytest_qbench.plugin.fixtures import (
    qbench_baseline,
    qbench_engine,
    qbench_gate,
    qbench_judge,
    qbench_model,
    qbench_record,
    qbench_results,
)
from pytest_qbench.session.options import NAME, add_options, given
from pytest_qbench.session.workers import is_worker

__all__ = [
    "qbench_baseline",
    "qbench_engine",
    "qbench_gate",
    "qbench_judge",
    "qbench_model",
    "qbench_record",
    "qbench_results",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Check what was typed, and take part in xdist's controller where there is one."""
    config.addinivalue_line(
        "markers",
        "qbench(task): run this function once per benchmark item of the task perception, description or assessment.",
    )
    if is_worker(config):
        return
    config.pluginmanager.register(Collector(config), "qbench-collector")
    if given(config):
        qbench(config).check_command_line()
    if config.getoption("dist", "no") != "no":
        from pytest_qbench.plugin.xdist import Controller

        config.pluginmanager.register(Controller(config), "qbench-xdist")


def pytest_report_header(config: pytest.Config) -> str | None:
    """Name model and data when a model is named."""
    if not (config.getoption("qbench_model") or config.getini("qbench_model")):
        return None
    from pytest_qbench.plugin.terminal import header

    return header(qbench(config))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize suite functions with their items."""
    marker = metafunc.definition.get_closest_marker(NAME)
    if marker is not None:
        from pytest_qbench.plugin.collection import generate

        generate(qbench(metafunc.config), metafunc, marker)


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem(collector: Any, name: str, obj: object) -> Generator[None, Any, Any]:
    """Put light nodes in the place of a plain suite function."""
    found = yield
    if isinstance(found, list) and KEY in collector.config.stash:
        from pytest_qbench.plugin.collection import lighten

        return lighten(collector.config.stash[KEY], collector, name, obj, found)
    return found


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None]:
    """Put gates last, after whatever else reorders; drop what has no items, report what cannot work."""
    yield
    if KEY in config.stash:
        from pytest_qbench.plugin.collection import arrange

        arrange(config.stash[KEY], items)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Plan the chunks over the final selection."""
    if KEY in session.config.stash:
        from pytest_qbench.plugin.collection import plan

        plan(session.config.stash[KEY], session.items)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Report items that nothing but their measurement belongs to in one step."""
    if KEY in item.config.stash:
        from pytest_qbench.plugin.runtestloop import run_short

        return run_short(item.config.stash[KEY], item, nextitem) or None
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach record and verdict to the report: plain values, which cross xdist by themselves."""
    report = yield
    if KEY in item.config.stash:
        from pytest_qbench.plugin.reports import attach

        attach(item, report)
    return report


def pytest_report_teststatus(report: pytest.TestReport) -> Any:
    """Name the outcomes of items and gates."""
    outcome = getattr(report, "qbench_outcome", None)
    if outcome is None:
        return None
    from pytest_qbench.plugin.reports import OUTCOMES

    return OUTCOMES.get(outcome)


class Collector:
    """Takes in records as their reports arrive: alone, and on the controller; never on a worker."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None]:
        """Take in the record that a report is about; remember what passed and what failed."""
        if (key := getattr(report, "qbench_item", None)) is not None:
            qbench(self.config).take_in(key)
        if (kind := getattr(report, "qbench_kind", None)) is not None:
            qbench(self.config).note(kind, report.nodeid, report.when, report.outcome)
        yield
        if getattr(report, "qbench_outcome", None) in ("wrong", "unparsed", "error"):
            from pytest_qbench.plugin.reports import remember_wrong

            remember_wrong(self.config, report)

    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Run a session with light nodes faster than pytest's own loop does."""
        if KEY in session.config.stash:
            from pytest_qbench.plugin.runtestloop import run_all

            return run_all(session.config.stash[KEY], session)
        return None


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Open the run folder before the first item; end in a usage error when a process found that the run cannot work."""
    try:
        if KEY in session.config.stash and not is_worker(session.config) and not session.config.option.collectonly:
            session.config.stash[KEY].open_folder()
            _tell_resumed(session.config)
            _show_pace(session.config)
        result = yield
    except KeyboardInterrupt:  # the base of what pytest and xdist raise when a session is stopped
        _raise_problem(session.config)
        raise
    _raise_problem(session.config)
    return result


def _tell_resumed(config: pytest.Config) -> None:
    run, reporter = config.stash[KEY], config.pluginmanager.getplugin("terminalreporter")
    if run.settings.resume and reporter is not None:
        reporter.write_line(f"qbench: going on with {run.folder_path}: {run.replayed} items recorded before")


def _show_pace(config: pytest.Config) -> None:
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is not None:
        from pytest_qbench.plugin.progress import show_pace

        show_pace(reporter)


def _raise_problem(config: pytest.Config) -> None:
    if KEY in config.stash and config.stash[KEY].problem and not is_worker(config):
        raise pytest.UsageError(config.stash[KEY].problem)


@pytest.hookimpl(tryfirst=True)  # before the JUnit XML is written
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand over what a worker knows; else write summary and baseline."""
    if KEY in session.config.stash:
        from pytest_qbench.plugin.reports import finish

        finish(session)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Show tables, gates, files."""
    if KEY in config.stash and (finished := config.stash[KEY].finished):
        from pytest_qbench.plugin.terminal import show

        show(terminalreporter, finished)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Let all that was shown stand before a usage error, which pytest writes to the other stream."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if KEY in config.stash and reporter is not None:
        reporter.flush()
