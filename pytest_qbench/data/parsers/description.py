"""Parse the golden descriptions of an image: one text or several."""

from __future__ import annotations

from pytest_qbench.data.readers.row import Row

#: Fields of golden texts. LLDescribe's texts are not public, so users bring their own files.
GOLDEN = ("golden", "description", "descriptions", "reference", "references")


def golden(row: Row) -> tuple[str, ...]:
    """Return the distinct golden texts of a record in their order; an empty tuple where they are not public."""
    for key in GOLDEN:
        texts = [text for text in row.texts(key) or [] if text]
        if texts:
            return tuple(dict.fromkeys(texts))
    return ()
