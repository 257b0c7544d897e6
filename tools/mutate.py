"""Mutation testing of the numerical packages: find changes of their source that no unit test detects.

`python tools/mutate.py [--seconds N] [--per-module K] [--seed S] [MODULE ...]`, from the root of the checkout. A module
is a path such as pytest_qbench/stats/paired.py; without any, those of `TESTS` are tried. Each mutant is one change of
the syntax tree (an operator, a comparison, a number, a condition, an argument or a statement), compiled in a fork of a
process that has loaded everything, so a mutant costs the time of its tests until the first failure. With
`--per-module`, so many mutants of each module are drawn. Prints a table and every survivor.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib
import os
import random
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# The unit tests of each module, the fastest first.
TESTS = {
    "pytest_qbench/stats/agreement.py": ["stats/test_agreement.py", "metrics/test_diagnostics.py"],
    "pytest_qbench/stats/correlation.py": ["stats/test_correlation.py"],
    "pytest_qbench/stats/design_effect.py": ["stats/test_design_effect.py"],
    "pytest_qbench/stats/influence.py": ["stats/test_correlation.py"],
    "pytest_qbench/stats/intervals.py": ["stats/test_paired.py", "stats/test_paired_binary.py"],
    "pytest_qbench/stats/logistic.py": ["metrics/test_diagnostics.py"],
    "pytest_qbench/stats/multiplicity.py": ["stats/test_paired.py"],
    "pytest_qbench/stats/paired.py": ["stats/test_paired.py", "gates/test_alarm_budget.py", "gates/test_planning.py"],
    "pytest_qbench/stats/paired_binary.py": ["stats/test_paired_binary.py", "gates/test_alarm_budget.py"],
    "pytest_qbench/stats/paired_correlation.py": ["stats/test_correlation.py"],
    "pytest_qbench/stats/power.py": ["stats/test_power.py", "gates/test_planning.py"],
    "pytest_qbench/stats/resampling.py": ["stats/test_resampling.py", "stats/test_correlation.py"],
    "pytest_qbench/stats/sign_flips.py": ["stats/test_sign_flips.py"],
    "pytest_qbench/stats/smoothing.py": ["stats/test_smoothing.py"],
    "pytest_qbench/gates/alarm_budget.py": ["gates/test_alarm_budget.py"],
    "pytest_qbench/gates/arguments.py": ["gates/test_arguments.py"],
    "pytest_qbench/gates/comparison.py": ["gates/test_evaluate.py", "metrics/test_drift.py"],
    "pytest_qbench/gates/evaluate.py": ["gates/test_evaluate.py"],
    "pytest_qbench/gates/flips.py": ["gates/test_flips.py", "gates/test_evaluate.py"],
    "pytest_qbench/gates/margins.py": ["gates/test_planning.py"],
    "pytest_qbench/gates/planning.py": ["gates/test_planning.py"],
    "pytest_qbench/gates/reasons.py": ["gates/test_reasons.py", "gates/test_evaluate.py"],
    "pytest_qbench/gates/targets.py": ["gates/test_evaluate.py"],
    "pytest_qbench/gates/verdict.py": ["gates/test_evaluate.py"],
    "pytest_qbench/scoring/quality.py": ["scoring/test_score.py"],
    "pytest_qbench/scoring/score.py": ["scoring/test_score.py"],
    "pytest_qbench/metrics/direction.py": ["metrics/test_direction.py"],
    "pytest_qbench/metrics/drift.py": ["metrics/test_drift.py"],
    "pytest_qbench/metrics/metrics.py": ["metrics/test_metrics.py"],
    "pytest_qbench/metrics/noise_floor.py": ["metrics/test_drift.py"],
    "pytest_qbench/metrics/rescoring.py": ["metrics/test_rescoring.py"],
}
OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Pow: ast.Mult, ast.Mod: ast.Mult, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.And: ast.Or, ast.Or: ast.And, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "ceil": "floor", "floor": "ceil",
         "minimum": "maximum", "maximum": "minimum", "lower": "upper", "upper": "lower"}  # fmt: skip
SECONDS = 120  # limit of a mutant in CPU time, so that a busy machine does not matter; a longer one loops without end


def changes(node: ast.AST) -> list[tuple[str, object]]:
    """Return the possible changes of a node: a description and the arguments of `apply`."""
    found: list[tuple[str, object]] = []
    if isinstance(node, (ast.BinOp, ast.AugAssign, ast.BoolOp)) and type(node.op) in OPERATORS:
        found.append((f"{type(node.op).__name__} -> {OPERATORS[type(node.op)].__name__}", None))
    if isinstance(node, ast.Compare) and type(node.ops[0]) in OPERATORS:
        found.append((f"{type(node.ops[0]).__name__} -> {OPERATORS[type(node.ops[0])].__name__}", None))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Not)):
        found.append((f"drop {type(node.op).__name__}", None))
    if isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            found.append((f"{node.value} -> {not node.value}", not node.value))
        elif isinstance(node.value, (int, float)):
            found.append((f"{node.value} -> {node.value + 1}", node.value + 1))
    if isinstance(node, (ast.If, ast.IfExp)):
        found += [("condition -> True", True), ("condition -> False", False)]
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in NAMES:
        found.append((f"{node.id} -> {NAMES[node.id]}", NAMES[node.id]))
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and node.attr in NAMES:
        found.append((f".{node.attr} -> .{NAMES[node.attr]}", NAMES[node.attr]))
    if isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        found.append(("return None", None))
    if isinstance(node, (ast.Raise, ast.Continue, ast.Break)):
        found.append((f"drop {type(node).__name__.lower()}", None))
    return found


def apply(node: ast.AST, change: tuple[str, object]) -> ast.AST:
    """Return the changed node. `node` is a copy and may be modified."""
    _, value = change
    if isinstance(node, (ast.BinOp, ast.AugAssign, ast.BoolOp)):
        node.op = OPERATORS[type(node.op)]()  # type: ignore[assignment]
    elif isinstance(node, ast.Compare):
        node.ops[0] = OPERATORS[type(node.ops[0])]()  # type: ignore[call-overload]
    elif isinstance(node, ast.UnaryOp):
        return node.operand
    elif isinstance(node, ast.Constant):
        node.value = value  # type: ignore[assignment]
    elif isinstance(node, (ast.If, ast.IfExp)):
        node.test = ast.Constant(value)  # type: ignore[arg-type]
    elif isinstance(node, ast.Name):
        node.id = str(value)
    elif isinstance(node, ast.Attribute):
        node.attr = str(value)
    elif isinstance(node, ast.Return):
        node.value = ast.Constant(None)
    else:
        return ast.Pass()
    return node


class Mutator(ast.NodeTransformer):
    """Transformer that applies the change with the number `wanted`, in the order of the tree."""

    def __init__(self, wanted: int | None) -> None:
        self.wanted = wanted
        self.found: list[tuple[int, str]] = []

    def visit(self, node: ast.AST) -> ast.AST:
        """Count the changes of a node, and apply the wanted one."""
        for change in changes(node):
            if self.wanted == len(self.found):
                node = apply(copy.copy(node), change)
            self.found.append((getattr(node, "lineno", 0), change[0]))
        return self.generic_visit(node)

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Skip annotations, docstrings, error messages and decorators."""
        for name, old in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "type_comment", "bases"):
                continue
            if isinstance(node, (ast.Raise, ast.JoinedStr, ast.Assert)):
                continue
            if isinstance(old, list):
                setattr(node, name, [self.visit(v) if isinstance(v, ast.AST) else v for v in old])
            elif isinstance(old, ast.AST):
                setattr(node, name, self.visit(old))
        return node


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def mutants(path: Path) -> list[tuple[int, str]]:
    """Return line and description of every mutant of a module."""
    counter = Mutator(None)
    counter.visit(ast.parse(path.read_text(encoding="utf-8")))
    return counter.found


def survives(path: Path, number: int, tests: list[str]) -> bool:
    """Return whether the tests pass on this mutant. An endless mutant is killed."""
    tree = Mutator(number).visit(ast.parse(path.read_text(encoding="utf-8")))
    code = compile(ast.fix_missing_locations(tree), str(path), "exec")
    child = os.fork()
    if child == 0:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        os._exit(int(run_with(name, code, tests)))
    _, status = os.waitpid(child, 0)
    return os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0


def run_with(name: str, code: object, tests: list[str]) -> int:
    """Return the exit status of the tests with the code of a module replaced. Its importers are loaded again."""
    for known in [m for m in sys.modules if m.startswith(("pytest_qbench", "tests"))]:
        del sys.modules[known]

    class Loader:
        def create_module(self, spec: object) -> None:
            return None

        def exec_module(self, module: object) -> None:
            exec(code, vars(module))

    class Finder:
        @staticmethod
        def find_spec(wanted: str, path: object = None, target: object = None) -> object:
            if wanted != name:
                return None
            return importlib.util.spec_from_loader(name, Loader(), origin=name)  # type: ignore[arg-type]

    sys.meta_path.insert(0, Finder)  # type: ignore[arg-type]
    try:
        importlib.import_module(name)
    except Exception:  # noqa: BLE001 - a mutant that cannot be loaded is seen
        return 1
    return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-m", "not campaign",
                            "--no-header", *tests]))  # fmt: skip


def drawn(found: list[tuple[int, str]], most: int | None, rng: random.Random) -> Iterator[int]:
    """Yield the numbers of the mutants to try, in random order."""
    order = rng.sample(range(len(found)), len(found))
    yield from order[: most or len(order)]


def main() -> int:
    """Try the mutants. Print the score of each module and the surviving mutants."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so many seconds")
    parser.add_argument("--per-module", type=int, default=None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("modules", nargs="*")
    arguments = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    for name in ("numpy", "scipy.stats", "scipy.optimize", "statsmodels.api", "pytest_qbench.plugin"):
        importlib.import_module(name)
    began, rng, survivors = time.monotonic(), random.Random(arguments.seed), []
    total = killed = 0
    for module in arguments.modules or TESTS:
        path, tests = ROOT / module, [str(ROOT / "tests" / test) for test in TESTS[module]]
        found, tried, alive = mutants(path), 0, 0
        if not survives(path, len(found), tests):
            print(f"{module}: its tests fail without any mutation", flush=True)
            continue
        for number in drawn(found, arguments.per_module, rng):
            if time.monotonic() - began > arguments.seconds:
                break
            tried += 1
            if survives(path, number, tests):
                alive += 1
                line, told = found[number]
                survivors.append(f"{module}:{line}: {told}")
                print("survivor", survivors[-1], flush=True)
        total, killed = total + tried, killed + tried - alive
        print(f"| {module} | {len(found)} | {tried} | {tried - alive} |", flush=True)
    print(f"{killed} of {total} mutants killed ({100 * killed / max(1, total):.1f} %), {len(survivors)} survive")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
