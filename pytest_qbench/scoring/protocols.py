"""The scoring protocols by name: which words, temperature and halves give the quality score."""

from __future__ import annotations

from typing import Literal, get_args

from pytest_qbench.errors import UsageError
from pytest_qbench.prompts import QUALITY_WORDS, PromptSet
from pytest_qbench.scoring.quality import FIVE_LEVELS
from pytest_qbench.scoring.score import PAPER_TEMPERATURE, Scoring

Protocol = Literal["default", "paper", "qalign"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)


def protocol_scoring(protocol: Protocol, paper_words: tuple[str, str], prompt_set: PromptSet | None = None) -> Scoring:
    """Return the scoring of a protocol.

    `paper_words` are those of the model in the published tables. A prompt set with words of its own keeps them. Raises
    `UsageError` where the protocol names others.
    """
    words = QUALITY_WORDS if prompt_set is None else prompt_set.words
    if protocol == "paper":
        return Scoring(paper_words if words == QUALITY_WORDS else words, PAPER_TEMPERATURE, averages_halves=True)
    if protocol == "qalign":
        if prompt_set is not None and words not in (QUALITY_WORDS, FIVE_LEVELS):
            raise UsageError(
                f"--qbench-protocol=qalign scores by {', '.join(FIVE_LEVELS)}, but --qbench-prompts={prompt_set.name} "
                f"by {', '.join(words)}: drop one of the two"
            )
        return Scoring(FIVE_LEVELS)
    return Scoring(words)
