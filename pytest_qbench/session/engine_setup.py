"""Build the engine of a run around the loaded model, after model and judge are noted in the run folder."""

from __future__ import annotations

import hashlib
import inspect
import platform
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pytest_qbench.engine.dispatch import perplexity_model
from pytest_qbench.engine.engine import Engine
from pytest_qbench.errors import UsageError
from pytest_qbench.judges.base import Judge, SupportsChoice, SupportsMarking
from pytest_qbench.judges.control_set import run_control_set
from pytest_qbench.judges.rubric import RubricJudge
from pytest_qbench.models.base import (
    MODEL_MEMBERS,
    REPLAY_MEMBERS,
    Model,
    PlacesImages,
    RemoteModel,
    SupportsProbe,
    SupportsReplay,
    SupportsSamples,
    check_method_names,
    takes_further_words,
)
from pytest_qbench.models.replay import ReplayModel, check_option_order
from pytest_qbench.session.endpoints import SessionEndpoints
from pytest_qbench.session.noise_floor import measure_again
from pytest_qbench.session.recorder import Recorder
from pytest_qbench.session.request import RunRequest


def build_engine(
    request: RunRequest, recorder: Recorder, endpoints: SessionEndpoints, model: Model, judge: Callable[[], Judge]
) -> Engine:
    """Return the engine around a loaded model. `judge` loads the judge when a description first needs it.

    Raises `UsageError` if model or judge do not support the request, or differ from those of earlier records.
    """
    settings, made_with = request.settings, recorder.made_with
    if request.has_project_model:
        _check_project_model(request, model)
    if (
        request.answer == "perplexity"
        and "perception" in request.tasks
        and not isinstance(model, SupportsReplay | RemoteModel)
    ):
        perplexity_model(model)
    if settings.repeats > 1 and not isinstance(model, SupportsSamples):
        raise UsageError(
            f"--qbench-repeats={settings.repeats}: {model.name} does not say that its answers vary: give "
            f"{type(model).__name__} the method use_sample(number) (docs: repeats), or drop the option"
        )
    if settings.words and "assessment" in request.tasks:
        _check_words(model, settings.words)
    if isinstance(model, SupportsProbe):
        model.probe(request.tasks, request.answer, request.scoring.words)
        if model.conditions and "assessment" in request.tasks:
            made_with.conditions = {"scoring": {**request.scoring.to_json(), **model.conditions}}
    endpoints.meter("model", model)
    made_with.model = {"name": model.name, **model.describe(), **_project_code(model)}
    made_with.machine = model.machine if isinstance(model, RemoteModel) else platform.machine()
    if settings.ray is not None and not isinstance(model, RemoteModel):
        raise UsageError("--qbench-ray: this project's own qbench_model stays in this process; drop --qbench-ray")
    if isinstance(model, ReplayModel):
        _check_sight(model, settings.blind)
        check_option_order(model, settings.option_order)
        made_with.conditions = model.conditions
        model.expect(item for task in request.tasks for item in request.items_of(task))
        made_with.left_out = [(e.dataset, e.entry, e.reason) for e in model.left_out]
        made_with.outputs_matched = model.matched_by
    if isinstance(model, PlacesImages) and model.moves_images and _places_images(request):
        moved = {"image_position": "before the text, where the model's template puts images"}
        made_with.conditions = {**(made_with.conditions or {}), **moved}
    recorder.note_made_with()

    @cache
    def checked_judge() -> Judge:
        return _check_judge(request, recorder, endpoints, judge())

    # The judge is a part of the conditions, also in a run without anything left to judge. The first process loads it
    # before the first item, to find out whether it answers. Other processes load it when they need it.
    reads_earlier_texts = recorder.has_earlier_records or settings.judge_unparsed or settings.judge_answers
    if request.needs_judge and (recorder.role.is_first or reads_earlier_texts):
        checked_judge()
    engine = Engine(
        model, answer=request.answer, batch_size=request.batch_size, blind=settings.blind,
        judge_rounds=settings.judge_rounds, judge=checked_judge, scoring=request.scoring,
        reads_unparsed=settings.judge_unparsed, max_new_tokens=settings.max_new_tokens,
        marks_answers=settings.judge_answers, prompt_set=request.prompt_set, named_words=settings.words,
        on_prompt_change=recorder.note_prompt_change, repeats=settings.repeats,
    )  # fmt: skip
    if (
        recorder.role.is_first and recorder.all_made_with.batch_size is None
    ):  # a resumed run may have nothing left to measure
        recorder.note_batch_size(engine.batch_size)
    return engine


def _check_words(model: Model, words: Sequence[str]) -> None:
    """Raise `UsageError` if a model cannot give words beside those of the score."""
    if isinstance(model, SupportsReplay):
        raise UsageError(
            f"--qbench-words={','.join(words)}: {model.name} has the words that were recorded: drop the option"
        )
    if not isinstance(model, RemoteModel) and not takes_further_words(model):
        raise UsageError(
            f"--qbench-words={','.join(words)}: next_token_logprobs of {type(model).__name__} has no parameters named "
            "and free (docs: your own model); add them, or drop the option"
        )


def _places_images(request: RunRequest) -> bool:
    """Return whether a prompt of this run says where its images stand."""
    return any(request.prompt_set.template(task, request.answer).places_images_of(item)
               for task in request.tasks for item in request.items_of(task))  # fmt: skip


def _check_project_model(request: RunRequest, model: Model) -> None:
    """Raise `UsageError` if an object lacks members of a model, or if it is not the model that the option names."""
    check_method_names(model)
    needed = REPLAY_MEMBERS if isinstance(model, SupportsReplay) else MODEL_MEMBERS
    if missing := [name for name in needed if not hasattr(model, name)]:
        raise UsageError(
            f"qbench_model: {type(model).__name__} has no {', '.join(missing)}; "
            f"a model needs {', '.join(needed)} (docs: your own model)"
        )
    if request.spec is not None and model.name != request.spec.name:
        raise UsageError(
            f"--qbench-model={request.settings.model} names {request.spec.name}, but the fixture qbench_model returned "
            f"{model.name}: drop the option or the fixture"
        )


def _project_code(model: Model) -> dict[str, str]:
    """Return the hash of the file that defines a project's own model class, empty for a model of this package."""
    if type(model).__module__.partition(".")[0] == __package__.partition(".")[0]:
        return {}
    try:
        source = inspect.getsourcefile(type(model))
    except TypeError:  # a class without a file
        source = None
    return {"code": hashlib.sha256(Path(source).read_bytes()).hexdigest()[:16]} if source else {}


def ray_report(model: Model) -> Mapping[str, Any]:
    """Return the report of a model on a cluster, which the model keeps up to date. Empty for other models."""
    return model.report if isinstance(model, RemoteModel) else {}


def _check_sight(model: ReplayModel, blind: bool) -> None:
    """Raise `UsageError` if outputs recorded with images are replayed blind, or the reverse."""
    recorded = model.conditions.get("blind", blind)
    if recorded is not blind:
        remedy = "add" if recorded else "drop"
        raise UsageError(f"{model.name} was recorded {'blind' if recorded else 'seeing'}: {remedy} --qbench-blind")


def _check_judge(request: RunRequest, recorder: Recorder, endpoints: SessionEndpoints, judge: Judge) -> Judge:
    """Note the judge in the run folder and run its control set before it grades any description. Return the judge."""
    settings, made_with = request.settings, recorder.made_with
    if settings.judge_unparsed and not isinstance(judge, SupportsChoice):
        raise UsageError(f"--qbench-judge-unparsed: {judge.name} cannot read replies; name a language model as judge")
    if settings.judge_answers and not isinstance(judge, SupportsMarking):
        raise UsageError(f"--qbench-judge-answers: {judge.name} cannot mark replies; name a language model as judge")
    endpoints.meter("judge", judge.grader if isinstance(judge, RubricJudge) else judge)
    made_with.judge = {"name": judge.name, **judge.describe()}
    recorder.note_made_with()
    described = [item for item in request.items_of("description") if item.golden]
    if described and "description" in request.tasks and not request.has_project_judge:  # a project's own is not checked
        made_with.judge_control = run_control_set(judge, described, settings.judge_rounds)
        recorder.note_judge_control()
        failed = made_with.judge_control["failed"]
        if failed and settings.gates and not settings.blind:
            raise UsageError(f"--qbench-judge={request.judge_spec} failed its control set, before any item: {failed}")
    return judge


def measure_noise(request: RunRequest, recorder: Recorder, engine: Engine) -> None:
    """Measure some items again with another dtype and batch size, for the noise floor of a new baseline.

    Only one process does this, at its end, and only for tasks with recorded probabilities: texts have no drift.
    """
    if not request.settings.update_baseline or not recorder.role.is_first:
        return
    tasks = [t for t in request.tasks if t == "assessment" or (t == "perception" and request.answer != "generate")]
    recorder.second = measure_again(engine, [item for task in tasks for item in request.items_of(task)])
