"""Mutation testing of the numerical packages: find changes of their source that no unit test detects.

`python tools/mutate.py [--per-module K] [--seed S] [--seconds N] [--tests PATH] [MODULE[:LINE] ...]`, from the root of the
checkout. A module is a path such as pytest_qbench/stats/paired.py; without any, those of `PACKAGES` are tried. Each mutant
is one change of the syntax tree (an operator, a comparison, a number, a condition, an argument or a statement). The
tests are collected once, run once without a change, and note which lines each executes. Then each mutant replaces the
code of the loaded functions in a fork. It meets the tests that execute its line, those of its module's own file first,
up to the first failure. A change of what is executed at import, such as a constant, loads all modules again. With `--per-module`, so many mutants of each module are drawn; other modules do not change which.
Prints a table and every survivor.
"""

from __future__ import annotations

import argparse
import ast
import copy
import gc
import importlib.util
import os
import pickle
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
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


class Session:
    """Pytest plugin that does `work` with the collected tests in place of running them.

    Each property draws the same few examples every time, and a failing example is not made smaller. The first failure
    ends the process, which is a child.
    """

    def __init__(self, work: Callable[[pytest.Session], None]) -> None:
        self.work = work

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self) -> None:
        """Replace the settings of tests/conftest.py."""
        from hypothesis import HealthCheck, Phase, settings

        settings.register_profile(
            "mutants", max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
            phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        settings.load_profile("mutants")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Do the work."""
        self.work(session)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """End the process at a failure."""
        if report.failed:
            print(report.nodeid, report.longreprtext, flush=True)
            os._exit(1)

    def start(self, files: list[str]) -> int:
        """Collect the tests of some files and do the work. Return the exit status."""
        options = ["-q", "-s", "-p", "no:cacheprovider", "-m", "not campaign"]
        return int(pytest.main([*options, "-W", "ignore::pytest.PytestAssertRewriteWarning", *files], plugins=[self]))


def run_tests(session: pytest.Session, tests: dict[str, float]) -> None:
    """Run tests in their order; the first failure ends the process, and so does a test without end.

    A test may take ten times the CPU time it took before, so a busy machine does not matter.
    """
    items = {item.nodeid: item for item in session.items}
    for name, seconds in tests.items():
        signal.setitimer(signal.ITIMER_PROF, 10 + 10 * seconds)
        session.config.hook.pytest_runtest_protocol(item=items[name], nextitem=None)
    os._exit(0)


def trace(session: pytest.Session, files: set[str]) -> dict[str, Reached]:
    """Return what each test reaches of some files, its fixtures included. A child runs the tests, so nothing changes here.

    Values that earlier tests left in a cache are computed again.
    """
    with tempfile.TemporaryFile() as found:
        child = os.fork()
        if child == 0:
            reached = {}
            for item in session.items:
                for module in [m for name, m in sys.modules.items() if name.startswith(("pytest_qbench", "tests"))]:
                    for value in list(vars(module).values()):
                        if hasattr(value, "cache_clear"):
                            value.cache_clear()
                here = reached[item.nodeid] = Reached()
                began = time.process_time()
                sys.settrace(_tracer(here.lines, files))
                session.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
                sys.settrace(None)
                here.seconds = time.process_time() - began
            pickle.dump(reached, found)
            found.flush()
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            raise SystemExit("this test fails without any change")
        found.seek(0)
        return dict(pickle.load(found))


def _tracer(lines: dict[str, set[int]], files: set[str]) -> Callable[..., Any]:
    def line(frame: FrameType, event: str, _: object) -> Callable[..., Any]:
        lines[frame.f_code.co_filename].add(frame.f_lineno)
        return line

    def call(frame: FrameType, event: str, _: object) -> Callable[..., Any] | None:
        if frame.f_code.co_filename not in files:
            return None
        lines.setdefault(frame.f_code.co_filename, set()).add(frame.f_lineno)
        return line

    return call


def replace_code(path: Path, code: CodeType) -> bool:
    """Give the loaded functions of a module the code of a mutant. Return whether that was possible for all of them."""
    new: dict[tuple[str, int], list[CodeType]] = {}
    rest = [code]
    while rest:
        inner = [constant for constant in rest.pop().co_consts if isinstance(constant, CodeType)]
        rest += inner
        for one in inner:
            new.setdefault((one.co_qualname, one.co_firstlineno), []).append(one)
    for function in gc.get_objects():
        if isinstance(function, FunctionType) and function.__code__.co_filename == str(path):
            found = new.get((function.__code__.co_qualname, function.__code__.co_firstlineno), [])
            if len(found) != 1 or found[0].co_freevars != function.__code__.co_freevars:
                return False
            function.__code__ = found[0]
    return True


def load_again(path: Path, code: CodeType, tests: dict[str, float]) -> int:
    """Run tests after all modules were loaded again, one of them with the code of a mutant. Return the exit status."""
    for known in [m for m in sys.modules if m.startswith(("pytest_qbench", "tests"))]:
        del sys.modules[known]

    class Loader:
        def create_module(self, spec: object) -> None:
            return None

        def exec_module(self, module: ModuleType) -> None:
            module.__file__ = str(path)
            exec(code, vars(module))

    class Finder:
        @staticmethod
        def find_spec(wanted: str, where: object = None, target: object = None) -> object:
            return importlib.util.spec_from_loader(wanted, Loader()) if wanted == module_name(path) else None

    sys.meta_path.insert(0, Finder)
    signal.setitimer(signal.ITIMER_PROF, 60)  # a module that loads without end
    try:
        importlib.import_module(module_name(path))
    except Exception:  # noqa: BLE001 - a mutant that cannot be loaded is seen
        return 1
    files = sorted({str(ROOT / name.partition("::")[0]) for name in tests})
    return Session(lambda session: run_tests(session, tests)).start(files)


def module_name(path: Path) -> str:
    """Return the dotted name of a module."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


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


def survives(session: pytest.Session, path: Path, number: int | None, tests: dict[str, float]) -> bool:
    """Return whether the tests pass on this mutant, or on the module as it is. An endless mutant is killed."""
    if not tests:
        return True
    tree = Mutator(number).visit(ast.parse(path.read_text(encoding="utf-8")))
    code = compile(ast.fix_missing_locations(tree), str(path), "exec")
    is_called = number is None or statement(path, mutants(path)[number][0])[1]
    child = os.fork()
    if child == 0:
        os.setsid()
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        if is_called and replace_code(path, code):
            run_tests(session, tests)
        os._exit(load_again(path, code, tests))
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


def try_all(session: pytest.Session, arguments: argparse.Namespace) -> None:
    """Try the mutants. Print the score of each module and the surviving mutants."""
    began, survivors, total = time.monotonic(), [], 0
    reached = trace(session, {str(path) for path in all_modules()})
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
            if tried == 1 and not survives(session, path, None, tests):
                raise SystemExit(f"{module}: its tests fail without any change")
            if survives(session, path, number, tests):
                alive.append(f"{module}:{line}: {told} (mutant {number}, {len(tests)} tests)")
                print("survivor", alive[-1], file=sys.stderr, flush=True)
        survivors, total = survivors + alive, total + tried
        print(f"| {module} | {len(found)} | {tried} | {tried - len(alive)} |", flush=True)
    killed = total - len(survivors)
    print(f"{killed} of {total} mutants killed ({100 * killed / max(1, total):.1f} %), {len(survivors)} survive")
    print(*survivors, sep="\n")


def main() -> int:
    """Collect the tests and try the mutants."""
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
    from tests.unit_tests import NOT_A_UNIT

    files = [file for top in arguments.tests for file in ([top] if top.is_file() else sorted(top.rglob("test_*.py")))]
    units = [str(file.resolve()) for file in files if not NOT_A_UNIT.search(file.read_text(encoding="utf-8"))]
    return Session(lambda session: try_all(session, arguments)).start(units)


if __name__ == "__main__":
    raise SystemExit(main())
