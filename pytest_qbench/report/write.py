"""Write the reports of a run or a comparison: page, Markdown, step summary, data, JUnit XML."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from pytest_qbench.report.finished_run import FinishedRun

STEP_SUMMARY = "GITHUB_STEP_SUMMARY"


def write_reports(
    run: FinishedRun, html: Path | None, md: Path | None, data: Path | None = None, junit: Path | None = None
) -> list[str]:
    """Write a report to each given path. Return a note about each file that cannot be written."""
    from pytest_qbench.report.junit import junit_xml
    from pytest_qbench.report.markdown import markdown
    from pytest_qbench.report.page import page

    notes = []
    wanted: list[tuple[str, Path | None, Callable[[FinishedRun], str]]] = [
        ("html", html, page), ("md", md, markdown), ("junit", junit, junit_xml),
        ("json", data, lambda run: run.summary.as_text()),
    ]  # fmt: skip
    for name, path, made in wanted:
        if path is not None:
            try:
                path.write_text(made(run), encoding="utf-8")
            except OSError as e:
                notes.append(f"{name} report {path}: cannot be written: {e.strerror}")
    return notes


def write_step_summary(run: FinishedRun) -> list[str]:
    """Append the Markdown report to the step summary of a GitHub Actions job. Return notes on failures.

    The environment variable `STEP_SUMMARY` names the file. No user asked for it, so a failure does not fail the run.
    """
    from pytest_qbench.report.markdown import markdown

    if not (named := os.environ.get(STEP_SUMMARY)):
        return []
    try:
        with Path(named).open("a", encoding="utf-8") as file:
            file.write(markdown(run))
    except OSError as e:
        return [f"{STEP_SUMMARY}={named}: cannot be written: {e.strerror}"]
    return []
