"""The pytest plugin: hooks only, thin. Nothing heavy is imported before a suite asks for a model."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from pytest_qbench import collection, outcomes
from pytest_qbench.fixtures import (
    qbench_baseline,
    qbench_engine,
    qbench_gate,
    qbench_judge,
    qbench_model,
    qbench_record,
    qbench_results,
)
from pytest_qbench.options import add_options
from pytest_qbench.session import KEY, QBench, is_worker

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
    """Read and check the options, before anything is collected."""
    config.addinivalue_line(
        "markers",
        "qbench(task): run this function once per benchmark item of the task perception, description or assessment.",
    )
    config.stash[KEY] = QBench.configured(config)
    if not is_worker(config):
        config.pluginmanager.register(outcomes.Collector(config.stash[KEY]), "qbench-collector")
        if config.pluginmanager.hasplugin("xdist"):
            from pytest_qbench.xdist import Controller

            config.pluginmanager.register(Controller(config.stash[KEY]), "qbench-xdist")


def pytest_report_header(config: pytest.Config) -> str | None:
    """Name model and data when a model was asked for on the command line."""
    if config.getoption("qbench_model") is None:
        return None
    from pytest_qbench.report.terminal import header

    return header(config.stash[KEY])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize suite functions with their items."""
    collection.generate(metafunc.config.stash[KEY], metafunc)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put gates last, drop what has no items, report what cannot work."""
    collection.arrange(config.stash[KEY], items)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Plan the chunks over the final selection."""
    collection.plan(session.config.stash[KEY], session.items)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach record and verdict to the report: plain values, which cross xdist by themselves."""
    report = yield
    return outcomes.attach(item, report)


def pytest_report_teststatus(report: pytest.TestReport) -> Any:
    """Name the outcomes of items and gates."""
    return outcomes.status(report)


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """End in a usage error when a process found that the run cannot work."""
    try:
        result = yield
    except session.Interrupted:
        collection.raise_problem(session.config)
        raise
    collection.raise_problem(session.config)
    return result


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand over what a worker knows; else write summary and baseline."""
    outcomes.finish(session)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Show tables, gates, files."""
    if config.stash[KEY].records:
        from pytest_qbench.report.terminal import show

        show(terminalreporter, config.stash[KEY])
