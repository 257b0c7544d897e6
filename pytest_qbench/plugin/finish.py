"""End a pytest session: a worker sends its part of the run to the controller, any other process finishes the run."""

from __future__ import annotations

import pytest

from pytest_qbench.errors import NOT_MEASURED, UsageError
from pytest_qbench.plugin.access import KEY
from pytest_qbench.plugin.collection import bench_item
from pytest_qbench.plugin.interrupts import INTERRUPTS
from pytest_qbench.session.gc import gc_paused
from pytest_qbench.session.options import given_model
from pytest_qbench.session.process_role import is_worker
from pytest_qbench.session.run import Run

FINISHED: pytest.StashKey[tuple[pytest.Session, int]] = pytest.StashKey()
"""The session and the exit status that its run leads to."""
_ENDED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)


def finish_session(session: pytest.Session) -> None:
    """Send a worker's part of the run to the controller. Another process finishes the run and sets the exit status."""
    run = session.config.stash[KEY]
    interrupts = session.config.stash.get(INTERRUPTS, None)
    if interrupts is not None:
        interrupts.begin_finish()
    _forget_nodes(session)
    if is_worker(session.config):
        session.config.workeroutput["qbench"] = run.worker_output()  # type: ignore[attr-defined]
        return
    try:
        with gc_paused():
            _finish_run(session, run)
    except UsageError as e:  # of the run folder
        raise pytest.UsageError(str(e)) from e
    if interrupts is not None and interrupts.came_late:
        session.exitstatus = pytest.ExitCode.INTERRUPTED
    session.config.stash[FINISHED] = session, int(session.exitstatus)


def keep_status(config: pytest.Config) -> None:
    """Restore the exit status of a session that has failed, if a plugin has set it to 0 since.

    pytest-testmon does so when it deselects every test.
    """
    session, status = config.stash[FINISHED]
    session.exitstatus = session.exitstatus or status


def _forget_nodes(session: pytest.Session) -> None:
    """Keep item nodes out of pytest's cache of known node ids, which pytest reads at every start."""
    plugin = session.config.pluginmanager.getplugin("nfplugin")
    if plugin is not None and hasattr(session, "items"):
        items = [item for item in session.items if bench_item(item) is not None]
        plugin.cached_nodeids.difference_update(getattr(item, "id", item.nodeid) for item in items)


def _finish_run(session: pytest.Session, run: Run) -> None:
    recorder = run.recorder
    recorder.settle(run.early_stop.left_out if run.early_stop else ())
    run.request.tasks = run.request.tasks or dict.fromkeys(record.task for record in recorder.records.values())
    if not recorder.records:
        recorder.discard()
        _refuse_empty(session, run)
        return
    from pytest_qbench.report.junit import add_properties
    from pytest_qbench.session.finish import finish
    from pytest_qbench.session.ledger import exit_status

    if session.exitstatus == pytest.ExitCode.INTERRUPTED:
        run.notes.append(f"interrupted; resume with --qbench-resume --qbench-run-dir={recorder.folder_path}")
    try:
        run.finished = finish(run, int(session.exitstatus))
    except OSError as e:
        run.notes.append(
            f"{e.filename or recorder.folder.path}: cannot be written: {e.strerror}; records are kept: make room, then "
            f"resume with --qbench-resume --qbench-run-dir={recorder.folder.path}"
        )
    if run.finished is not None:
        add_properties(session.config, run.finished)
    session.exitstatus = exit_status(run.gating, run.not_measured, run.notes, int(session.exitstatus))
    if any(gate.verdict == "inconclusive" for gate in run.gating.results):
        _show_first(session.config, "inconclusive")
    elif session.exitstatus == 0 and run.gating.results and not run.gating.not_gated:
        _end_in_green(session.config)


def _refuse_empty(session: pytest.Session, run: Run) -> None:
    """Fail a session that names a model and measures nothing, unless that is expected, as with `--collect-only`."""
    config = session.config
    is_expected = config.option.collectonly or run.usage_error or not (run.request.tasks or given_model(config))
    if is_expected or session.exitstatus not in _ENDED:
        return
    session.exitstatus = NOT_MEASURED
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is not None:
        if reporter._tw.width_of_current_line:  # the progress of other tests
            reporter._tw.line()
        reporter.write_line("NOT MEASURED: a model is named, but no item was measured; run the suites", red=True)


def _show_first(config: pytest.Config, outcome: str) -> None:
    """Let pytest's last line name an outcome before all but failures: "3 passed, 1 inconclusive" looks like a pass."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is None:
        return
    build = reporter.build_summary_stats_line

    def build_with_outcome_first() -> tuple[list[tuple[str, dict[str, bool]]], str]:
        parts, colour = build()
        failed = [part for part in parts if part[0].endswith((" failed", " error", " errors"))]
        found = [(text.upper(), markup) for text, markup in parts if text.endswith(f" {outcome}")]
        rest = [part for part in parts if part not in failed and not part[0].endswith(f" {outcome}")]
        return failed + found + rest, "yellow" if colour == "green" else colour

    reporter.build_summary_stats_line = build_with_outcome_first


def _end_in_green(config: pytest.Config) -> None:
    """Let pytest's last line be green where every gate holds: outcomes of other names than its own make it yellow."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is None or reporter.stats.get("warnings"):
        return
    build = reporter.build_summary_stats_line

    def build_in_green() -> tuple[list[tuple[str, dict[str, bool]]], str]:
        parts, colour = build()
        return parts, "green" if colour == "yellow" else colour

    reporter.build_summary_stats_line = build_in_green
