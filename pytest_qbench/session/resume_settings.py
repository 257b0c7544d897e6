"""Settings that must match before a run folder can be resumed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from pytest_qbench.items import Dataset
from pytest_qbench.metrics.fingerprint import token_limits
from pytest_qbench.metrics.prompt_fingerprint import describe_prompts
from pytest_qbench.models.pixels import PIXEL_RULES
from pytest_qbench.session.request import RunRequest


def resume_settings(request: RunRequest) -> dict[str, Any]:
    """Return the settings and the digest of the data that records depend on, as plain values.

    The model describes itself when it is loaded; `RunFolder.check_made_with` compares that.
    """
    s = request.settings
    return {
        "model": s.model,
        "model_args": sorted(s.model_args),
        "answer": request.answer,
        **token_limits(request.answer, s.max_new_tokens),
        "scoring": request.scoring.to_json(),
        "blind": s.blind,
        **({"option_order": s.option_order} if s.option_order else {}),
        "pixels": PIXEL_RULES,
        "judge": s.judge,
        "judge_args": sorted(s.judge_args),
        "judge_prompts": str(s.judge_prompts) if s.judge_prompts else None,
        "judge_unparsed": s.judge_unparsed,
        "judge_answers": s.judge_answers,
        "judge_rounds": s.judge_rounds,
        "batch_size": s.batch_size,
        **({"repeats": s.repeats} if s.repeats > 1 else {}),
        **({"early_stop": True} if s.early_stop else {}),
        "prompts": describe_prompts(request.prompt_set, request.answer),
        "selection": request.selection.to_json(),
        "items": digest(request.datasets),
    }


def digest(datasets: Iterable[Dataset]) -> str:
    """Return a hash of the texts, keys and references of all items: 16 hex digits."""
    found = hashlib.sha256()
    for dataset in datasets:
        for i in dataset.items:
            asked: tuple[object, ...] = (i.task, i.id, i.question, i.options, i.answer, i.target, i.golden, i.context)
            asked += () if i.probability is None else (i.probability,)
            found.update(repr(asked).encode("utf-8", "surrogatepass"))
    return found.hexdigest()[:16]
