"""The files of the suites: a hash of each, by a name that means the same file on another machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from pytest_qbench import packaged
from pytest_qbench.untrusted.files import SMALL, read_bytes

PACKAGED = "pytest_qbench.suites"
_ALONG = ("conftest.py", "__init__.py")  # pytest imports these files of each folder, too


def hash_suites(tests: Iterable[Path], rootdir: Path) -> dict[str, str]:
    """Return the SHA-256 of each test file and of each conftest.py and __init__.py above it. Raises `OSError`.

    The name is the path relative to `rootdir`, for an installed suite `PACKAGED` with the file's name, for any other
    file its whole path. Modules that a suite imports are not among them.
    """
    found: dict[Path, None] = {}
    for test in tests:
        folders = [test.parent, *(each for each in test.parents[1:] if each.is_relative_to(rootdir))]
        found.update(dict.fromkeys(path for each in folders for name in _ALONG if (path := each / name).is_file()))
        found[test] = None
    return {_name(path, rootdir): _hash(path) for path in sorted(found)}


def changed_suite(signed: Mapping[str, str], rootdir: Path) -> str | None:
    """Return a sentence about the first suite that is not here as it was at the run, or None."""
    for name, digest in signed.items():
        path = _path(name, rootdir)
        try:
            if _hash(path) != digest:
                return f"{name} is not the suite of the run: it was changed"
        except OSError:
            return f"{name}, a suite of the run, is not here"
    return None


def _name(path: Path, rootdir: Path) -> str:
    if path.is_relative_to(rootdir):
        return path.relative_to(rootdir).as_posix()
    suites = packaged("suites")
    return f"{PACKAGED}/{path.name}" if path.parent == suites else path.as_posix()


def _path(name: str, rootdir: Path) -> Path:
    folder, _, file = name.rpartition("/")
    return packaged("suites") / file if folder == PACKAGED else rootdir / name


def _hash(path: Path) -> str:
    return hashlib.sha256(read_bytes(path, SMALL)).hexdigest()
