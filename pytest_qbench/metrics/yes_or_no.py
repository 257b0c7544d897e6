"""Yes-or-no questions: which records are about one, and whether an option says yes."""

from __future__ import annotations

from pytest_qbench.records import Record

_YES, _NO = frozenset({"yes", "是"}), frozenset({"no", "否", "不是"})


def says_yes(option: object) -> bool | None:
    """Return whether an option is yes (True) or no (False), in English or Chinese; None for any other text."""
    word = str(option).strip().rstrip(".。!！").casefold()
    return True if word in _YES else False if word in _NO else None


def is_yes_or_no(record: Record) -> bool:
    """Return whether a record is about a yes-or-no question with the options yes and no.

    Some yes-or-no questions have other options, such as Clear and Not clear. The right answer tells which; where it
    is hidden, the choice does.
    """
    known = record.choice if record.target is None else record.target
    return record.slices.get("type") in (None, "yes_or_no") and says_yes(known) is not None
