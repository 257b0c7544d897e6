"""The layout of the package: the contents of its root and of the `__init__.py` files, and the page about it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import pytest_qbench
from tools import packages

PACKAGE = Path(pytest_qbench.__file__).parent
FACES = sorted(path for path in PACKAGE.rglob("__init__.py") if path.parent not in (PACKAGE, PACKAGE / "plugin"))
HINT = "docs/architecture.md is out of date; `make architecture` writes its table"
DRIFT = 0.15
"""Allowed relative error of the files and lines in the page, so that not every change has to update it."""


def test_only_five_modules_stand_at_the_root() -> None:
    assert {path.stem for path in PACKAGE.glob("*.py")} == {
        "__init__",
        "errors",
        "escaping",
        "items",
        "prompts",
        "records",
    }


@pytest.mark.parametrize("face", FACES, ids=lambda path: path.parent.relative_to(PACKAGE).as_posix())
def test_a_package_face_has_a_first_line_and_re_exports_only(face: Path) -> None:
    tree = ast.parse(face.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    exported: set[str] = set()
    imported: set[str] = set()
    for statement in tree.body[1:]:
        match statement:
            case ast.ImportFrom(names=names):
                imported |= {alias.asname or alias.name for alias in names}
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                exported |= set(ast.literal_eval(value))
            case _:
                pytest.fail(f"{face.parent.name}/__init__.py:{statement.lineno} is no re-export")
    assert imported == exported


def test_the_architecture_page_shows_the_packages_as_they_are() -> None:
    page = {each.name: each for each in packages.read_table(packages.PAGE.read_text(encoding="utf-8"))}
    code = {each.name: each for each in packages.packages()}
    assert page.keys() == code.keys()
    for name, shown in page.items():
        true = code[name]
        assert (shown.layer, shown.imports) == (true.layer, true.imports), f"{name}: {HINT}"
        assert shown.files == pytest.approx(true.files, rel=DRIFT, abs=2), f"{name}: {HINT}"
        assert shown.lines == pytest.approx(true.lines, rel=DRIFT, abs=100), f"{name}: {HINT}"


def test_the_architecture_page_names_files_that_exist() -> None:
    page = packages.PAGE.read_text(encoding="utf-8")
    for path in re.findall(r"`((?:\w+/)+(?:\w+\.py)?)`", page):
        assert (PACKAGE / path).exists() or (packages.ROOT / path).exists(), path


def test_imports_in_functions_and_for_types_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "PACKAGE", tmp_path / "pytest_qbench")
    (tmp_path / "pytest_qbench" / "gates").mkdir(parents=True)
    (tmp_path / "pytest_qbench" / "gates" / "rule.py").write_text(
        "from pytest_qbench import PACKAGE, items\n"
        "from pytest_qbench.gates.other import x\n"
        "if TYPE_CHECKING:\n    from pytest_qbench.stats.paired import y\n"
        "def f():\n    import pytest_qbench.runs.read\n"
    )
    assert packages.read_package("gates") == packages.Package("gates", 10, 1, 6, ("items", "runs", "stats"))
