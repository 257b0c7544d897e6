"""The end of a pytest session: a worker hands its part over, every other process finishes the run."""

from __future__ import annotations

import pytest

from pytest_qbench.plugin.access import KEY
from pytest_qbench.plugin.collection import bench_item
from pytest_qbench.session.gc import gc_paused
from pytest_qbench.session.run import Run
from pytest_qbench.session.workers import is_worker


def finish_session(session: pytest.Session) -> None:
    """Hand over the worker's part of the run; elsewhere finish the run and fail it where no gate could."""
    run = session.config.stash[KEY]
    _forget_nodes(session)
    if is_worker(session.config):
        session.config.workeroutput["qbench"] = run.worker_output()  # type: ignore[attr-defined]
        return
    with gc_paused():
        _finish_run(session, run)


def _forget_nodes(session: pytest.Session) -> None:
    """Keep item nodes out of pytest's list of all tests ever seen: it is read whole at every start."""
    plugin = session.config.pluginmanager.getplugin("nfplugin")
    if plugin is not None and hasattr(session, "items"):
        items = [item for item in session.items if bench_item(item) is not None]
        plugin.cached_nodeids.difference_update(getattr(item, "id", item.nodeid) for item in items)


def _finish_run(session: pytest.Session, run: Run) -> None:
    recorder = run.recorder
    recorder.settle()
    run.request.tasks = run.request.tasks or dict.fromkeys(record.task for record in recorder.records.values())
    if recorder.records:
        from pytest_qbench.report.junit import add_properties
        from pytest_qbench.session.finish import finish

        if session.exitstatus == pytest.ExitCode.INTERRUPTED:
            run.notes.append(f"interrupted; resume with --qbench-resume --qbench-run-dir={recorder.folder_path}")
        try:
            run.finished = finish(run, int(session.exitstatus))
        except OSError as e:
            run.notes.append(f"{e.filename or recorder.folder.path}: cannot be written: {e.strerror}; records are kept")
        if run.finished is not None:
            add_properties(session.config, run.finished)
        if any(gate.verdict == "inconclusive" for gate in run.gating.results):
            _show_inconclusive_first(session.config)
    else:
        recorder.discard()
    if run.notes and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _show_inconclusive_first(config: pytest.Config) -> None:
    """Let pytest's last line begin with INCONCLUSIVE: "3 passed, 1 inconclusive" reads as green."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is None:
        return
    build = reporter.build_summary_stats_line

    def build_inconclusive_first() -> tuple[list[tuple[str, dict[str, bool]]], str]:
        parts, colour = build()
        first = [(text.upper(), markup) for text, markup in parts if text.endswith(" inconclusive")]
        rest = [part for part in parts if not part[0].endswith(" inconclusive")]
        return first + rest, "yellow" if colour == "green" else colour

    reporter.build_summary_stats_line = build_inconclusive_first
