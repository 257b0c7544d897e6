"""Q-Bench's output in pytest's terminal: the header line and the section at the end."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from pytest_qbench.escaping import printable
from pytest_qbench.report.finished_run import Finished
from pytest_qbench.report.headline import tone_of, word_of
from pytest_qbench.report.terminal import COLOURS, NOT_QBENCH, section

if TYPE_CHECKING:
    from pytest_qbench.session.settings import Settings


def header(settings: Settings) -> str:
    """Return the line of the session header: model and data."""
    data = NOT_QBENCH if settings.data == "mini" else settings.data
    blind = ", blind (grey images)" if settings.blind else ""
    ray = f", ray {settings.ray}" if settings.ray else ""
    return printable(f"qbench: model {settings.model}, data {data}{blind}{ray}")


def show(reporter: Any, run: Finished) -> None:
    """Write the section of a finished run with pytest's terminal writer."""
    width = reporter._tw.fullwidth
    word = word_of(run)
    reporter.write_sep("=", f"Q-Bench: {word}", **{COLOURS[tone_of(word)]: True, "bold": True})
    for line in section(run, width, reporter.verbosity):
        # In a log each line stays whole, so that it can be searched for.
        for text in wrapped(line.text, width) if reporter.isatty else [line.text]:
            reporter.write_line(text, **dict.fromkeys(line.marks, True))


def wrapped(text: str, width: int) -> list[str]:
    """Return a text as lines of at most `width` characters, all but the first indented."""
    if len(text) <= width:
        return [text]
    return textwrap.wrap(text, width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
