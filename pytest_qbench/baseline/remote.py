"""`RemoteStore`, baselines at an address of fsspec, such as ``s3://bucket/baselines``.

A store holds a head for each name and parts, which are named by their SHA-256 and never change. An update writes the
new parts first and the head last, in one step. So a reader sees the old baseline or the new one, whoever writes at the
same time and wherever an update is killed. Whatever is read is checked against its hash.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pytest_qbench.errors import UsageError
from pytest_qbench.untrusted.files import error_text

HEAD = "baseline.yaml"
BASELINES = "baselines"
"""The default folder of baselines, which holds heads and pointers if an address is given."""
_PARTS = "parts"


def split_location(text: str) -> tuple[Path, RemoteStore | None]:
    """Return the folder of baselines and the store that a folder's path or an address stands for."""
    return (Path(BASELINES), RemoteStore(text)) if is_address(text) else (Path(text), None)


def is_address(text: str) -> bool:
    """Return whether a text is an address, and not the path of a folder."""
    return "://" in text


@dataclass(frozen=True)
class RemoteStore:
    """The baselines below an address. Every method raises `UsageError` of one line if the store fails."""

    address: str

    def __post_init__(self) -> None:
        """Refuse an address with a password, which messages and the pointer in git would show."""
        if urlsplit(self.address).password is not None:
            where = self.address.rpartition("@")[2]
            raise UsageError(f"--qbench-baseline-dir=...@{where}: leave the password out; give it by the environment")

    @cached_property
    def _place(self) -> tuple[Any, str]:
        """The file system and the path of the store in it."""
        try:
            import fsspec
        except ImportError as e:
            raise UsageError(f"{self.address}: needs fsspec: pip install 'pytest-qbench[store]'") from e
        system, root = self._do(lambda: fsspec.core.url_to_fs(self.address))
        return system, str(root).rstrip("/")

    def head(self, name: str) -> bytes | None:
        """Return the head of the current baseline of a name, or None."""
        system, root = self._place
        path = f"{root}/{name}/{HEAD}"
        self._do(system.invalidate_cache)  # other processes write, too
        return self._do(lambda: system.cat_file(path)) if self._do(lambda: system.exists(path)) else None

    def names(self) -> list[str]:
        """Return the names of the baselines, sorted."""
        system, root = self._place
        self._do(system.invalidate_cache)
        return sorted(str(path).split("/")[-2] for path in self._do(lambda: system.glob(f"{root}/*/{HEAD}")))

    def part(self, name: str, digest: str) -> bytes:
        """Return the part with this hash. Raises `UsageError` if the store lacks it or has changed it."""
        system, root = self._place
        content: bytes = self._do(lambda: system.cat_file(f"{root}/{name}/{_PARTS}/{digest}"))
        if hashlib.sha256(content).hexdigest() != digest:
            raise UsageError(f"{self.address}/{name}/{_PARTS}/{digest}: was changed since it was recorded; restore it")
        return content

    def put_part(self, name: str, content: bytes) -> None:
        """Write a part, under the name of its hash."""
        self._put(f"{name}/{_PARTS}/{hashlib.sha256(content).hexdigest()}", content)

    def put_head(self, name: str, content: bytes) -> None:
        """Replace the head of a name in one step."""
        self._put(f"{name}/{HEAD}", content)

    def _put(self, place: str, content: bytes) -> None:
        system, root = self._place
        path = f"{root}/{place}"
        self._do(lambda: system.makedirs(path.rpartition("/")[0], exist_ok=True))
        if "file" not in ((system.protocol,) if isinstance(system.protocol, str) else system.protocol):
            self._do(lambda: system.pipe_file(path, content))  # an object of a store appears as a whole
            return
        work = f"{path}.{uuid.uuid4().hex}"
        self._do(lambda: system.pipe_file(work, content))
        self._do(lambda: system.mv(work, path))  # a file does not: rename it

    def _do(self, step: Callable[[], Any]) -> Any:
        try:
            return step()
        except UsageError:
            raise
        except Exception as e:
            text = error_text(e).splitlines()[0]
            raise UsageError(f"--qbench-baseline-dir={self.address}: {type(e).__name__}: {text}") from e
