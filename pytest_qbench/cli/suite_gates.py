"""The gates of a project's suite, read from its test files for `qbench doctor --faults --model=SPEC`."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from pytest_qbench import packaged
from pytest_qbench.doctor.covered_gate import CoveredGate
from pytest_qbench.errors import UsageError
from pytest_qbench.gates.arguments import check_bounds
from pytest_qbench.gates.written_gate import FIXTURE
from pytest_qbench.policy.source_gates import UNREAD, SourceGate, read_gates

_NOT_SEARCHED = ("*.egg", ".*", "_darcs", "build", "CVS", "dist", "node_modules", "venv", "{arch}")
"""Folders in which pytest looks for no tests (its default of `norecursedirs`)."""


def suite_gates(named: Sequence[str]) -> tuple[list[CoveredGate], str]:
    """Return the gates of the named files and folders, and a text that says where they stand.

    Without a name these are the gates of the test files below the current folder; where it has none, those of the
    packaged suites. Raises `UsageError` for a path without a gate, and for a gate whose numbers the source hides.
    """
    if named:
        read = [(name, _read(_files(Path(name), f"--suite={name}"))) for name in named]
        if empty := [name for name, gates in read if not gates]:
            raise UsageError(f"--suite={empty[0]}: holds no test with {FIXTURE}(...)")
        gates = [gate for _, own in read for gate in own]
    else:
        gates = _read(_python_files(Path()))
        if not gates:
            return [_covered(gate) for gate in _read(_python_files(packaged("suites")))], "the packaged suites"
    paths = dict.fromkeys(gate.path for gate in gates)
    return list(dict.fromkeys(map(_covered, gates))), ", ".join(paths)


def _files(path: Path, option: str) -> list[Path]:
    if not path.exists():
        raise UsageError(f"{option}: no such file or folder")
    return [path] if path.is_file() else _python_files(path)


def _python_files(folder: Path) -> list[Path]:
    return sorted(_walk(folder))


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = [
            name
            for name in folders
            if not any(fnmatch(name, pattern) for pattern in _NOT_SEARCHED)
            and not Path(parent, name, "pyvenv.cfg").exists()
        ]
        yield from (Path(parent, name) for name in files if name.endswith(".py"))


def _read(files: Sequence[Path]) -> list[SourceGate]:
    found: list[SourceGate] = []
    for path in files:
        content = path.read_bytes()
        if FIXTURE.encode() in content:
            try:
                ast.parse(content)
                text = content.decode("utf-8")
            except (SyntaxError, ValueError, RecursionError) as e:
                raise UsageError(f"{path}: cannot be read as Python: {str(e).splitlines()[0]}") from e
            found += read_gates(str(path), text)
    return found


def _covered(gate: SourceGate) -> CoveredGate:
    """Return a gate with its numbers. Raises `UsageError` where the source does not show them, or no gate has them."""
    where = f"{gate.path}: {gate.function}"
    hidden = [name for name, value in gate.bounds if value is None]
    hidden += [word for word, text in zip(("metric", "dataset", "slice"), gate.target, strict=True) if text == UNREAD]
    if hidden:
        raise UsageError(
            f"{where}: the {hidden[0]} of a gate is an expression; write it out there, or name other files with "
            "--suite or gates with --gate"
        )
    bounds = dict(gate.bounds)
    margin, budget, minimum, maximum = (bounds.get(name) for name in ("margin", "budget", "minimum", "maximum"))
    try:
        check_bounds(gate.metric, margin, minimum, maximum, budget)
    except ValueError as e:
        raise UsageError(f"{where}: {e}") from e
    return CoveredGate(
        gate.metric, margin, budget, minimum, maximum, gate.dataset or None, gate.slice or None, gate.each_dataset,
        test=f"{gate.path}::{gate.function}",
    )  # fmt: skip
