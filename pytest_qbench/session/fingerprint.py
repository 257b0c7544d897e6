"""Build the fingerprint of a run from its settings, model and judge."""

from __future__ import annotations

from pytest_qbench.metrics.fingerprint import Fingerprint, fingerprint
from pytest_qbench.models.pixels import PIXEL_RULES
from pytest_qbench.runs.made_with import MadeWith
from pytest_qbench.session.request import RunRequest


def run_fingerprint(request: RunRequest, made_with: MadeWith) -> Fingerprint:
    """Return the fingerprint of a run with this request and the model and judge of `made_with`."""
    settings = request.settings
    return fingerprint(
        scoring=request.scoring, answer=request.answer, blind=settings.blind,
        option_order=settings.option_order, pixels=PIXEL_RULES,
        judge=made_with.judge, judge_rounds=settings.judge_rounds, unparsed=settings.judge_unparsed,
        marking=settings.judge_answers, prompt_set=request.prompt_set, altered=made_with.altered,
        max_new_tokens=settings.max_new_tokens, model=made_with.model or {}, data=settings.data,
        selection=request.selection, machine=made_with.machine, judge_control=made_with.judge_control,
        batch_size=made_with.batch_size, repeats=settings.repeats,
    ).with_conditions(made_with.conditions or {})  # fmt: skip
