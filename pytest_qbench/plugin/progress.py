"""Show items per second and the time left in the line where pytest shows its percentage."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

LONG = 20.0
"""Seconds after which the pace is shown. An earlier estimate would be too noisy."""
EDGE = 32  # columns; pytest's own progress takes fewer
STEP = 0.2  # seconds between two updates of the pace


def pace(done: int, total: int, seconds: float) -> str:
    """Return items per second and the time left, such as ``12.5 items/s, 1:02:05 left``; empty for a short run."""
    if seconds < LONG or not 0 < done <= total:
        return ""
    rate = done / seconds
    left = round((total - done) / rate)
    hours, minutes = left // 3600, left // 60 % 60
    clock = f"{hours}:{minutes:02}:{left % 60:02}" if hours else f"{minutes}:{left % 60:02}"
    return f"{rate:.3g} items/s, {clock} left"


def show_pace(reporter: Any) -> None:
    """Let pytest's reporter show the pace beside its percentage: ``[ 12%, 31.2 items/s, 4:10 left]``.

    pytest has no public API to extend that line or to set its length.
    """
    width = reporter._screen_width
    message, break_line = reporter._get_progress_information_message, reporter._write_progress_information_if_past_edge
    # The pace counts from the first reported items: before them the model was loaded, and they were asked together.
    first: tuple[float, int] | None = None  # their time and number
    shown, due = "", 0.0

    def message_with_pace() -> str:
        text = message()
        return f"{text[:-1]}, {shown}]" if shown and text.endswith("]") else text

    def break_line_earlier() -> None:
        nonlocal first, shown, due
        now, done = time.monotonic(), reporter.reported_progress
        first = first or (now, done)
        if now >= due:
            total = reporter._session.testscollected
            shown, due = pace(done - first[1], total - first[1], now - first[0]), now + STEP
            reporter._screen_width = width - (len(shown) + 2 if shown else 0)
        line = reporter._tw._current_line
        if not line.isascii() or len(line) + EDGE >= reporter._screen_width:
            break_line()  # slow, as it measures every character of the line

    reporter._get_progress_information_message = message_with_pace
    reporter._write_progress_information_if_past_edge = break_line_earlier


@contextmanager
def flush_manually(reporter: Any | None) -> Generator[Callable[[], None]]:
    """Keep pytest's reporter from flushing after every test; yield a flush function, and flush at the end."""
    if reporter is None:
        yield lambda: None
        return
    flush = reporter.flush
    reporter.flush = lambda: None
    try:
        yield flush
    finally:
        reporter.flush = flush
        flush()
