"""Print a Markdown table of the packages: layer, files, lines, imports. `--write` puts it into docs/architecture.md."""

from __future__ import annotations

import argparse
import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pytest_qbench"
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- packages: `make architecture` writes this table -->\n", "<!-- end of packages -->\n"


@dataclass(frozen=True)
class Package:
    """A package or module directly below `pytest_qbench`. `imports` includes those in functions and under TYPE_CHECKING."""

    name: str
    layer: int
    files: int
    lines: int
    imports: tuple[str, ...]


def packages() -> list[Package]:
    """Return the packages by layer, the highest first."""
    return sorted(map(read_package, layers()), key=lambda package: (-package.layer, package.name))


@cache
def layers() -> dict[str, int]:
    """Return the layer of every package from the import contract in pyproject.toml, 1 for the lowest."""
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (stated,) = (contract["layers"] for contract in configuration["contracts"] if contract["type"] == "layers")
    return {name: i for i, layer in enumerate(reversed(stated), 1) for name in re.findall(r"\w+", layer)}


def read_package(name: str) -> Package:
    """Return the numbers and imports of one package."""
    files = sorted((PACKAGE / name).rglob("*.py")) or [PACKAGE / f"{name}.py"]
    texts = [file.read_text(encoding="utf-8") for file in files]
    imported = {each for text in texts for each in _imported(ast.parse(text))} - {name}
    return Package(name, layers()[name], len(files), sum(text.count("\n") for text in texts), tuple(sorted(imported)))


def _imported(tree: ast.AST) -> Iterator[str]:
    """Yield the packages of all absolute imports, also in functions and under TYPE_CHECKING."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            root, _, inside = name.partition(".")
            package = inside.partition(".")[0]
            if root == PACKAGE.name and package in layers():
                yield package


def table(found: list[Package]) -> str:
    """Return the Markdown table."""
    rows = [
        f"| `{p.name}` | {p.layer} | {p.files} | {p.lines:,} | {', '.join(p.imports) or 'nothing'} |\n" for p in found
    ]
    return "".join(["| package | layer | files | lines | imports |\n", "| --- | --- | --- | --- | --- |\n", *rows])


def read_table(page: str) -> list[Package]:
    """Return the packages in the table of a page."""
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) \| ([\d,]+) \| (.+) \|$", page, re.M)
    return [
        Package(name, int(layer), int(files), int(lines.replace(",", "")),
                () if imports == "nothing" else tuple(imports.split(", ")))
        for name, layer, files, lines, imports in rows
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the table into docs/architecture.md")
    made = table(packages())
    if not parser.parse_args().write:
        print(made, end="")
        return
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    PAGE.write_text(before + BEGIN + "\n" + made + "\n" + END + rest.split(END)[1], encoding="utf-8")


if __name__ == "__main__":
    main()
