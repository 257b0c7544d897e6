"""The words of one reply and its mentions of options, each with what the reply says of it."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_qbench.extraction.mentions import Mention, MentionFinder
from pytest_qbench.extraction.polarity import PolarityJudge


class Reading:
    """One reply as it is read: its words, the gaps around them and its mentions of options in order."""

    def __init__(self, text: str, options: Sequence[str]) -> None:
        self._finder = MentionFinder(text, options)
        self.words, self.gaps = self._finder.words, self._finder.gaps
        judge = PolarityJudge(self._finder)
        self.mentions = [judge.judge(m) for m in self._finder.found]

    def labels(self, i: int, strictly: bool = False) -> int | None:
        """Return the end of its own option's text if that follows letter i; `strictly`: with a sign between them."""
        return self._finder.labels(i, strictly)

    def clause(self, i: int) -> int:
        """Return the first word of the clause of word i."""
        return self._finder.clause_starts[i]

    def pauses_after(self, m: Mention) -> bool:
        """Tell whether a sign that parts clauses, or nothing, follows a mention."""
        return self._finder.pause_after(m.end - 1)

    def text_after(self, i: int) -> str:
        """Return the text from gap i on."""
        return "".join(gap + word for gap, word in zip(self.gaps[i:], [*self.words[i:], ""], strict=True))
