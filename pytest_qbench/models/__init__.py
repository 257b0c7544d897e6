"""Models: `specs` says what the user named, `load_model` builds it, one backend per file does the work."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pytest_qbench.errors import ModelError
from pytest_qbench.models.base import Model, Response
from pytest_qbench.models.devices import ALONE, Worker
from pytest_qbench.models.specs import ModelSpec, check, parse_model_args, parse_spec

__all__ = ["Model", "ModelSpec", "Response", "check", "load_model", "parse_model_args", "parse_spec"]


def load_model(spec: ModelSpec, args: Mapping[str, str], worker: Worker = ALONE) -> Model:
    """Load the model that `spec` names; only here is a backend (and torch) imported.

    `worker` says which of several processes this is: each takes a GPU of its own.

    `args` are the user's model arguments as `parse_model_args` returns them; they override those of the alias.
    Raises `ModelError`, in one line, for everything that can go wrong on the way.
    """
    check(spec)
    if spec.kind == "random":
        if args.keys() - {"share_gpu"}:
            raise ModelError(f"random:{spec.target} takes no model arguments (got {', '.join(args)})")
        from pytest_qbench.models.random import RandomModel

        return RandomModel(int(spec.target))
    if spec.kind == "replay":
        if args.keys() - {"share_gpu"}:
            raise ModelError(f"replay:{spec.target} takes no model arguments (got {', '.join(args)})")
        from pytest_qbench.models.replay import ReplayModel

        return ReplayModel(Path(spec.target), spec.name)
    from pytest_qbench.models.loading import is_contrastive

    if is_contrastive(spec, args):
        from pytest_qbench.models.contrastive import ContrastiveModel

        return ContrastiveModel(spec, {**spec.args, **args}, worker)
    from pytest_qbench.models.transformers import TransformersModel

    return TransformersModel(spec, {**spec.args, **args}, worker)
