"""The golden descriptions of an image: one text or several."""

from __future__ import annotations

from pytest_qbench.data.readers.row import Row

#: LLDescribe's golden texts are not public, so users may bring theirs; these are the fields they may stand in.
GOLDEN = ("golden", "description", "descriptions", "reference", "references")


def golden(row: Row) -> tuple[str, ...]:
    """Return the distinct golden texts of a record in their order; none where they are not public."""
    for key in GOLDEN:
        texts = [text for text in row.texts(key) or [] if text]
        if texts:
            return tuple(dict.fromkeys(texts))
    return ()
