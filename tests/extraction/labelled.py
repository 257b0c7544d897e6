"""Precision and recall of the extraction on labelled replies: ``python -m tests.extraction.labelled``.

`replies.jsonl` was written together with the rules. The other two sets were written after the rules were frozen, and
first read with the frozen rules:

- `unseen.jsonl`, rules of commit 88b3da0: no reply wrong, 6 of 183 answers missed. Later rules read these 6.
- `unseen_2.jsonl`, rules of commit e3ecd85: no reply wrong, 3 of 183 answers missed.

The replies imitate ten model families. ``answer`` is the option that a careful reader of options and reply chooses, or
null.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from pytest_qbench.extraction.extract import extract_answer

FOLDER = Path(__file__).parent
SETS = ("replies.jsonl", "unseen.jsonl", "unseen_2.jsonl")


class Counts(NamedTuple):
    """Numbers of replies that were read right, wrong (another option, or one where there is none), and not at all."""

    right: int
    wrong: int
    unread: int
    readable: int

    @property
    def precision(self) -> float:
        """Fraction of the extracted answers that are right."""
        return self.right / (self.right + self.wrong)

    @property
    def recall(self) -> float:
        """Fraction of the readable replies whose answer was extracted."""
        return self.right / self.readable


def labelled(name: str) -> list[dict[str, Any]]:
    """Return the replies of a set."""
    return [json.loads(line) for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()]


def outcome(reply: dict[str, Any]) -> str:
    """Return ``right``, ``wrong``, ``unread`` (an answer was missed) or ``none`` (there is no answer)."""
    choice = extract_answer(reply["reply"], reply["options"]).choice
    if choice is None:
        return "none" if reply["answer"] is None else "unread"
    return "right" if choice == reply["answer"] else "wrong"


def count(replies: Iterable[dict[str, Any]]) -> Counts:
    """Return the counts of some replies."""
    replies = list(replies)
    found = Counter(map(outcome, replies))
    return Counts(found["right"], found["wrong"], found["unread"], sum(r["answer"] is not None for r in replies))


def main() -> None:
    """Print a row a family and the replies that were read wrong or not at all."""
    for name in SETS:
        replies = labelled(name)
        print(f"{name}: {len(replies)} replies")
        for family in [*dict.fromkeys(r["family"] for r in replies), None]:
            own = [r for r in replies if family in (None, r["family"])]
            c = count(own)
            rates = f"precision {c.precision:.3f}, recall {c.recall:.3f}"
            print(f"  {family or 'all':20} {len(own):4} replies, {c.wrong} wrong, {c.unread} unread, {rates}")
        for reply in replies:
            if (found := outcome(reply)) in ("wrong", "unread"):
                print(f"  {found}: {reply['options']} {reply['reply']!r}, not {reply['answer']!r}")


if __name__ == "__main__":
    main()
