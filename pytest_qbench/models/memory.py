"""Memory of the process while a model runs: garbage collection, Pillow's allocator."""

from __future__ import annotations

import gc

_BLOCKS = 4
"""Blocks of 16 MiB that Pillow keeps for each thread: a photograph of 16 megapixels."""
_ALL_BLOCKS = 32


def release() -> None:
    """Collect what is garbage by now, in a model that was settled too."""
    gc.unfreeze()
    gc.collect()


def keep_memory(threads: int) -> bool:
    """Let Pillow decode into the memory of images that are gone; return False where it does so already.

    Else the system hands out each photograph's 48 MB anew, zeroed page by page: a third of the time of decoding, and
    threads wait for one another there.
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
