"""A baseline whose records are in a remote store: the folder in git holds its head and a pointer.

The store has the bytes that a folder would hold, so head and seal are the same. A reader fetches the parts once into
``.qbench/baselines``, by the hash of the head, as a folder like any other.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from pytest_qbench.baseline.chain import ANCHOR
from pytest_qbench.baseline.lineage import Lineage
from pytest_qbench.baseline.remote import HEAD, RemoteStore
from pytest_qbench.errors import UsageError
from pytest_qbench.untrusted.files import LARGE, SMALL, read_bytes, write_text
from pytest_qbench.untrusted.parsing import parse_yaml, read_yaml

POINTER = "store.yaml"
"""The file that names the address of the store, beside the head."""


def read_pointer(folder: Path) -> RemoteStore | None:
    """Return the store that a baseline's folder points to, or None. Raises `UsageError` for a damaged pointer."""
    if not (folder / POINTER).is_file():
        return None
    found = read_yaml(folder / POINTER, SMALL)
    if not isinstance(found, dict) or not isinstance(found.get("store"), str):
        raise UsageError(f"{folder / POINTER}: names no store; it needs a line such as store: s3://bucket/baselines")
    return RemoteStore(found["store"])


def local_copy(folder: Path) -> Path:
    """Return a folder with all files of a baseline: itself, or a copy of what its pointer names."""
    store = read_pointer(folder)
    return folder if store is None else _fetch(store, folder.name, read_bytes(folder / HEAD, LARGE), folder.parent)


def copy_of_current(store: RemoteStore, name: str, near: Path) -> Path | None:
    """Return a copy of the baseline that the store holds under a name, or None. `near` is the folder of baselines."""
    head = store.head(name)
    return None if head is None else _fetch(store, name, head, near)


def push(store: RemoteStore, folder: Path, name: str) -> None:
    """Write the baseline in a folder to the store, and leave its head and the pointer. Raises `OSError`.

    The new head is the last step in the store. Until then, the old baseline is the current one.
    """
    for head in (folder / ANCHOR / HEAD, folder / HEAD):
        if head.is_file():
            content = read_bytes(head, LARGE)
            for entry in parse_yaml(content.decode())["files"]:
                store.put_part(name, read_bytes(head.parent / entry["file"], LARGE))
                (head.parent / entry["file"]).unlink()
            if head.parent != folder:
                store.put_part(name, content)
    store.put_head(name, read_bytes(folder / HEAD, LARGE))
    shutil.rmtree(folder / ANCHOR, ignore_errors=True)
    write_text(folder / POINTER, f"store: {store.address}\n", durable=True)


def _fetch(store: RemoteStore, name: str, head: bytes, near: Path) -> Path:
    """Return the folder of a copy, fetched unless it is there. The reader of a baseline checks hashes and seal."""
    place = near.resolve().parent / ".qbench" / "baselines" / hashlib.sha256(head).hexdigest()[:16]
    if not (place / name).is_dir():
        try:
            place.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=place) as work:
                made = Path(work, name)
                _write(store, name, head, made)
                if not (place / name).is_dir():
                    made.rename(place / name)
        except OSError as e:
            if not (place / name).is_dir():  # another process was first
                raise UsageError(f"{place}: cannot be written: {e.strerror}; make room for a copy of {name}") from e
    return place / name


def _write(store: RemoteStore, name: str, head: bytes, folder: Path) -> None:
    folder.mkdir()
    (folder / HEAD).write_bytes(head)
    try:
        found = parse_yaml(head.decode())
        for entry in found["files"]:
            (folder / Path(entry["file"]).name).write_bytes(store.part(name, entry["sha256"]))
        anchor = Lineage.from_head(found).anchor
    except (ValueError, KeyError, TypeError) as e:
        raise UsageError(f"{store.address}/{name}/{HEAD}: is no head of a baseline: {e}; record it again") from e
    if anchor is not None and folder.name != ANCHOR:
        _write(store, name, store.part(name, anchor[1]), folder / ANCHOR)
