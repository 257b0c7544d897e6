"""Hooks of the pytest plugin. Each imports its module when a suite, gate or option needs it, so pytest starts fast."""

from __future__ import annotations

import gc
import sys
from collections.abc import Generator
from typing import Any

import pytest

from pytest_qbench.plugin.access import KEY, run_of
from pytest_qbench.plugin.fixtures import (
    qbench_baseline,
    qbench_engine,
    qbench_gate,
    qbench_judge,
    qbench_model,
    qbench_record,
    qbench_results,
)
from pytest_qbench.session.options import NAME, add_options, given, in_use
from pytest_qbench.session.process_role import is_worker

FIRST_REPLIES = 50
"""Replies to questions after which a model that names no options is told."""

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
    """Check the command line and register the listeners of this process."""
    config.addinivalue_line(
        "markers",
        "qbench(task): run this function once per benchmark item of the task perception, description or assessment; "
        "qbench(gates): number of times that a test calls qbench_gate with margin=, if it does so in a loop.",
    )
    if is_worker(config):
        return
    config.pluginmanager.register(ReportListener(config), "qbench-reports")
    if in_use(config):
        from pytest_qbench.plugin.interrupts import handle_interrupts

        handle_interrupts(config)
    if given(config):
        _check_command_line(config)
    if config.getoption("dist", "no") != "no":
        from pytest_qbench.plugin.xdist import XdistController

        config.pluginmanager.register(XdistController(config), "qbench-xdist")


def _check_command_line(config: pytest.Config) -> None:
    from pytest_qbench.errors import UsageError

    try:
        run_of(config).request.check_command_line(is_distributed=config.getoption("dist", "no") != "no")
    except UsageError as e:
        raise pytest.UsageError(str(e)) from e


def pytest_report_header(config: pytest.Config) -> list[str] | None:
    """Name model and data when a model is named."""
    if not (config.getoption("qbench_model") or config.getini("qbench_model")):
        return None
    from pytest_qbench.plugin.terminal import header

    return header(run_of(config))


def pytest_report_collectionfinish(config: pytest.Config, items: list[pytest.Item]) -> list[str]:
    """State what the run will do, how quality columns are understood, and what keeps items from the fast path.

    A worker returns none, as nobody would print them.
    """
    if KEY not in config.stash or is_worker(config) or (run := config.stash[KEY]).usage_error or not run.request.tasks:
        return []
    from pytest_qbench.plugin.collection import written_gates
    from pytest_qbench.plugin.early_stop import stop_lines
    from pytest_qbench.plugin.nodes import ItemNode
    from pytest_qbench.plugin.terminal import baseline_lines, header, plan
    from pytest_qbench.plugin.watchers import full_run_lines

    request = run.request
    found = [d.meaning for d in request.datasets if d.meaning and d.task in request.tasks]
    has_item_nodes = any(isinstance(item, ItemNode) for item in items)
    return [
        *(header(run) if request.settings.model is None else ()),  # a fixture's model is known only now
        *(f"qbench: {meaning}" for meaning in found), *full_run_lines(config, has_item_nodes=has_item_nodes),
        *baseline_lines(run), plan(run, written_gates(config)), *stop_lines(run),
    ]  # fmt: skip


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize suite functions with their items."""
    marker = metafunc.definition.get_closest_marker(NAME)
    if marker is not None and "gates" not in marker.kwargs:
        from pytest_qbench.plugin.collection import parametrize_items

        parametrize_items(run_of(metafunc.config), metafunc, marker)


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem(collector: Any, name: str, obj: object) -> Generator[None, Any, Any]:
    """Replace the node of a body-less suite function by one node per item."""
    found = yield
    if isinstance(found, list) and KEY in collector.config.stash:
        from pytest_qbench.plugin.collection import replace_with_item_nodes

        return replace_with_item_nodes(collector.config.stash[KEY], collector, name, obj, found)
    return found


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None]:
    """Order gates last, drop functions without items and raise usage errors, after all other plugins."""
    yield
    if KEY in config.stash:
        from pytest_qbench.plugin.collection import order_and_check

        order_and_check(config, config.stash[KEY], items)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Plan the chunks of the selected items."""
    if KEY in session.config.stash:
        from pytest_qbench.plugin.collection import plan_measurement

        plan_measurement(session, session.config.stash[KEY])
        if is_worker(session.config):
            from pytest_qbench.plugin.xdist_worker import hand_over_reports

            hand_over_reports(session.config.stash[KEY], session)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Report an item in one step if its record exists already."""
    if KEY in item.config.stash:
        from pytest_qbench.plugin.fast_path import report_recorded

        return report_recorded(item.config.stash[KEY], item, nextitem) or None
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach record and verdict to the report as plain values, which xdist sends to the controller."""
    report = yield
    if KEY in item.config.stash:
        from pytest_qbench.plugin.report_plugins import tag
        from pytest_qbench.plugin.reports import attach

        attach(item, report)
        tag(item, report)
    return report


def pytest_report_teststatus(report: pytest.TestReport) -> Any:
    """Return category, letter and word for the outcome of an item or gate."""
    outcome = getattr(report, "qbench_outcome", None)
    if outcome is None:
        return None
    from pytest_qbench.plugin.reports import OUTCOMES

    return OUTCOMES.get(outcome)


@pytest.hookimpl(optionalhook=True)
def pytest_html_results_table_row(report: pytest.TestReport, cells: list[str]) -> None:
    """Name the outcomes of items and gates in the table of pytest-html."""
    from pytest_qbench.plugin.report_plugins import name_result

    name_result(report, cells)


class ReportListener:
    """Reads records as their reports arrive. A worker has none: its controller does this."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.first_replies: list[pytest.TestReport] = []

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None]:
        """Read the record of a reported item, and count gates and failed tests."""
        if (key := getattr(report, "qbench_item", None)) is not None:
            run_of(self.config).recorder.ensure_record(key)
        if (key := getattr(report, "qbench_skipped", None)) is not None:
            run_of(self.config).recorder.skipped.add(key)
        if KEY in self.config.stash:
            self.config.stash[KEY].gating.count(report)
            if self.config.stash[KEY].early_stop is not None:
                self._follow(report)
        yield
        outcome = getattr(report, "qbench_outcome", None)
        if outcome in ("wrong", "unparsed", "error"):
            from pytest_qbench.plugin.reports import remember_wrong

            remember_wrong(self.config, report)
        if outcome in ("correct", "wrong", "unparsed") and len(self.first_replies) < FIRST_REPLIES:
            self.first_replies.append(report)
            if len(self.first_replies) == FIRST_REPLIES:
                from pytest_qbench.plugin.reports import warn_of_unparsed

                warn_of_unparsed(self.config, self.first_replies)

    def _follow(self, report: pytest.TestReport) -> None:
        """Stop measuring a task, or the run, where its items so far decide the gates."""
        from pytest_qbench.plugin.early_stop import follow

        run = self.config.stash[KEY]
        controller = self.config.pluginmanager.getplugin("qbench-xdist")
        if follow(self.config, run, report) and controller is not None:
            controller.leave_out(run)

    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Run a session with item nodes, faster than pytest's own loop."""
        if KEY in session.config.stash:
            from pytest_qbench.plugin.fast_path import run_session

            return run_session(session.config.stash[KEY], session)
        return None


@pytest.hookimpl(wrapper=True, tryfirst=True)  # around the wrapper that runs the gates of workers
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Open the run folder before the first item. Raise the usage error that this process or a worker found.

    A hook between two tests may raise one, too. pytest shows it as an internal error, and a worker as fifty lines. Here
    it ends the session; a worker hands it to its controller.
    """
    from pytest_qbench.errors import UsageError

    result: object = True
    try:
        if KEY in session.config.stash and not is_worker(session.config) and not session.config.option.collectonly:
            from pytest_qbench.plugin.collection import open_run_folder

            open_run_folder(session.config, session.config.stash[KEY])
            _report_resumed(session.config)
            _show_pace(session.config)
        result = yield
    except KeyboardInterrupt:  # the base class of the exceptions with which pytest and xdist stop a session
        _raise_usage_error(session.config)
        raise
    except UsageError as e:
        from pytest_qbench.plugin.item_test import end_session

        end_session(session, run_of(session.config), e)
    _raise_usage_error(session.config)
    return result


def _report_resumed(config: pytest.Config) -> None:
    run, reporter = config.stash[KEY], config.pluginmanager.getplugin("terminalreporter")
    if run.request.settings.resume and reporter is not None:
        reporter.write_line(
            f"qbench: resuming {run.recorder.folder_path}: {run.recorder.resumed} items are recorded already"
        )


def _show_pace(config: pytest.Config) -> None:
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is not None:
        from pytest_qbench.plugin.progress import show_pace

        show_pace(reporter)


def _raise_usage_error(config: pytest.Config) -> None:
    if KEY in config.stash and config.stash[KEY].usage_error and not is_worker(config):
        raise pytest.UsageError(config.stash[KEY].usage_error)


@pytest.hookimpl(tryfirst=True)  # before the JUnit XML is written
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send a worker's part of the run to the controller. Any other process writes summary and baseline."""
    if KEY in session.config.stash:
        from pytest_qbench.plugin.finish import finish_session

        finish_session(session)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Show the tables, the gates and the files of the run, or the reason why it has no summary."""
    if KEY not in config.stash:
        return
    run = config.stash[KEY]
    if finished := run.finished:
        from pytest_qbench.plugin.terminal import show

        show(terminalreporter, finished)
    elif run.notes and not is_worker(config):
        from pytest_qbench.escaping import one_line

        terminalreporter.write_line(f"FAILED: {one_line(run.notes[-1])}", red=True)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Flush stdout, so that pytest's usage error on stderr comes after it. Keep the exit status of a failed run.

    torch and transformers leave 400,000 objects, which the interpreter's last collections would visit for a second.
    """
    if KEY not in config.stash:
        return
    if "torch" in sys.modules:
        gc.freeze()
    from pytest_qbench.plugin.finish import FINISHED, keep_status

    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is not None:
        reporter.flush()
    if FINISHED in config.stash:
        keep_status(config)
