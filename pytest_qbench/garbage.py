"""The garbage collector beside many objects that stay: each of its full rounds would look at all of them again."""

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


def release() -> None:
    """Collect what is garbage by now, in a model that was settled too."""
    gc.unfreeze()
    gc.collect()
