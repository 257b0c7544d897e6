"""Cache of replies on disk: one SQLite file that all processes share.

Replies are stored as JSON and not pickled, since unpickling runs code from the file.
"""

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
    """Return a hash of everything that affects a reply: endpoint, model, revision, messages with images, parameters."""
    content = [_SCHEMA, base_url, revision, body, sample]
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


class Cache:
    """Stores replies by key. Raises `UsageError` with the path if the file cannot be read or written."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        with self._usage_errors():
            folder.mkdir(parents=True, exist_ok=True)
            if self.path.is_symlink() or (self.path.exists() and not self.path.is_file()):
                raise OSError("is not a regular file")
            # Opened on this thread, then used on the event loop's thread only.
            self._db = sqlite3.connect(self.path, timeout=_BUSY, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")  # a crash may lose the last replies, never break the file
            self._db.execute("CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, reply TEXT NOT NULL)")

    def get(self, key: str) -> Any:
        """Return the reply stored under `key`, or None."""
        with self._usage_errors():
            row = self._db.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
            return parse_json(row[0]) if row else None

    def put(self, key: str, reply: Any) -> None:
        """Store a reply. It replaces an older reply under the same key."""
        with self._usage_errors():
            text = json.dumps(reply, ensure_ascii=False)
            self._db.execute("INSERT OR REPLACE INTO replies VALUES (?, ?)", (key, text))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def _usage_errors(self) -> Iterator[None]:
        """Convert errors of the file to `UsageError`."""
        try:
            yield
        except (OSError, sqlite3.Error, ValueError) as e:
            raise UsageError(f"{self.path}: {e}; remove the file, or run without the cache: --qbench-no-cache") from e
