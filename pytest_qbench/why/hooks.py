"""Record the outputs of a model's parts during its first forward pass. This module needs torch."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from pytest_qbench.runs.explanation import HEAD
from pytest_qbench.why.parts import Part, find_parts, stages_of
from pytest_qbench.why.trace import Floats

DIRECTIONS = 16
"""Values kept of each token. A random projection keeps distances between tokens within about a third each."""
_SEED = 20231004


class PartRecorder:
    """Records what the parts of a model return. `stages` is known after the first recording."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._parts = find_parts(network)
        self._head = {part.name for part in self._parts if part.module is network.get_output_embeddings()}  # type: ignore[operator]
        self._called: Mapping[str, Part] = {}
        self.stages: Mapping[str, str] = {}

    @contextmanager
    def recording(self) -> Iterator[dict[str, Floats]]:
        """Record the first forward pass inside this block: the outputs by part, (tokens, values).

        A part that runs several times in one pass, such as a norm of all tokens and then of one, has an entry for each
        call. Else a late call would stand before the parts that it depends on.
        """
        called: dict[str, Part] = {}
        calls: Counter[str] = Counter()
        outputs: dict[str, Tensor] = {}
        found: dict[str, Floats] = {}
        ended = False

        def note(part: Part, output: Any) -> None:
            nonlocal ended
            if ended:
                return
            calls[part.name] += 1
            name = part.name if calls[part.name] == 1 else f"{part.name} (call {calls[part.name]})"
            called[name] = part
            if (value := _first_tensor(output)) is not None:
                is_head = part.name in self._head
                rows = value[:, -1:] if is_head and value.ndim == 3 else value
                rows = rows.detach().float().reshape(-1, value.shape[-1] if value.ndim else 1)
                outputs[name] = rows if is_head else _projected(rows)
                ended = is_head

        hooks = [
            part.module.register_forward_hook(lambda _, __, output, part=part: note(part, output))
            for part in self._parts
        ]
        try:
            yield found
        finally:
            for hook in hooks:
                hook.remove()
            found.update({name: value.cpu().numpy() for name, value in outputs.items()})
            if len(called) > len(self._called):
                self._called = called
                stages = stages_of(self._network, list(dict.fromkeys(called.values())))
                self.stages = {name: stages[part.name] for name, part in called.items() if name in outputs}

    def weights(self) -> dict[str, tuple[str, str]]:
        """Return a digest and the dtypes of the weights of each part."""
        parts = {name: self._called[name] for name in self.stages}
        known = {p.name: (_digest(p.module), ", ".join(_dtypes(p.module))) for p in dict.fromkeys(parts.values())}
        return {name: known[part.name] for name, part in parts.items()}


def is_head(stage: str) -> bool:
    """Return whether a stage is the output head, whose values are whole logits."""
    return stage == HEAD


def _first_tensor(output: Any) -> Tensor | None:
    """Return the first floating-point tensor of a module's output."""
    if isinstance(output, Tensor):
        return output if output.is_floating_point() and output.ndim >= 1 else None
    if isinstance(output, Mapping):
        output = output.values()
    if isinstance(output, list | tuple | type({}.values())):
        return next((found for value in output if (found := _first_tensor(value)) is not None), None)
    return None


def _projected(rows: Tensor) -> Tensor:
    width = rows.shape[-1]
    return rows if width <= DIRECTIONS else torch.matmul(rows, _directions(width).to(rows.device))


@cache
def _directions(width: int) -> Tensor:
    generator = torch.Generator().manual_seed(_SEED)
    directions: Tensor = torch.randn(width, DIRECTIONS, generator=generator) / DIRECTIONS**0.5
    return directions


def _digest(module: nn.Module) -> str:
    """Return a digest of the values of a module's weights: sums, which no change of one weight leaves alone."""
    found = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        if isinstance(value, Tensor) and value.numel():
            numbers = value.detach().double() if not value.is_complex() else torch.view_as_real(value).double()
            sums = [float(numbers.sum()), float(numbers.square().sum())]
            found.update(f"{name} {tuple(value.shape)} {sums}".encode())
    return found.hexdigest()[:16]


def _dtypes(module: nn.Module) -> list[str]:
    state = [value for value in module.state_dict().values() if isinstance(value, Tensor)]
    return sorted({str(value.dtype).removeprefix("torch.") for value in state})
