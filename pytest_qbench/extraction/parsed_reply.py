"""The words of one reply and its mentions of options, each with its polarity."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_qbench.extraction.mentions import Mention, MentionFinder
from pytest_qbench.extraction.polarity import PolarityJudge


class ParsedReply:
    """The words of one reply, the gaps around them and its mentions of options in order."""

    def __init__(self, text: str, options: Sequence[str]) -> None:
        self._finder = MentionFinder(text, options)
        self.words, self.gaps = self._finder.words, self._finder.gaps
        judge = PolarityJudge(self._finder)
        self.mentions = [judge.judge(m) for m in self._finder.found]

    def labels(self, i: int, strictly: bool = False) -> int | None:
        """Return the end of the option's text if it follows its letter at word i, or None.

        With `strictly` there has to be punctuation between letter and text.
        """
        return self._finder.labels(i, strictly)

    def clause(self, i: int) -> int:
        """Return the first word of the clause of word i."""
        return self._finder.clause_starts[i]

    def pause_follows(self, m: Mention) -> bool:
        """Whether punctuation that separates clauses, or nothing, follows a mention."""
        return self._finder.pause_follows(m.end - 1)

    def text_after(self, i: int) -> str:
        """Return the text from gap i on."""
        return "".join(gap + word for gap, word in zip(self.gaps[i:], [*self.words[i:], ""], strict=True))
