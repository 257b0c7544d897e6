"""Locks that the kernel holds and drops with the process. Linux and macOS have them; Windows is refused in one line."""

from __future__ import annotations

from pytest_qbench.errors import UsageError

try:
    import fcntl as _kernel
except ImportError:  # Windows
    _kernel = None  # type: ignore[assignment]


def check_system() -> None:
    """Raise `UsageError` on a system without these locks: runs and baselines could damage each other there."""
    if _kernel is None:
        raise UsageError("Q-Bench needs the file locks of Linux or macOS; on Windows, run pytest inside WSL")


def lock(file: int, *, shared: bool = False, wait: bool = True) -> None:
    """Lock an open file or folder as a whole, or change the lock that is held; raises `OSError`.

    Without `wait`, a lock that another process holds is a `BlockingIOError`.
    """
    check_system()
    _kernel.flock(file, (_kernel.LOCK_SH if shared else _kernel.LOCK_EX) | (0 if wait else _kernel.LOCK_NB))


def unlock(file: int) -> None:
    """Drop the lock on a whole file."""
    _kernel.flock(file, _kernel.LOCK_UN)


def take_byte(file: int, position: int) -> bool:
    """Lock one byte of an open file; return False where another process holds it."""
    check_system()
    try:
        _kernel.lockf(file, _kernel.LOCK_EX | _kernel.LOCK_NB, 1, position)
    except OSError:
        return False
    return True


def give_byte_back(file: int, position: int) -> None:
    """Drop the lock on one byte."""
    _kernel.lockf(file, _kernel.LOCK_UN, 1, position)
