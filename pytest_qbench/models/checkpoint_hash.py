"""Hashes of the files of a model. No library is needed, so that a model behind a server has them, too."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

_MIB = 1 << 20


def weights_hash(folder: Path) -> str:
    """Return the SHA-256 of names and contents of the weight files in `folder`, 64 hex digits."""
    return hash_files(sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin")))


def settings_hash(folder: Path) -> str:
    """Return the SHA-256 of the files in `folder` that affect prompts and images, 64 hex digits."""
    files = (file for pattern in ("*.json", "*.jinja", "*.txt", "*.model") for file in folder.rglob(pattern))
    return hash_files(sorted(file for file in files if file.is_file()))


def hash_files(files: Sequence[Path]) -> str:
    """Return the SHA-256 of names and contents of files, 64 hex digits."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode())
        with file.open("rb") as stream:
            while block := stream.read(16 * _MIB):
                digest.update(block)
    return digest.hexdigest()
