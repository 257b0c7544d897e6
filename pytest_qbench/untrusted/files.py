"""Open files that may be a pipe, a device, a terabyte long, or not text.

Every reader of the package opens its files here. So a bad file leads to a message of one line, and no reader hangs.
`write_text` writes the files of run folders and baselines, so that no link in them leads a write to another place.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from pytest_qbench.errors import UsageError

MIB = 1 << 20
SMALL = 16 * MIB
"""Maximum size in bytes of a file that people write: settings, prompts, a model's configuration."""
LARGE = 1024 * MIB
"""Maximum size in bytes of a file with one entry per item."""


def open_regular(path: Path, flags: int = os.O_RDONLY) -> int:
    """Open a regular file and return its descriptor. Raises `OSError` for anything else, and never waits for a writer.

    A file opened for writing must not be a link, which could lead out of the folder.
    """
    writes = flags & (os.O_WRONLY | os.O_RDWR)
    flags |= os.O_CLOEXEC | os.O_NONBLOCK | (os.O_NOFOLLOW if writes else 0)
    if writes and path.is_symlink():
        raise OSError(0, "is a link; put a file in its place", str(path))
    if path.exists() and not path.is_file():  # checked before opening, which alone can rewind a tape
        raise _not_a_file(path)
    handle = os.open(path, flags, 0o666)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise _not_a_file(path)
    return handle


def read_bytes(path: Path, limit: int) -> bytes:
    """Return the content of a regular file. Raises `OSError` for any other file and for more than `limit` bytes."""
    handle = open_regular(path)
    with os.fdopen(handle, "rb") as file:
        size = os.fstat(handle).st_size
        if size > limit:
            raise _too_large(path, limit)
        content = file.read(size + 1)  # not `limit`: Python would allocate that much
        if len(content) > size:  # the file grows, or is one of /proc, whose size reads 0
            content += file.read(limit + 1 - len(content))
    if len(content) > limit:
        raise _too_large(path, limit)
    return content


def read_text(
    path: Path, limit: int, *, label: str | None = None, error: type[UsageError] = UsageError, remedy: str = ""
) -> str:
    """Return the text of a UTF-8 file, without its byte order mark.

    Raises `error` if the file cannot be read. Its message begins with `label` (default: the path) and ends with
    `remedy`, an advice to the user.
    """
    label, after = label or str(path), f"; {remedy}" if remedy else ""
    try:
        content = read_bytes(path, limit)
    except FileNotFoundError as e:
        raise error(f"{label}: no such file{after}") from e
    except (OSError, ValueError) as e:  # ValueError: a null byte in the name
        raise error(f"{label}: cannot be read: {error_text(e)}{after}") from e
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise error(f"{label}: byte {e.start + 1} is not UTF-8{after or '; save the file as UTF-8'}") from e


def write_text(path: Path, text: str | Iterable[str], *, durable: bool = False) -> None:
    """Write a text, or its parts, to a file atomically. Raises `OSError`.

    A reader sees the old file or the new one. A link at `path` is replaced and not followed. `durable` waits for the
    disk, so that a renamed folder has no empty files after a power cut.
    """
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)  # left by a killed process
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.writelines([text] if isinstance(text, str) else text)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def error_text(error: Exception) -> str:
    """Return the text of an error without the path, which the message already names."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _not_a_file(path: Path) -> OSError:
    return OSError(0, "is not a regular file", str(path))


def _too_large(path: Path, limit: int) -> OSError:
    return OSError(0, f"is larger than {limit // MIB} MiB", str(path))
