"""Make the pictures of the documentation from a real run: the embedded model with noise added to its weights, which regresses.

    python tools/pictures.py [--run=FOLDER]
    python tools/pictures.py --why=FILE

writes docs/page.png, docs/phone.png and docs/terminal.png. Needs the extra `dev` and Chromium; the run takes a minute.
With --run=FOLDER a finished run is drawn instead. With --why=FILE, the output of `qbench why --json`, only docs/why.png is written.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_qbench.report.finished_run import FinishedRun, read_finished
from pytest_qbench.report.headline import tone_of, word_of
from pytest_qbench.report.markup import joined, tag
from pytest_qbench.report.page import page
from pytest_qbench.report.terminal import COLOURS, Line, section

ROOT = Path(__file__).parents[1]
NOISE = 0.2  # in standard deviations of each weight tensor
WIDTH = 92  # columns of the terminal
STYLE = """
body { margin: 0; padding: 14px 18px; background: #16191d; color: #d7dae0; font: 14px/1.45 monospace; display: inline-block; }
.bold { font-weight: 700; } .red { color: #ff7b72; } .green { color: #56c288; } .yellow { color: #e3b341; }
"""


def make_perturbed_copy(folder: Path) -> Path:
    """Return a copy of the embedded model with noise added to its weights."""
    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(ROOT / "pytest_qbench" / "tiny", folder)
    torch.manual_seed(0)
    for path in folder.glob("*.safetensors"):
        noisy = {}
        for name, weight in load_file(path).items():
            if weight.is_floating_point() and weight.numel() > 1:
                values = weight.float()
                weight = (values + NOISE * values.std() * torch.randn_like(values)).to(weight.dtype)
            noisy[name] = weight
        save_file(noisy, path, metadata={"format": "pt"})
    return folder


def measure(folder: Path) -> Path:
    """Run the perturbed model against the embedded baseline and return the run folder."""
    model = make_perturbed_copy(folder / "my-vlm")
    options = [f"--qbench-model={model}", "--qbench-baseline=tiny", "--qbench-answer=likelihood"]
    command = [sys.executable, "-m", "pytest", "suites", *options, f"--qbench-run-dir={folder / 'run'}"]
    done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode != 1:
        raise SystemExit(f"pytest ended in {done.returncode}; the pictures show a run that regresses, which ends in 1")
    return folder / "run"


def terminal(run: FinishedRun) -> str:
    """Return the final section of the terminal output as HTML."""
    word = word_of(run)
    title = f" Q-Bench: {word} ".center(WIDTH, "=")
    place, run = f"{run.folder.parent}/", replace(run, folder=Path(".qbench/runs/my-vlm"))
    lines: Iterable[Line] = [Line(title, ("bold", COLOURS[tone_of(word)])), *section(run, WIDTH)]
    rows = (tag("span", line.text.replace(place, "") + "\n", class_=" ".join(line.marks) or None) for line in lines)
    return f"<!DOCTYPE html><meta charset=utf-8><style>{STYLE}</style><pre>{joined(*rows)}</pre>"


def draw(run: FinishedRun, folder: Path) -> None:
    """Write the pictures."""
    from playwright.sync_api import sync_playwright

    (folder / "page.html").write_text(page(run), encoding="utf-8")
    (folder / "terminal.html").write_text(terminal(run), encoding="utf-8")
    looks: list[tuple[str, str, dict[str, Any]]] = [
        ("page", "page", {"viewport": {"width": 1280, "height": 1180}}),
        (
            "page",
            "phone",
            {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "device_scale_factor": 2},
        ),
        ("terminal", "terminal", {"viewport": {"width": 900, "height": 400}}),
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for source, name, look in looks:
            tab = browser.new_context(**look).new_page()
            tab.goto((folder / f"{source}.html").as_uri())
            target = tab.locator("body") if source == "terminal" else tab
            target.screenshot(path=ROOT / "docs" / f"{name}.png")
        browser.close()


def draw_why(file: Path, folder: Path) -> None:
    """Write the picture of an explanation."""
    from playwright.sync_api import sync_playwright

    from pytest_qbench.report.why_page import why_page
    from pytest_qbench.runs.explanation import Explanation

    (folder / "why.html").write_text(
        why_page(Explanation.from_json(json.loads(file.read_text("utf-8")))), encoding="utf-8"
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_context(viewport={"width": 1100, "height": 1000}).new_page()
        tab.goto((folder / "why.html").as_uri())
        tab.locator("#why").screenshot(path=ROOT / "docs" / "why.png")
        browser.close()


def main() -> None:
    """Draw a finished run, or a new one if none is named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", type=Path, help="a finished run to draw")
    parser.add_argument("--why", type=Path, help="an explanation to draw instead")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.why:
            draw_why(arguments.why, Path(folder))
            return
        run = arguments.run or measure(Path(folder))
        draw(read_finished(run), Path(folder))


if __name__ == "__main__":
    main()
