"""Run pytest or `qbench` where some packages cannot be imported: ``python hidden_modules.py torch,fcntl pytest ARGS``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any


class Hiding(MetaPathFinder):
    """Finds what the stock finder finds, but the packages that it hides."""

    def __init__(self, hidden: Sequence[str]) -> None:
        self.hidden = hidden

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return None if name.partition(".")[0] in self.hidden else PathFinder.find_spec(name, path, target)

    def find_distributions(self, *arguments: Any) -> Iterable[Any]:
        """Return the installed distributions, whose entry points pytest loads."""
        return PathFinder.find_distributions(*arguments)


if __name__ == "__main__":
    _, names, command, *arguments = sys.argv
    sys.meta_path[:] = [Hiding(names.split(",")) if finder is PathFinder else finder for finder in sys.meta_path]
    if command == "qbench":
        from pytest_qbench.cli.main import main

        sys.exit(main(arguments))
    import pytest

    sys.exit(pytest.main(arguments))
