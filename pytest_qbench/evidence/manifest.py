"""The manifest of a signed run: the hash of each file in its folder. The signature covers the manifest."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pytest_qbench.errors import UsageError
from pytest_qbench.evidence.ssh import BadSignatureError, is_canonical, sign, verify
from pytest_qbench.records import SCHEMA
from pytest_qbench.untrusted.files import LARGE, SMALL, error_text, read_bytes

MANIFEST, SIGNATURE = "manifest.json", "manifest.json.sig"


def sign_run(folder: Path, key: Path) -> int:
    """Write manifest and signature of a run folder, and return the number of signed files. Raises `UsageError`."""
    content = _manifest(folder)
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:  # the key may ask for a passphrase: write at the end
        manifest = Path(work, MANIFEST)
        manifest.write_bytes(content)
        signature = sign(manifest, key)
        try:
            manifest.replace(folder / MANIFEST)
            signature.replace(folder / SIGNATURE)
        except OSError as e:
            raise UsageError(f"{folder}: cannot be written: {e.strerror}") from e
    return len(json.loads(content)["files"])


def verify_run(folder: Path, signers: Path, signer: str | None) -> str:
    """Return who signed a run folder. Raises `BadSignatureError` where any byte of it differs from what was signed."""
    if not signers.is_file():
        raise UsageError(
            f"--signers={signers}: no such file; it lists names and public keys, as in ALLOWED SIGNERS of ssh-keygen(1)"
        )
    stored, written = folder / MANIFEST, folder / SIGNATURE
    if not (stored.is_file() and written.is_file()):
        raise BadSignatureError(f"{folder} is not signed; sign it with: qbench sign {folder} --key=KEY")
    try:
        content, armour = read_bytes(stored, LARGE), read_bytes(written, SMALL)
    except OSError as e:
        raise BadSignatureError(f"{folder}: cannot be read: {error_text(e)}") from e
    if not is_canonical(armour.decode("ascii", "replace")):
        raise BadSignatureError(f"{SIGNATURE} is not a signature as ssh-keygen writes it")
    name = verify(content, written, signers, signer)
    found = _manifest(folder)
    if found != content:
        raise BadSignatureError(_describe_change(content, found))
    return name


def _manifest(folder: Path) -> bytes:
    """Return the manifest of the files as they are now, always the same bytes for the same files."""
    files = {path.relative_to(folder).as_posix(): _hash(path) for path in _files(folder)}
    return (json.dumps({"schema": SCHEMA, "files": files}, indent=1, sort_keys=True) + "\n").encode()


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        for name in (*names, *(each for each in folders if Path(place, each).is_symlink())):
            if not (Path(place) == folder and name in (MANIFEST, SIGNATURE)):
                yield Path(place, name)


def _hash(path: Path) -> str:
    if path.is_symlink():
        raise UsageError(f"{path}: is a link; put the file itself in its place")
    try:
        return hashlib.sha256(read_bytes(path, LARGE)).hexdigest()
    except OSError as e:
        raise UsageError(f"{path}: cannot be read: {error_text(e)}") from e


def _describe_change(signed: bytes, found: bytes) -> str:
    old, new = (json.loads(each)["files"] for each in (signed, found))
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            return f"{name} was removed since the run was signed"
        if name not in old:
            return f"{name} was added since the run was signed"
        if old[name] != new[name]:
            return f"{name} was changed since the run was signed"
    return "the manifest was written by another version; sign the run again"
