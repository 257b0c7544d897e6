"""Build the model that a spec names. Each backend has its own module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_qbench.models.base import Model
from pytest_qbench.models.model_args import check_args, parse_model_args
from pytest_qbench.models.random import RandomModel
from pytest_qbench.models.replay import ReplayModel
from pytest_qbench.models.specs import ModelSpec, check, parse_spec
from pytest_qbench.models.transformers.devices import ALONE, Worker
from pytest_qbench.models.transformers.threads import import_torch
from pytest_qbench.records import Response

if TYPE_CHECKING:
    from pytest_qbench.endpoints.event_loop import Endpoints
    from pytest_qbench.servers.server import RunningServer

# Imports in functions: the OpenAI client and torch load only with a model that needs them.

__all__ = ["Model", "ModelSpec", "Response", "check", "check_args", "load_model", "parse_model_args", "parse_spec"]


def load_model(
    spec: ModelSpec,
    args: Mapping[str, str],
    worker: Worker = ALONE,
    *,
    endpoints: Endpoints | None = None,
    server: RunningServer | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> Model:
    """Load the model that `spec` names and return it. Raises `ModelError` in one line if loading fails.

    `args` are the user's model arguments from `parse_model_args`; they override the arguments of the alias. `worker`
    identifies this process among several, so that each takes its own GPU. `endpoints` holds the connections of the
    session; without it, a model behind an endpoint opens its own. `server` is the session's managed engine; without it,
    the model of an engine starts and stops its own. `tell` gets lines on the progress of its start.
    """
    check(spec)
    check_args(spec, args)
    if spec.kind == "openai":
        from pytest_qbench.endpoints.event_loop import Endpoints
        from pytest_qbench.models.openai import OpenAIModel

        return OpenAIModel(spec, args, endpoints or Endpoints())
    if spec.is_managed:
        from pytest_qbench.endpoints.event_loop import Endpoints
        from pytest_qbench.models.engine_model import EngineModel, load_with_own_engine

        if server is None:
            return load_with_own_engine(spec, args, endpoints or Endpoints(), tell)
        return EngineModel(spec, args, endpoints or Endpoints(), server, tell, lambda: None)
    if spec.kind == "random":
        return RandomModel(int(spec.target))
    if spec.kind == "replay":
        return ReplayModel(Path(spec.target), spec.name, args)
    import_torch()
    from pytest_qbench.models.transformers.loading import is_clip

    if is_clip(spec, args):
        from pytest_qbench.models.transformers.clip import ClipModel

        return ClipModel(spec, {**spec.args, **args}, worker)
    from pytest_qbench.models.transformers.model import TransformersModel

    return TransformersModel(spec, {**spec.args, **args}, worker)
