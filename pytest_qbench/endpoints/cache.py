"""Replies on disk: one SQLite file that processes share. SQLite, for a cache that unpickles would run what it finds."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_qbench.errors import UsageError
from pytest_qbench.untrusted.parsing import parse_json

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = "replies.sqlite"
_SCHEMA = 1
_BUSY = 30.0  # seconds to wait for another process


def cache_key(base_url: str, revision: str | None, body: Mapping[str, Any], sample: int) -> str:
    """Hash of everything that shapes a reply: endpoint, model, revision, messages with their images, parameters."""
    content = [_SCHEMA, base_url, revision, body, sample]
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


class Cache:
    """Replies by key. Raises `UsageError`, naming the file, where it cannot be read or written."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        with self._named():
            folder.mkdir(parents=True, exist_ok=True)
            if self.path.is_symlink() or (self.path.exists() and not self.path.is_file()):
                raise OSError("is not a regular file")
            # Opened here, used on the thread of the event loop alone.
            self._db = sqlite3.connect(self.path, timeout=_BUSY, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")  # a crash may lose the last replies, never break the file
            self._db.execute("CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, reply TEXT NOT NULL)")

    def get(self, key: str) -> Any:
        """Return what was stored under `key`, or None."""
        with self._named():
            row = self._db.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
            return parse_json(row[0]) if row else None

    def put(self, key: str, reply: Any) -> None:
        """Store a reply; an older one under the same key is replaced."""
        with self._named():
            text = json.dumps(reply, ensure_ascii=False)
            self._db.execute("INSERT OR REPLACE INTO replies VALUES (?, ?)", (key, text))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error, ValueError) as e:
            raise UsageError(f"{self.path}: {e}; remove the file, or go without it: --qbench-no-cache") from e
