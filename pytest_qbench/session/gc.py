"""Keep the garbage collector from rescanning long-lived objects."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def gc_paused() -> Generator[None]:
    """Pause the collector while many long-lived objects are built."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def freeze() -> None:
    """Collect the garbage, then exempt the remaining objects from later collections."""
    gc.collect()
    gc.freeze()
