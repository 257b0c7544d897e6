"""Ctrl-C and SIGTERM end the session in order, and never in the middle of an import or of the summary.

A library that is interrupted while it is imported raises anything: pytest would show its traceback. What was measured
is in the run folder whenever a signal arrives. Before the plugin is configured, signals are Python's own.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType

import pytest

_AGAIN = 0.05
"""Seconds until a signal that came at a wrong moment is sent again."""
_LONGEST = 30.0
"""Seconds after which a signal no longer waits for a better moment."""


class Interrupts:
    """The signal handlers of one session: the first signal interrupts it as Ctrl-C does, a second one ends the process.

    While the session finishes (`begin_finish`), a first signal is noted (`came_late`) and the summary still written.
    """

    def __init__(self) -> None:
        self.came_late = False
        self._is_finishing = False
        self._first: float | None = None
        self._is_delivered = False
        self._requests, self._request = os.pipe()  # writing is all that a handler may safely do with threads
        threading.Thread(target=self._send_again, name="qbench-signals", daemon=True).start()
        self._before = {
            number: signal.signal(number, self._handle)
            for number, ordinary in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL))
            if signal.getsignal(number) is ordinary
        }

    def begin_finish(self) -> None:
        """Let the summary be written: from now on a signal is noted."""
        self._is_finishing = True

    def restore(self) -> None:
        """Put the earlier handlers back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._request)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._is_delivered:
            os.write(2, b"\nqbench: interrupted twice; the records are kept\n")
            os._exit(128 + number)
        self._first = self._first or time.monotonic()
        if self._is_finishing:
            self._is_delivered = self.came_late = True
        elif (is_importing(frame) or has_no_line(frame)) and time.monotonic() - self._first < _LONGEST:
            os.write(self._request, bytes([number]))
        else:
            self._is_delivered = True
            raise KeyboardInterrupt

    def _send_again(self) -> None:
        while number := os.read(self._requests, 1):
            time.sleep(_AGAIN)
            os.kill(os.getpid(), number[0])
        os.close(self._requests)


def is_importing(frame: FrameType | None) -> bool:
    """Return whether a module is being imported where `frame` is."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def has_no_line(frame: FrameType | None) -> bool:
    """Return whether `frame` is at an instruction of no source line, which pytest cannot show as the place."""
    return frame is not None and frame.f_lineno is None


INTERRUPTS: pytest.StashKey[Interrupts] = pytest.StashKey()


def handle_interrupts(config: pytest.Config) -> None:
    """Handle signals until the end of the session. Handlers of others stay; under --pdb, Ctrl-C is the debugger's."""
    is_main = threading.current_thread() is threading.main_thread()
    if INTERRUPTS not in config.stash and is_main and not config.getoption("usepdb", False):
        config.stash[INTERRUPTS] = Interrupts()
        config.add_cleanup(config.stash[INTERRUPTS].restore)
