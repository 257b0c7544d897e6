"""Mutation testing of the numerical packages: find changes of their source that no unit test detects.

`python tools/mutate.py [--per-module K] [--seed S] [--seconds N] [--tests PATH] [MODULE[:LINE] ...]`, from the root of the
checkout. A module is a path such as pytest_qbench/stats/paired.py; without any, those of `PACKAGES` are tried. Each mutant
is one change of the syntax tree (an operator, a comparison, a number, a condition, an argument or a statement). The
tests first run once without a change, and note which lines each executes. Then each mutant is compiled in a fork of a
process that has loaded everything. It meets the tests that execute its line, those of its module's own file first, up
to the first failure. With `--per-module`, so many mutants of each module are drawn; other modules do not change which.
Prints a table and every survivor.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib.util
import os
import pickle
import random
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("stats", "gates", "scoring", "metrics")
OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Pow: ast.Mult, ast.Mod: ast.Mult, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.And: ast.Or, ast.Or: ast.And, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "ceil": "floor", "floor": "ceil",
         "minimum": "maximum", "maximum": "minimum", "lower": "upper", "upper": "lower"}  # fmt: skip


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
        node.op = OPERATORS[type(node.op)]()
    elif isinstance(node, ast.Compare):
        node.ops[0] = OPERATORS[type(node.ops[0])]()
    elif isinstance(node, ast.UnaryOp):
        return node.operand
    elif isinstance(node, ast.Constant):
        node.value = value
    elif isinstance(node, (ast.If, ast.IfExp)):
        node.test = ast.Constant(value)
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
        """Skip annotations, docstrings, error messages, decorators and assertions."""
        for name, old in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "type_comment", "bases"):
                continue
            if isinstance(node, (ast.Raise, ast.JoinedStr, ast.Assert)):
                continue
            if isinstance(node, ast.keyword) and node.arg == "strict":  # of zip: an assertion
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


EXAMPLES = 10  # examples of a property
ENOUGH = 60.0  # CPU seconds of tests that a mutant meets at most


@dataclass
class Reached:
    """What one test executed: lines by file, and the CPU seconds it took under a tracer."""

    seconds: float = 0.0
    lines: dict[str, set[int]] = field(default_factory=dict)


class Tracing:
    """Pytest plugin that notes the lines of some files that each test executes."""

    def __init__(self, files: set[str]) -> None:
        self.files = files
        self.reached: dict[str, Reached] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Trace a test, its fixtures included. Values that earlier tests left in a cache are computed again."""
        for module in [m for name, m in sys.modules.items() if name.startswith(("pytest_qbench", "tests"))]:
            for value in list(vars(module).values()):
                if hasattr(value, "cache_clear"):
                    value.cache_clear()
        here = self.reached[item.nodeid] = Reached()

        def line(frame: FrameType, event: str, _: object) -> Callable[..., Any]:
            here.lines[frame.f_code.co_filename].add(frame.f_lineno)
            return line

        def call(frame: FrameType, event: str, _: object) -> Callable[..., Any] | None:
            if frame.f_code.co_filename not in self.files:
                return None
            here.lines.setdefault(frame.f_code.co_filename, set()).add(frame.f_lineno)
            return line

        began = time.process_time()
        sys.settrace(call)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            here.seconds = time.process_time() - began


class Selecting:
    """Pytest plugin that runs the tests named, in their order, and ends the process at one without end."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self.seconds = seconds

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out and sort tests."""
        known = {item.nodeid: item for item in items}
        items[:] = [known[name] for name in self.seconds]

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Allow a test ten times the CPU time it took, so that a busy machine does not matter."""
        signal.setitimer(signal.ITIMER_PROF, 10 + 10 * self.seconds[nodeid])


class Examples:
    """Pytest plugin that draws the same few examples of each property every time."""

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self) -> None:
        """Replace the settings of tests/conftest.py. A failing example is not made smaller."""
        from hypothesis import HealthCheck, Phase, settings

        settings.register_profile(
            "mutants", max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
            phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        settings.load_profile("mutants")


def run(codes: dict[Path, CodeType], tests: list[str], plugin: object) -> int:
    """Return the exit status of the tests with the code of some modules replaced. All modules are loaded again."""
    for known in [m for m in sys.modules if m.startswith(("pytest_qbench", "tests"))]:
        del sys.modules[known]
    names = {module_name(path): path for path in codes}

    class Loader:
        def create_module(self, spec: object) -> None:
            return None

        def exec_module(self, module: ModuleType) -> None:
            path = names[module.__name__]
            module.__file__ = str(path)
            exec(codes[path], vars(module))

    class Finder:
        @staticmethod
        def find_spec(wanted: str, path: object = None, target: object = None) -> object:
            return importlib.util.spec_from_loader(wanted, Loader()) if wanted in names else None

    sys.meta_path.insert(0, Finder)
    signal.setitimer(signal.ITIMER_PROF, 60)  # a module that loads without end
    try:
        for name in names:
            importlib.import_module(name)
    except Exception:  # noqa: BLE001 - a mutant that cannot be loaded is seen
        return 1
    signal.setitimer(signal.ITIMER_PROF, 0)
    return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-m", "not campaign", "--no-header",
                            "-W", "ignore::pytest.PytestAssertRewriteWarning", *tests],
                           plugins=[plugin, Examples()]))  # fmt: skip


def module_name(path: Path) -> str:
    """Return the dotted name of a module."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def code_of(path: Path, number: int | None = None) -> CodeType:
    """Return the code of a module, or of one of its mutants."""
    tree = Mutator(number).visit(ast.parse(path.read_text(encoding="utf-8")))
    return compile(ast.fix_missing_locations(tree), str(path), "exec")


def trace(modules: list[Path], tests: list[Path]) -> dict[str, Reached]:
    """Return what each unit test reaches of the modules. It runs in a child, so this process stays as it is."""
    from tests.unit_tests import NOT_A_UNIT

    files = [file for top in tests for file in ([top] if top.is_file() else sorted(top.rglob("test_*.py")))]
    units = [str(file) for file in files if not NOT_A_UNIT.search(file.read_text(encoding="utf-8"))]
    with tempfile.TemporaryFile() as found:
        child = os.fork()
        if child == 0:
            tracing = Tracing({str(path) for path in modules})
            status = run({path: code_of(path) for path in modules}, units, tracing)
            pickle.dump(tracing.reached, found)
            found.flush()
            os._exit(status)
        if os.waitpid(child, 0)[1]:
            raise SystemExit("the tests fail without any change")
        found.seek(0)
        return dict(pickle.load(found))


def statement(path: Path, line: int) -> tuple[range, bool]:
    """Return the lines of the smallest statement at a line, without its body, and whether it is within a function."""
    lines, is_called = range(line, line + 1), False
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.stmt) or not node.lineno <= line <= (node.end_lineno or line):
            continue
        first = node.body[0].lineno if isinstance(getattr(node, "body", None), list) else (node.end_lineno or line) + 1
        if first > line:
            lines = range(node.lineno, max(first, node.lineno + 1))
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            is_called = True
    return lines, is_called


def tests_of(path: Path, line: int, reached: dict[str, Reached]) -> dict[str, float]:
    """Return the tests of a line with their seconds, in the order to run them.

    What is executed at import, such as a constant, counts for all tests that execute the module or one that imports it.
    """
    lines, is_called = statement(path, line)
    own = f"tests/{path.parent.name}/test_{path.stem}.py::"
    importers = [str(other) for other in all_modules() if module_name(path) in other.read_text(encoding="utf-8")]

    def place(name: str) -> int | None:
        executed = reached[name].lines
        if is_called:
            return int(not name.startswith(own)) if executed.get(str(path), set()) & set(lines) else None
        return 0 if str(path) in executed else 1 if any(other in executed for other in importers) else None

    places = {name: where for name in reached if (where := place(name)) is not None}
    chosen, total = {}, 0.0
    for name in sorted(places, key=lambda name: (places[name], reached[name].seconds)):
        total += reached[name].seconds
        if total <= ENOUGH or not chosen:
            chosen[name] = reached[name].seconds
    return chosen


def survives(path: Path, number: int, tests: dict[str, float]) -> bool:
    """Return whether the tests pass on this mutant. An endless mutant is killed."""
    if not tests:
        return True
    code = code_of(path, number)
    child = os.fork()
    if child == 0:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        files = sorted({str(ROOT / name.partition("::")[0]) for name in tests})
        os._exit(run({path: code}, files, Selecting(tests)))
    _, status = os.waitpid(child, 0)
    return os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0


def all_modules() -> list[Path]:
    """Return the modules of `PACKAGES`."""
    found = [path for package in PACKAGES for path in sorted((ROOT / "pytest_qbench" / package).glob("*.py"))]
    return [path for path in found if path.stem != "__init__"]


def drawn(module: str, found: list[tuple[int, str]], most: int | None, seed: int, line: str) -> list[int]:
    """Return the numbers of the mutants to try."""
    order = [number for number in range(len(found)) if not line or found[number][0] == int(line)]
    random.Random(f"{seed} {module}").shuffle(order)
    return order[: most or len(order)]


def main() -> int:
    """Try the mutants. Print the score of each module and the surviving mutants."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so many seconds")
    parser.add_argument("--per-module", type=int, default=None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tests", nargs="+", type=Path, default=[ROOT / "tests" / package for package in PACKAGES])
    parser.add_argument("modules", nargs="*", metavar="MODULE[:LINE]")
    arguments = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    for name in ("hypothesis", "numpy", "scipy.stats", "scipy.optimize", "statsmodels.api", "pytest_qbench.plugin"):
        importlib.import_module(name)
    began, survivors, total = time.monotonic(), [], 0
    reached = trace(all_modules(), [path.resolve() for path in arguments.tests])
    print(f"{len(reached)} tests without a change: {time.monotonic() - began:.0f} s", flush=True)
    print("| module | mutants | tried | killed |", flush=True)
    print("| --- | ---: | ---: | ---: |", flush=True)
    for wanted in arguments.modules or [str(path.relative_to(ROOT)) for path in all_modules()]:
        module, _, where = wanted.partition(":")
        path, tried, alive = ROOT / module, 0, []
        found = mutants(path)
        for number in drawn(module, found, arguments.per_module, arguments.seed, where):
            if time.monotonic() - began > arguments.seconds:
                break
            tried += 1
            line, told = found[number]
            tests = tests_of(path, line, reached)
            if survives(path, number, tests):
                alive.append(f"{module}:{line}: {told} (mutant {number}, {len(tests)} tests)")
                print("survivor", alive[-1], file=sys.stderr, flush=True)
        survivors, total = survivors + alive, total + tried
        print(f"| {module} | {len(found)} | {tried} | {tried - len(alive)} |", flush=True)
    killed = total - len(survivors)
    print(f"{killed} of {total} mutants killed ({100 * killed / max(1, total):.1f} %), {len(survivors)} survive")
    print(*survivors, sep="\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
