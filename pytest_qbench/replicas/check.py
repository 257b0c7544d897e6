"""One model on many machines: replicas of a local model as Ray actors. Ray is imported where the option is given."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pytest_qbench.errors import UsageError

if TYPE_CHECKING:
    from pytest_qbench.models.specs import ModelSpec

AUTO = "auto"
OPTION = "--qbench-ray"


def check(address: str, spec: ModelSpec | None, args: Mapping[str, str], *, distributed: bool) -> None:
    """Raise `UsageError`, without importing Ray, for what cannot work with replicas.

    `spec` is None where the project brings a model of its own; `distributed` tells whether xdist spreads the tests.
    """
    here = f"{OPTION}={address}"
    if address != AUTO and not re.fullmatch(r"[^\s/]+:\d{1,5}", address):
        raise UsageError(f"{here}: write HOST:PORT of the cluster's head node (its port is 6379 by default), or {AUTO}")
    if distributed:
        raise UsageError(f"{here} and -n both spread the items: drop -n, Ray keeps all replicas busy from one process")
    if spec is None:
        raise UsageError(f"{here} needs --qbench-model: a model of the project's own stays in this process")
    if spec.kind != "transformers":
        raise UsageError(f"{here}: there is nothing to replicate of {spec.kind}:{spec.target}; drop {OPTION}")
    if (device := args.get("device", "auto")).startswith("cuda:"):
        raise UsageError(f"device={device}: Ray gives each replica a GPU of its own; use device=cuda with {OPTION}")
    if importlib.util.find_spec("ray") is None:
        raise UsageError(f"{here}: Ray is not installed: pip install 'pytest-qbench[ray]'")
