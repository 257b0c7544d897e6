"""Q-Bench's lines in pytest's terminal: the header line and the closing section."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from pytest_qbench.report.finished_run import Finished
from pytest_qbench.report.terminal import NOT_QBENCH, section

if TYPE_CHECKING:
    from pytest_qbench.session.settings import Settings


def header(settings: Settings) -> str:
    """Return the line of the session header: model and data."""
    data = NOT_QBENCH if settings.data == "mini" else settings.data
    blind = ", blind (grey images)" if settings.blind else ""
    ray = f", ray {settings.ray}" if settings.ray else ""
    return f"qbench: model {settings.model}, data {data}{blind}{ray}"


def show(reporter: Any, run: Finished) -> None:
    """Write the section with pytest's own writer."""
    width = reporter._tw.fullwidth
    reporter.write_sep("=", "Q-Bench")
    for line in section(run, width, reporter.verbosity):
        # Only a terminal has an edge; in a log a line stays whole, so that it can be searched for.
        for text in wrapped(line.text, width) if reporter.isatty else [line.text]:
            reporter.write_line(text, **dict.fromkeys(line.marks, True))


def wrapped(text: str, width: int) -> list[str]:
    """A long sentence on several lines, the second and later ones indented."""
    if len(text) <= width:
        return [text]
    return textwrap.wrap(text, width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
