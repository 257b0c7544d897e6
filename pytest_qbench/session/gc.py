"""Keep the garbage collector from rescanning long-lived objects."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def growing() -> Generator[None]:
    """Make many objects that stay, without a round of the collector."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def settle() -> None:
    """Collect what is garbage by now and take what is left out of the collector's rounds."""
    gc.collect()
    gc.freeze()
