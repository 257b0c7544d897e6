"""Make a run whose data and replies are full of markup: recorded outputs, compared with a better baseline."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.data.files import png, write

SUITES = Path(__file__).parents[2] / "suites"
ALERT = "<script>alert(1)</script>"
IMAGE = """a"b'c & <img src=x onerror=alert(1)>.png"""
QUESTIONS, PICTURES, LOST = 60, 40, 20


def make(folder: Path) -> Path:
    """Run the suites twice. Return the folder with `run`, `p.html`, `s.md`, `j.xml` and `out`."""
    for suite in SUITES.glob("test_*.py"):
        (folder / suite.name).write_text(suite.read_text())
    data, options = folder / "data", ["Yes", "No <b>bold</b>"]
    names = [IMAGE, *(f"{i}.png" for i in range(1, QUESTIONS))]
    asked = [
        {"img_path": n, "question": f"Is it sharp {i}? | `{ALERT}", "type": i % 3, "concern": i % 4, "candidates": options, "correct_ans": "Yes"}
        for i, n in enumerate(names)
    ]  # fmt: skip
    write(data / "llvisionqa" / "llvisionqa_dev.json", asked)
    for name in names[:3]:
        write(data / "llvisionqa" / "images" / name, png())
    pictures = [{"img_path": f"p{i}.png", "gt_score": float(i)} for i in range(PICTURES)]
    write(data / "iqa" / "koniq.json", pictures)
    for which in ("good", "bad"):
        replies = ["Yes" if which == "good" or i >= LOST else "No <b>bold</b>" for i in range(QUESTIONS)]
        if which == "bad":
            replies[LOST] = ALERT
        answers = [{"img_path": a["img_path"], "question": a["question"], "response": r} for a, r in zip(asked, replies, strict=True)]  # fmt: skip
        scores = [{**p, "logit_good": p["gt_score"] / 40 * (i != 5 or which == "good"), "logit_poor": 0.0} for i, p in enumerate(pictures)]  # fmt: skip
        write(folder / which / "llvisionqa_dev.json", answers)
        write(folder / which / "koniq.json", scores)
    common = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--qbench-data=data", "--qbench-baseline=good"]
    first = [*common, "--qbench-model=replay:good", "--qbench-update-baseline", "--qbench-run-dir=before"]
    done = subprocess.run(first, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    reports = ["--qbench-run-dir=run", "--qbench-html=p.html", "--qbench-md=s.md", "--junitxml=j.xml"]
    second = [*common, "--qbench-model=replay:bad", *reports]
    done = subprocess.run(second, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    (folder / "out").write_text(done.stdout)
    (folder / "both.json").write_text(json.dumps(sorted(p.name for p in (folder / "run").iterdir())))
    return folder
