"""Check the size of archives before they are unpacked: a few kilobytes can unpack to terabytes."""

from __future__ import annotations

import os
from pathlib import Path
from zipfile import ZipFile

from pytest_qbench.untrusted.files import LARGE, MIB, open_regular


def check_archive(path: Path, limit: int = LARGE) -> None:
    """Raise `ValueError` if the files of a zip archive unpack to more than `limit` bytes.

    Also raises `OSError` and `BadZipFile`. An archive that states a wrong size does no harm, because zipfile stops
    unpacking at the stated size.
    """
    with os.fdopen(open_regular(path), "rb") as file, ZipFile(file) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > limit:
        raise ValueError(f"it unpacks to {size // MIB} MiB, more than {limit // MIB} MiB")
