"""A file of lines that several processes write: what it does where a call of the kernel fails."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from pytest_qbench.errors import UsageError
from pytest_qbench.runs import append_log
from pytest_qbench.runs.append_log import AppendLog


@pytest.fixture
def log(tmp_path: Path) -> Iterator[AppendLog]:
    found = AppendLog(tmp_path / "lines")
    yield found
    found.close()


def fail(number: int) -> Callable[..., NoReturn]:
    def call(*_: Any, **__: Any) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return call


def test_a_lock_that_cannot_be_dropped_keeps_no_other_process_waiting(
    log: AppendLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(append_log, "unlock", fail(errno.EIO))
        log.append("a\n")
    fcntl = pytest.importorskip("fcntl")
    with log.path.open("r+") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    log.append("b\n")
    assert [line for _, line in log.read_new()] == [b"a", b"b"]


@pytest.mark.parametrize("call", ["lock", "os.pwrite"])
def test_a_write_that_fails_names_its_file(log: AppendLog, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    log.append("a\n")
    with monkeypatch.context() as patch:
        patch.setattr(f"pytest_qbench.runs.append_log.{call}", fail(errno.ENOSPC))
        with pytest.raises(OSError, match="No space left on device") as raised:
            log.append("b\n")
    assert raised.value.filename == str(log.path)
    assert log.path.read_text() == "a\n"


def test_a_read_that_fails_is_a_usage_error_that_names_the_file(
    log: AppendLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append("a\n")
    monkeypatch.setattr(os, "pread", fail(errno.EIO))
    message = f"{log.path}: cannot be read: Input/output error"
    with pytest.raises(UsageError, match=message):
        list(log.read_new())
    with pytest.raises(UsageError, match=message):
        log.line_at(0)


def test_a_line_that_was_removed_is_a_usage_error(log: AppendLog) -> None:
    log.append("a\n")
    log.path.write_text("")
    with pytest.raises(UsageError, match="the line is gone"):
        log.line_at(0)
