"""Compare the gates, limits and baselines of two revisions: what lets a worse model pass more easily."""

from __future__ import annotations

import configparser
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import PurePath
from typing import Any

from pytest_qbench.baseline.folder_files import FILE
from pytest_qbench.errors import UsageError
from pytest_qbench.gates.written_gate import FIXTURE
from pytest_qbench.policy.git import Repository
from pytest_qbench.policy.source_gates import SourceGate, read_gates
from pytest_qbench.untrusted.parsing import parse_yaml

CONFIGURATIONS = ("pyproject.toml", "pytest.ini", ".pytest.ini", "tox.ini", "setup.cfg")
_OTHERS = (f"*{FILE}", *CONFIGURATIONS)
PATTERNS = ("*.py", *_OTHERS)
_TOTALS = ("perception.accuracy", "description.sum", "assessment.srcc")
_LIMITS = {"qbench_max_errors": 0.0, "qbench_max_unparsed": 0.05, "qbench_max_cut": 0.05}


@dataclass(frozen=True, slots=True)
class Weakness:
    """One thing that became weaker. `reason` is the one that a baseline itself states."""

    kind: str
    subject: str
    text: str
    reason: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What became weaker, whatever its size."""
        return self.kind, self.subject


@dataclass(frozen=True, slots=True)
class State:
    """What decides verdicts in one revision: gates, settings of pytest by name, heads of baselines by path."""

    gates: tuple[SourceGate, ...]
    settings: Mapping[str, str]
    baselines: Mapping[str, Mapping[str, Any]]


def read_state(repository: Repository, revision: str) -> State:
    """Return the state of a revision."""
    gates: list[SourceGate] = []
    settings: dict[str, str] = {}
    baselines: dict[str, Mapping[str, Any]] = {}
    for name in repository.names_with(revision, FIXTURE, "*.py"):
        gates += read_gates(name, repository.text(revision, name))
    for name in repository.names(revision, _OTHERS):
        if PurePath(name).name == FILE:
            if (head := _head(name, repository.text(revision, name))) is not None:
                baselines[name] = head
        elif name in CONFIGURATIONS:
            settings |= _settings(name, repository.text(revision, name))
    return State(tuple(gates), settings, baselines)


def weaknesses(old: State, new: State) -> list[Weakness]:
    """Return what became weaker from one state to another."""
    return [*_of_gates(old.gates, new.gates), *_of_settings(old.settings, new.settings),
            *_of_baselines(old.baselines, new.baselines)]  # fmt: skip


def _of_gates(old: Iterable[SourceGate], new: Iterable[SourceGate]) -> Iterator[Weakness]:
    """Yield what became weaker. Gates are told apart by what they judge, so that they may move to other files."""
    before, after = _by_target(old), _by_target(new)
    for target, gates in before.items():
        left = after.get(target, [])
        subject = " ".join(filter(None, target))
        if len(left) < len(gates):
            gone = sorted({gate.path for gate in gates} - {gate.path for gate in left} or {gate.path for gate in gates})
            yield Weakness("removed gate", subject, f"{len(gates)} -> {len(left)} gates ({', '.join(gone)})")
        if left and sum(gate.each_dataset for gate in left) < sum(gate.each_dataset for gate in gates):
            yield Weakness("each_dataset", subject, "no longer requires every dataset")
        for name in ("margin", "budget", "minimum", "maximum"):
            yield from _of_bounds(subject, name, _bounds(gates, name), _bounds(left, name), bool(left))


def _by_target(gates: Iterable[SourceGate]) -> dict[tuple[str, str, str], list[SourceGate]]:
    found: dict[tuple[str, str, str], list[SourceGate]] = defaultdict(list)
    for gate in gates:
        found[gate.target].append(gate)
    return found


def _bounds(gates: Iterable[SourceGate], name: str) -> list[float]:
    """Return the values of a bound, strictest first. A value that the source does not show counts as the weakest."""
    sign = -1 if name == "minimum" else 1
    values = [value for gate in gates for key, value in gate.bounds if key == name]
    return sorted(inf if value is None else sign * value for value in values)


def _of_bounds(
    subject: str, name: str, old: Sequence[float], new: Sequence[float], has_gates: bool
) -> Iterator[Weakness]:
    kind = {"margin": "wider margin", "budget": "wider budget", "minimum": "lower floor", "maximum": "higher ceiling"}
    if len(new) < len(old) and has_gates:
        yield Weakness(f"removed {name}", subject, f"{len(old)} -> {len(new)}")
    for before, after in zip(old, new, strict=False):
        if after > before:
            shown = ["an expression" if value == inf else f"{abs(value):g}" for value in (before, after)]
            yield Weakness(kind[name], subject, f"{shown[0]} -> {shown[1]}")


def _of_settings(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Weakness]:
    for name, default in _LIMITS.items():
        before, after = (_number(settings.get(name), default) for settings in (old, new))
        if after > before:
            yield Weakness("higher limit", name, f"{before:g} -> {after:g}")
    if _is_on(old.get("qbench_strict")) and not _is_on(new.get("qbench_strict")):
        yield Weakness("not strict", "qbench_strict", "inconclusive gates no longer fail")
    for option in ("--qbench-no-gates", "--qbench-accept-regression", "--qbench-baseline"):
        if option in new.get("addopts", "") and option not in old.get("addopts", ""):
            yield Weakness("option", option, "was added to addopts")


def _of_baselines(old: Mapping[str, Mapping[str, Any]], new: Mapping[str, Mapping[str, Any]]) -> Iterator[Weakness]:
    for path, before in old.items():
        after = new.get(path)
        if after is None:
            yield Weakness("removed baseline", path, "is gone")
        elif after.get("seal") != before.get("seal"):
            reason = after.get("reason")
            # A reason that was there before belongs to an earlier update.
            is_new = isinstance(reason, str) and (reason, after.get("recorded")) != (
                before.get("reason"), before.get("recorded"),
            )  # fmt: skip
            yield from (
                Weakness(kind, path, text, reason if is_new else None) for kind, text in _replaced(before, after)
            )


def _replaced(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "replaced baseline", f"{before.get('recorded')} -> {after.get('recorded')}{_falls(before, after)}"
    if accepted := after.get("accepted"):
        yield "accepted regression", "; ".join(map(str, accepted))
    if _anchor(before) not in (None, _anchor(after)):
        yield "moved anchor", f"{_anchor(before)} -> {_anchor(after)}"


def _anchor(head: Mapping[str, Any]) -> str | None:
    anchor = head.get("anchor")
    return str(anchor.get("recorded")) if isinstance(anchor, Mapping) else None


def _falls(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return the totals that fell, as text."""
    old, new = (_totals(head) for head in (before, after))
    fell = [
        f"{' '.join(filter(None, key))} {old[key]:.4f} -> {new[key]:.4f}"
        for key in old
        if key[0] in _TOTALS and key in new and new[key] < old[key]
    ]
    return f"; {', '.join(fell)}" if fell else ""


def _totals(head: Mapping[str, Any]) -> dict[tuple[str, str], float]:
    rows = head.get("metrics")
    return {
        (str(row.get("name")), str(row.get("dataset") or "")): float(row["value"])
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, Mapping) and row.get("slice") is None and isinstance(row.get("value"), int | float)
    }


def _head(name: str, text: str) -> Mapping[str, Any] | None:
    """Return the head of a baseline, or None for another file of this name."""
    try:
        head = parse_yaml(text)
    except ValueError as e:
        raise UsageError(f"{name}: not YAML: {e}; restore the baseline") from e
    return head if isinstance(head, Mapping) and "seal" in head else None


def _settings(name: str, text: str) -> dict[str, str]:
    """Return the settings of pytest in a configuration file at the root of the repository."""
    if name.endswith(".toml"):
        try:
            pytest: Any = tomllib.loads(text).get("tool", {}).get("pytest", {})
        except tomllib.TOMLDecodeError as e:
            raise UsageError(f"{name}: not TOML: {e}") from e
        found = {**pytest, **pytest.get("ini_options", {})} if isinstance(pytest, Mapping) else {}
        return {key: " ".join(map(str, value)) if isinstance(value, list) else str(value)
                for key, value in found.items()}  # fmt: skip
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text)
    except configparser.Error as e:
        raise UsageError(f"{name}: cannot be read: {str(e).splitlines()[0]}") from e
    section = "tool:pytest" if name == "setup.cfg" else "pytest"
    return dict(parser[section]) if parser.has_section(section) else {}


def _number(text: str | None, default: float) -> float:
    try:
        return default if text is None else float(text)
    except ValueError:
        return inf  # a run refuses it; here it is no reason to stay silent


def _is_on(text: str | None) -> bool:
    return str(text).strip().lower() in ("1", "true", "yes", "on")
