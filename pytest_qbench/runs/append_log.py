"""`AppendLog`, a file of lines to which several processes append, and from which they read at the same time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pytest_qbench.errors import UsageError
from pytest_qbench.untrusted.files import error_text, open_regular
from pytest_qbench.untrusted.locks import lock, unlock

_PIECE = 1 << 16


class AppendLog:
    """A file of lines. A process appends whole lines atomically and reads the lines that others have appended.

    If a process is killed or the disk is full, earlier lines stay readable. The next `append` removes an incomplete
    line at the end.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = open_regular(path, os.O_RDWR | os.O_CREAT)
        self._read = 0

    def append(self, lines: str, *, known: bool = False) -> bool:
        """Append lines, each with its line end. On failure, raise `OSError` and leave the file unchanged.

        With `known`, `read_new` skips these lines if this process has read all lines before them. Return whether it
        skips them.
        """
        try:
            return self._append(lines.encode(), known=known)
        except OSError as e:
            e.filename = str(self.path)
            raise

    def _append(self, data: bytes, *, known: bool) -> bool:
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
            self._unlock()

    def _unlock(self) -> None:
        """Drop the lock. Where the call for it fails, open the file anew: closing the old one drops its lock.

        Another process would wait for the lock for ever, and this one for the end of the other.
        """
        try:
            unlock(self._file)
        except OSError:
            file = open_regular(self.path, os.O_RDWR)
            os.dup2(file, self._file, inheritable=False)
            os.close(file)

    def _end_of_lines(self) -> int:
        """Return the end of the last complete line, and cut off an incomplete line after it."""
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

    def read_new(self) -> Iterator[tuple[int, bytes]]:
        """Yield each complete line since the last call, with its position in bytes. Raises `UsageError`."""
        if self._size() < self._read:  # lines were removed because the disk was full: read all again
            self._read = 0
        rest = b""
        while piece := self._piece(_PIECE, self._read + len(rest)):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                start, self._read = self._read, self._read + len(line) + 1
                yield start, line

    def line_at(self, position: int) -> bytes:
        """Return the line at a position from `read_new`. Raises `UsageError`."""
        line = b""
        while b"\n" not in line:
            if not (piece := self._piece(4096, position + len(line))):
                raise UsageError(f"{self.path}: byte {position}: the line is gone; name another folder")
            line += piece
        return line.partition(b"\n")[0]

    def _size(self) -> int:
        try:
            return os.fstat(self._file).st_size
        except OSError as e:
            raise _unreadable(self.path, e) from e

    def _piece(self, size: int, position: int) -> bytes:
        try:
            return os.pread(self._file, size, position)
        except OSError as e:
            raise _unreadable(self.path, e) from e

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def _unreadable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"{path}: cannot be read: {error_text(error)}; records so far are kept: resume with --qbench-resume"
    )
