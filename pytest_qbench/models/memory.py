"""Process memory during a run: garbage collection and Pillow's allocator."""

from __future__ import annotations

import gc

# Imports in functions: Pillow loads with the first image; recorded outputs need none.

_BLOCKS = 4
"""Blocks of 16 MiB that Pillow keeps for each thread: enough for a photograph of 16 megapixels."""
_ALL_BLOCKS = 32
"""Limit over all threads: 512 MiB."""


def collect_garbage() -> None:
    """Collect all garbage, including objects that `gc.freeze` has exempted."""
    gc.unfreeze()
    gc.collect()


def keep_memory(threads: int) -> bool:
    """Let Pillow reuse the memory of freed images. Return False if it does so already.

    By default the system allocates and zeroes 48 MB for each photograph. That takes a third of the decoding time, and
    threads block one another in it.
    """
    from PIL import Image

    core = Image.core  # type: ignore[attr-defined]
    if core.get_blocks_max():
        return False
    core.set_blocks_max(min(_BLOCKS * threads, _ALL_BLOCKS))
    return True


def give_memory_back() -> None:
    """Undo `keep_memory`."""
    from PIL import Image

    Image.core.set_blocks_max(0)  # type: ignore[attr-defined]
