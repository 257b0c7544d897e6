"""Models: `specs` says what the user named, `load_model` builds it, one backend per file does the work."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_qbench.models.base import Model
from pytest_qbench.models.specs import ModelSpec, check, check_args, parse_model_args, parse_spec
from pytest_qbench.models.transformers.devices import ALONE, Worker
from pytest_qbench.records import Response

if TYPE_CHECKING:
    from pytest_qbench.endpoints.event_loop import Endpoints

__all__ = ["Model", "ModelSpec", "Response", "check", "check_args", "load_model", "parse_model_args", "parse_spec"]


def load_model(
    spec: ModelSpec, args: Mapping[str, str], worker: Worker = ALONE, *, endpoints: Endpoints | None = None
) -> Model:
    """Load the model that `spec` names; only here is a backend (and torch) imported.

    `worker` says which of several processes this is: each takes a GPU of its own.

    `args` are the user's model arguments as `parse_model_args` returns them; they override those of the alias.
    `endpoints` is what the session's endpoints share (by default a model behind an endpoint shares with none).
    Raises `ModelError`, in one line, for everything that can go wrong on the way.
    """
    check(spec)
    check_args(spec, args)
    if spec.kind == "openai":
        from pytest_qbench.endpoints.event_loop import Endpoints
        from pytest_qbench.models.openai import OpenAIModel

        return OpenAIModel(spec, args, endpoints or Endpoints())
    if spec.kind == "random":
        from pytest_qbench.models.random import RandomModel

        return RandomModel(int(spec.target))
    if spec.kind == "replay":
        from pytest_qbench.models.replay import ReplayModel

        return ReplayModel(Path(spec.target), spec.name)
    from pytest_qbench.models.transformers.loading import is_contrastive

    if is_contrastive(spec, args):
        from pytest_qbench.models.transformers.clip import ContrastiveModel

        return ContrastiveModel(spec, {**spec.args, **args}, worker)
    from pytest_qbench.models.transformers.model import TransformersModel

    return TransformersModel(spec, {**spec.args, **args}, worker)
