"""Limit the requests in flight at one endpoint over all processes of a run."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from pytest_qbench.untrusted.files import open_regular
from pytest_qbench.untrusted.locks import give_byte_back, take_byte

_PAUSE = 0.02  # seconds between two attempts to take a slot that processes share


class Slots:
    """The slots of one process. Hold one with ``async with`` during a request.

    Each process may hold `allowed // processes` slots; a remainder is not used. With fewer slots than processes, a
    process holds at most one slot at a time. Slot n is byte n of the file `shared`, which its holder locks. The kernel
    unlocks it if the process dies.
    """

    def __init__(self, allowed: int, processes: int = 1, shared: Path | None = None) -> None:
        self._own = asyncio.Semaphore(max(1, allowed // processes))
        self._allowed = allowed
        self._file: int | None = None
        self._taken = 0
        if allowed < processes and shared is not None:
            self._file = open_regular(shared, os.O_RDWR | os.O_CREAT)

    async def __aenter__(self) -> None:
        await self._own.acquire()
        try:
            while self._file is not None and not self._take(self._file):
                await asyncio.sleep(_PAUSE)
        except BaseException:  # cancelled while it waited
            self._own.release()
            raise

    async def __aexit__(self, *_: object) -> None:
        if self._file is not None:
            give_byte_back(self._file, self._taken)
        self._own.release()

    def _take(self, file: int) -> bool:
        for slot in range(self._allowed):
            if take_byte(file, slot):
                self._taken = slot
                return True
        return False

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
