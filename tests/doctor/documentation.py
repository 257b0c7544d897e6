"""The table of docs/models.md: ``python -m tests.doctor.documentation`` (`make conformance`) runs all checks and writes it."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from pytest_qbench.doctor.conformance import CHECKS, Check, run_checks
from pytest_qbench.models import parse_spec
from pytest_qbench.models.transformers.model import TransformersModel

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "models.md"
BEGIN, END = "<!-- conformance: make conformance -->", "<!-- end of conformance -->"
COLUMNS = (*CHECKS, "reload offline", "images preprocessed one by one", "images encoded once for several prompts")


def row(name: str, found: Sequence[Check], *, preprocesses_separately: bool) -> str:
    """Return one line of the table. It omits the measured differences, which depend on the machine."""
    (prefetched,) = (check for check in found if check.name == "prefetched batches")
    cells = [check.outcome for check in found]
    cells += ["yes" if preprocesses_separately else "no", "yes" if "encoded once" in prefetched.detail else "no"]
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    from tests.models.checkpoints import ARCHITECTURES, build

    torch.set_num_threads(1)
    lines = [f"| architecture | {' | '.join(COLUMNS)} |", "| --- " * (len(COLUMNS) + 1) + "|"]
    for name in ARCHITECTURES:
        with tempfile.TemporaryDirectory() as folder:
            spec = parse_spec(str(build(name, Path(folder))))
            model = TransformersModel(spec, {})
            apart = model.encoder.preprocesses_separately
            lines.append(
                row(
                    name,
                    list(run_checks(model, lambda spec=spec: TransformersModel(spec, {}))),
                    preprocesses_separately=apart,
                )
            )
            print(lines[-1], file=sys.stderr)
    text = DOCUMENTATION.read_text("utf-8")
    before, rest = text.split(BEGIN)
    table = "\n".join(lines)
    DOCUMENTATION.write_text(f"{before}{BEGIN}\n{table}\n{END}{rest.split(END)[1]}", "utf-8")


if __name__ == "__main__":
    main()
