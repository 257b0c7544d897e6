"""Check the option --qbench-ray. This module does not import Ray."""

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
    """Raise `UsageError` for settings that do not work with replicas.

    `spec` is None for a model from the project's own fixture. `distributed`: whether xdist distributes the tests.
    """
    here = f"{OPTION}={address}"
    if address != AUTO and not re.fullmatch(r"[^\s/]+:\d{1,5}", address):
        raise UsageError(f"{here}: write HOST:PORT of the cluster's head node (its port is 6379 by default), or {AUTO}")
    if distributed:
        raise UsageError(f"{here} and -n both distribute the items: drop -n, one process keeps all replicas busy")
    if spec is None:
        raise UsageError(
            f"{here} needs --qbench-model: a model from a fixture of the project runs in this process only"
        )
    if spec.kind != "transformers":
        raise UsageError(f"{here}: {spec.kind}:{spec.target} cannot be replicated; drop {OPTION}")
    if (device := args.get("device", "auto")).startswith("cuda:"):
        raise UsageError(f"device={device}: Ray assigns a GPU to each replica; use device=cuda with {OPTION}")
    if importlib.util.find_spec("ray") is None:
        raise UsageError(f"{here}: Ray is not installed: pip install 'pytest-qbench[ray]'")
