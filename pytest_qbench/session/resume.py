"""How a run was asked: what must be the same for a run folder to be gone on with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pytest_qbench import prompts

if TYPE_CHECKING:
    from pytest_qbench.items import Dataset
    from pytest_qbench.session.request import Asked


def conditions(run: Asked) -> dict[str, Any]:
    """Return everything of the command line and the data that records depend on, as plain values.

    What the model itself says is known when it is loaded, and compared then.
    """
    s = run.settings
    return {
        "model": s.model,
        "model_args": sorted(s.model_args),
        "answer": run.answer,
        "scoring": run.scoring.describe(),
        "blind": s.blind,
        "judge": s.judge,
        "judge_args": sorted(s.judge_args),
        "judge_prompts": str(s.judge_prompts) if s.judge_prompts else None,
        "judge_unparsed": s.judge_unparsed,
        "judge_rounds": s.judge_rounds,
        "batch_size": s.batch_size,
        "prompts": prompts.fingerprint(),
        "selection": run.selection,
        "items": digest(run.datasets),
    }


def digest(datasets: Iterable[Dataset]) -> str:
    """Hash of what is asked, of all items at once: 16 hex digits."""
    found = hashlib.sha256()
    for dataset in datasets:
        for i in dataset.items:
            asked = (i.task, i.id, i.question, i.options, i.answer, i.target, i.golden)
            found.update(repr(asked).encode("utf-8", "surrogatepass"))
    return found.hexdigest()[:16]
