"""Carry the chain of an old baseline over to the one that replaces it, with the anchor's files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_qbench.baseline.lineage import Ancestor, Lineage, Note, totals
from pytest_qbench.errors import UsageError
from pytest_qbench.metrics.metric import Metric
from pytest_qbench.untrusted.files import LARGE, read_bytes, write_text
from pytest_qbench.untrusted.parsing import parse_yaml

ANCHOR = "anchor"
"""The folder of the anchor inside the folder of a baseline."""


def carry_on(head: Mapping[str, Any], old: Path, new: Path, note: Note, file: str) -> Lineage:
    """Write the anchor into the folder `new` and return the lineage of the baseline there.

    `head` is the head of the old baseline in the folder `old`, and `file` is its name. The anchor is that of the old
    baseline, or else the old baseline itself. With `note.new_anchor` the new baseline is its own. Raises `UsageError`
    if a file of the anchor is damaged, and `OSError`.
    """
    before = Lineage.from_head(head)
    entry = Ancestor(
        head["recorded"], head["seal"], before.note, totals(Metric.from_json(row) for row in head["metrics"])
    )
    ancestors = (*before.ancestors, entry)
    if note.new_anchor:
        return Lineage(note, ancestors)
    source = old if before.anchor is None else old / ANCHOR
    (new / ANCHOR).mkdir()
    content = read_bytes(source / file, LARGE)
    anchor = (head["recorded"], hashlib.sha256(content).hexdigest()) if before.anchor is None else before.anchor
    _copy(source / file, new / ANCHOR, anchor[1])
    for part in parse_yaml(content.decode())["files"]:
        _copy(source / part["file"], new / ANCHOR, part["sha256"])
    return Lineage(note, ancestors, anchor)


def _copy(path: Path, folder: Path, digest: str) -> None:
    content = read_bytes(path, LARGE)
    if hashlib.sha256(content).hexdigest() != digest:
        raise UsageError(f"{path}: was changed since it was recorded; restore the anchor, or begin a new one")
    write_text(folder / path.name, content.decode(), durable=True)
