"""A file of lines that the processes of one run append to and read from while it grows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pytest_qbench.untrusted.files import open_regular
from pytest_qbench.untrusted.locks import lock, unlock

_PIECE = 1 << 16


class AppendLog:
    """Appends whole lines, in one step for every other process, and reads what others appended.

    A process may be killed and a disk may be full at any moment: what was appended before stays readable, and the rest
    of a line cut short is removed by who appends next.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = open_regular(path, os.O_RDWR | os.O_CREAT)
        self._read = 0

    def append(self, lines: str, *, known: bool = False) -> bool:
        """Append lines, each with its line end; raises `OSError` and leaves the file as it was.

        `known` lines need not be read by this process where it has read all before them; returns whether it has.
        """
        data = lines.encode()
        lock(self._file)
        try:
            end = self._end_of_lines()
            try:
                written = 0
                while written < len(data):
                    written += os.pwrite(self._file, data[written:], end + written)
            except OSError:
                os.ftruncate(self._file, end)
                raise
            if followed := known and end == self._read:
                self._read += len(data)
            return followed
        finally:
            unlock(self._file)

    def _end_of_lines(self) -> int:
        """Where the last whole line ends; what a killed process left after it is cut off."""
        end = size = os.fstat(self._file).st_size
        while end > 0:
            start = max(0, end - _PIECE)
            if (newline := os.pread(self._file, end - start, start).rfind(b"\n")) >= 0:
                end = start + newline + 1
                break
            end = start
        if end < size:
            os.ftruncate(self._file, end)
        return end

    def news(self) -> Iterator[tuple[int, bytes]]:
        """Yield the lines since the last call, each with its position in bytes; one cut short is left for later."""
        if os.fstat(self._file).st_size < self._read:  # what a full disk took back: read all anew
            self._read = 0
        rest = b""
        while piece := os.pread(self._file, _PIECE, self._read + len(rest)):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                start, self._read = self._read, self._read + len(line) + 1
                yield start, line

    def at(self, position: int) -> bytes:
        """Return the line that begins at a position `news` gave."""
        line = b""
        while b"\n" not in line:
            line += os.pread(self._file, 4096, position + len(line))
        return line.partition(b"\n")[0]

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
