"""Check archives before they are unpacked: a few kilobytes can hold terabytes."""

from __future__ import annotations

import os
from pathlib import Path
from zipfile import ZipFile

from pytest_qbench.untrusted.files import LARGE, MIB, open_regular


def check_archive(path: Path, limit: int = LARGE) -> None:
    """Raise `ValueError` where the files of a zip archive are larger than `limit` bytes when unpacked.

    An archive that lies about a size is no danger: zipfile stops there. Raises `OSError` and `BadZipFile` as well.
    """
    with os.fdopen(open_regular(path), "rb") as file, ZipFile(file) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > limit:
        raise ValueError(f"it unpacks to {size // MIB} MiB, more than {limit // MIB} MiB")
