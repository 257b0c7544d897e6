"""The layout of the package: its root holds four modules, and package faces hold re-exports only."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import pytest_qbench

PACKAGE = Path(pytest_qbench.__file__).parent
FACES = sorted(path for path in PACKAGE.rglob("__init__.py") if path.parent not in (PACKAGE, PACKAGE / "plugin"))


def test_only_four_modules_stand_at_the_root() -> None:
    assert {path.stem for path in PACKAGE.glob("*.py")} == {"__init__", "errors", "items", "prompts", "records"}


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
