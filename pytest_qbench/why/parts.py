"""The parts of a vision-language model in the order of their forward pass, found by the structure of its modules.

A part is a layer of a stack, or the largest module beside the stacks that holds none. Its stage follows from its place:
the language model holds the input embeddings, the head is the output embeddings, the vision tower holds the first stack
outside the language model, and what lies between them is the projector.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import nn

from pytest_qbench.runs.explanation import HEAD, LANGUAGE, PROJECTOR, VISION

_BETWEEN = re.compile(r"merger|project|connector|adapter|aligner|resampler|perceiver|qformer|multi_modal")
"""Names of modules between the vision tower and the language model, where they are inside the tower's module."""


@dataclass(frozen=True)
class Part:
    """A module whose output is compared. `name` is its path in the model, such as ``vision_tower.layers.3``."""

    name: str
    module: nn.Module


def find_parts(model: nn.Module) -> list[Part]:
    """Return the parts of a model in the order of their definition; each parameter is in at most one of them."""
    found = [Part(name, module) for name, module in _walk("", model)]
    head = _output_head(model)
    seen: set[int] = set()
    unique = [part for part in found if not (id(part.module) in seen or seen.add(id(part.module)))]  # type: ignore[func-returns-value]
    if head is not None and id(head) not in seen:
        unique.append(Part(_path(model, head), head))
    return unique


def stages_of(model: nn.Module, executed: Sequence[Part]) -> dict[str, str]:
    """Return the stage of each part, by name. `executed` are the parts in the order of their first call."""
    language = _language_model(model)
    head = _output_head(model)
    inside = [part for part in executed if _holds(language, part.name) or part.module is head]
    outside = [part for part in executed if part not in inside]
    stages = {part.name: HEAD if part.module is head else LANGUAGE for part in inside}
    tower = _tower([part.name for part in outside])
    last = max((i for i, part in enumerate(outside) if _stack(part.name) == tower[1]), default=-1)
    for i, part in enumerate(outside):
        is_between = i > last and bool(_BETWEEN.search(part.name.removeprefix(tower[0])))
        stages[part.name] = VISION if _holds(tower[0], part.name) and not is_between else PROJECTOR
    return stages


def _walk(path: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the path and module of each part below `module`."""
    if isinstance(module, nn.ModuleList):
        yield from ((f"{path}.{i}".lstrip("."), layer) for i, layer in enumerate(module))
    elif _has_stack(module):
        for name, child in module.named_children():
            yield from _walk(f"{path}.{name}".lstrip("."), child)
    elif path:
        yield path, module


def _has_stack(module: nn.Module) -> bool:
    return any(isinstance(child, nn.ModuleList) and len(child) > 0 for child in module.modules())


def _tower(names: Sequence[str]) -> tuple[str, str]:
    """Return the path of the vision tower and that of its main stack, from the parts outside the language model.

    The tower is the smallest module that holds the first part that runs and the first stack.
    """
    stack = next((stack for name in names if (stack := _stack(name))), "")
    if not stack:
        return "", ""
    pairs = zip(names[0].split("."), stack.split("."), strict=False)
    common: list[str] = []
    for one, other in pairs:
        if one != other:
            break
        common.append(one)
    # A module that holds the whole model is no tower: the first part then stands beside the stack's own module.
    return (".".join(common) if len(common) > 1 or common not in ([], ["model"]) else stack), stack


def _stack(name: str) -> str:
    """Return the path of the stack whose layer a part is, empty for another part."""
    path, _, index = name.rpartition(".")
    return path if index.isdecimal() else ""


def _language_model(model: nn.Module) -> str:
    """Return the path of the smallest module that holds the input embeddings and a stack of layers."""
    path = _path(model, model.get_input_embeddings())  # type: ignore[operator]
    while path:
        path = path.rpartition(".")[0]
        if path and _has_stack(model.get_submodule(path)):
            return path
    return ""


def _output_head(model: nn.Module) -> nn.Module | None:
    return model.get_output_embeddings()  # type: ignore[operator, no-any-return]


def _path(model: nn.Module, module: nn.Module | None) -> str:
    return next((name for name, one in model.named_modules() if one is module), "")


def _holds(path: str, name: str) -> bool:
    return path == "" or name == path or name.startswith(path + ".")
