"""Whether the replies of a model to questions name an option, by ten questions of the embedded data."""

from __future__ import annotations

from pathlib import Path

from pytest_qbench.data.load import MINI, open_datasets
from pytest_qbench.engine.engine import Engine
from pytest_qbench.judges.lexicon import LexiconJudge
from pytest_qbench.models.base import Model
from pytest_qbench.prompts import UNPARSED_HINT

QUESTIONS = 10


def describe_replies(model: Model) -> tuple[bool, str]:
    """Return whether most replies name an option, and a sentence with their number and the first that does not."""
    datasets = open_datasets(MINI, rootdir=Path(), names=None, split="dev")
    items = [item for dataset in datasets if dataset.task == "perception" for item in dataset.items]
    engine = Engine(
        model, answer="generate", batch_size=None, blind=False, judge_rounds=1, judge=LexiconJudge,
    )  # fmt: skip
    records = engine.measure(items[:: len(items) // QUESTIONS][:QUESTIONS])
    engine.close()
    bad = [record for record in records if record.status in ("unparsed", "error")]
    told = f"replies: {QUESTIONS - len(bad)} of {QUESTIONS} name an option"
    if not bad:
        return True, told
    first = bad[0].error or repr((bad[0].response or "")[:60])
    return len(bad) <= QUESTIONS // 2, f"{told} (not: {first}); {UNPARSED_HINT}"
