"""Other harnesses beside this one, in one table: ``python benchmarks/peers.py [ITEMS [REQUESTS [ROUNDS]]]``.

- ITEMS questions (10,000), text only, for a model that does nothing: what the harness itself costs an item. A harness
  that takes far longer gets a part of them;
- REQUESTS questions (640) with a small JPEG file for a server on loopback that answers at once, 64 requests in flight:
  what it costs to ask, beside the OpenAI client alone.

Every round (3) runs each command once after the other, with all questions and with `FEW`. CPU time is that of the
process and all its children. *start* is the time with `FEW` questions, *each* the difference for one more question; the
ratio is the median of the rounds' ratios to the first row of its part.

A peer gets an environment of its own in a temporary folder, from the package index. lmms-eval asks for 50 packages that
such a run never imports: it borrows those of this environment and gets only what it imports beyond. A peer that cannot
be installed is named and left out.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.endpoint import IN_FLIGHT, serving, write_questions

FEW = 10
SUITE = """
import pytest

@pytest.mark.qbench(task="perception")
def test_perception(qbench_item, qbench_record): ...
"""
PLAIN = """
import json, pytest
ITEMS = json.load(open("items.json"))

@pytest.fixture(scope="session")
def model(): return object()

@pytest.fixture
def record(model): return 1

@pytest.mark.parametrize("item", ITEMS, ids=[item["id"] for item in ITEMS])
def test_item(item, record): ...
"""
EVALS = """
import json, pytest
ITEMS = json.load(open("items.json"))

@pytest.mark.eval(name="questions")
@pytest.mark.parametrize("item", ITEMS, ids=[item["id"] for item in ITEMS])
def test_item(item, eval_bag):
    eval_bag.item, eval_bag.correct = item["id"], item["target"] == "A"

@pytest.mark.eval_analysis(name="questions")
def test_accuracy(eval_results):
    assert len(eval_results) == len(ITEMS) and all(each.result.correct for each in eval_results)
"""
# The mock model of inspect_ai counts tokens with an encoding from the net; bytes stand in for it.
INSPECT = """
import json, sys, tiktoken
class Bytes:
    def encode(self, text, **options): return list(text.encode())
tiktoken.get_encoding = tiktoken.encoding_for_model = lambda *names: Bytes()
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import ChatMessageUser, ContentImage, ContentText, ModelOutput, get_model
from inspect_ai.scorer import choice
from inspect_ai.solver import multiple_choice
items = json.load(open("items.json"))
if sys.argv[1:]:
    model = get_model("openai-api/local/m", base_url=sys.argv[1], api_key="-")
    contents = [[ContentText(text=i["question"]), ContentImage(image=i["image"])] for i in items]
    asked = [[ChatMessageUser(content=content)] for content in contents]
else:
    model = get_model("mockllm/model", custom_outputs=[ModelOutput.from_content("m", "ANSWER: A")] * len(items))
    asked = [i["question"] for i in items]
samples = [Sample(id=i["id"], input=a, choices=i["choices"], target=i["target"]) for i, a in zip(items, asked)]
task = Task(dataset=samples, solver=multiple_choice(), scorer=choice())
(log,) = eval(task, model=model, display="none", max_connections=64, max_samples=64)
assert log.status == "success" and log.results.completed_samples == len(items), str((log.error, log.samples))[:2000]
"""
LMMS_TASK = """
task: questions
dataset_path: json
dataset_kwargs: {data_files: {test: items.json}}
test_split: test
output_type: generate_until
doc_to_visual: !function questions.visual
doc_to_text: !function questions.text
doc_to_target: target
process_results: !function questions.score
generation_kwargs: {max_new_tokens: 16, do_sample: false}
metric_list: [{metric: accuracy, aggregation: mean, higher_is_better: true}]
"""
LMMS_FUNCTIONS = """
from PIL import Image
def visual(doc): return [Image.open(doc["image"]).convert("RGB")]
def text(doc, options=None): return "\\n".join([doc["question"], *doc["choices"]])
def score(doc, replies): return {"accuracy": float(replies[0].strip() == doc["target"])}
"""
LMMS = """
import json, sys
from lmms_eval.evaluator import simple_evaluate
from lmms_eval.loggers import EvaluationTracker
from lmms_eval.tasks import TaskManager
items = len(json.load(open("items.json")))
model, options = "dummy", ""
if sys.argv[1:]:
    model, options = "async_openai", f"model=m,base_url={sys.argv[1]},api_key=-,num_cpus=64"
tracker = EvaluationTracker(output_path="lmms")
tasks = TaskManager(include_path="tasks", include_defaults=False, model_name=model)
found = simple_evaluate(model=model, model_args=options, tasks=["questions"], task_manager=tasks, batch_size=1,
                        evaluation_tracker=tracker)
samples = found.pop("samples")
tracker.save_results_aggregated(results=found, samples=samples, datetime_str="now")
tracker.save_results_samples(task_name="questions", samples=samples["questions"])
assert len(samples["questions"]) == items and found["results"]["questions"]["accuracy,none"] == 1, found["results"]
"""
FILES = {
    "test_suite.py": SUITE,
    "test_plain.py": PLAIN,
    "test_evals.py": EVALS,
    "inspect_run.py": INSPECT,
    "lmms_run.py": LMMS,
    "tasks/questions.yaml": LMMS_TASK,
    "tasks/questions.py": LMMS_FUNCTIONS,
}
PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider")


@dataclass(frozen=True)
class Peer:
    """A harness to compare with: the pinned package, the command after ``python``, and its model that does nothing."""

    package: str
    command: tuple[str, ...]
    model: str
    asks: bool = False  # with the URL of an endpoint as last argument, the command asks that
    more: tuple[str, ...] = ()
    borrows: bool = False  # sees the packages of this environment; only `package` and `more` are installed
    part: int = 1  # without an endpoint it gets one of so many questions


PEERS = (
    Peer(
        "pytest-evals==0.3.4",
        (*PYTEST, "-p", "pytest_harvest.plugin", "-p", "pytest_evals.plugin", "--run-eval", "--run-eval-analysis",
         "test_evals.py"),
        "no model",
    ),
    Peer("inspect-ai==0.3.285", ("inspect_run.py",), "mockllm", asks=True, more=("openai",), part=10),
    Peer(
        "lmms-eval==0.7.3",
        ("lmms_run.py",),
        "dummy",
        asks=True,
        more=(
            "accelerate", "evaluate", "filelock<4", "loguru", "lxml", "portalocker", "psutil", "pytz", "sacrebleu",
            "tabulate", "tenacity",
        ),
        borrows=True,
        part=5,
    ),
)  # fmt: skip


@dataclass
class Row:
    """One command, run in the folder with all questions and in that with few, and its CPU seconds in each."""

    work: str
    name: str
    command: Sequence[str]
    folders: dict[str, Path]
    more: int  # questions that the larger folder has beyond the smaller
    cpu: dict[str, list[float]] = field(default_factory=lambda: {"all": [], "few": []})

    def run(self, size: str) -> None:
        """Run it once and note its CPU seconds. Raises `RuntimeError` with its output if it fails."""
        folder = self.folders[size]
        variables = {
            **os.environ,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # only the plugins that a command needs
            "HF_HOME": str(folder / "hub"),
            "HF_HUB_OFFLINE": "1",
        }
        with (folder / "output.txt").open("w") as output:
            child = subprocess.Popen(self.command, cwd=folder, env=variables, stdout=output, stderr=output)
            _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise RuntimeError(f"{self.name}, {self.work}: {(folder / 'output.txt').read_text()[-2000:]}")
        self.cpu[size].append(used.ru_utime + used.ru_stime)

    def each(self) -> list[float]:
        """Return the CPU microseconds of one more question, by round."""
        return [1e6 * (a - b) / self.more for a, b in zip(self.cpu["all"], self.cpu["few"], strict=True)]


def write(folder: Path, items: int) -> Path:
    """Write the questions, an image file for each, and the files of all harnesses into a folder."""
    write_questions(folder / "data", (320, 240), items)
    questions = folder / "data" / "llvisionqa" / "llvisionqa_dev.json"
    rows = json.loads(questions.read_text())
    images = folder / "data" / "llvisionqa" / "images"
    for i, row in enumerate(rows):
        (images / f"of-{i}.jpg").hardlink_to(images / row["img_path"])
        row["img_path"] = f"of-{i}.jpg"
    questions.write_text(json.dumps(rows))
    own = [{"id": str(i), "question": row["question"], "choices": row["candidates"], "target": "A",
            "image": str(images / row["img_path"])} for i, row in enumerate(rows)]  # fmt: skip
    (folder / "items.json").write_text(json.dumps(own))
    (folder / "tasks").mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder


def environment(base: Path, peer: Peer) -> Path | None:
    """Return the Python of a new environment with a peer; None, and a line, if it cannot be installed."""
    folder = base / peer.package.partition("==")[0]
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    options = []
    if peer.borrows:
        (own,) = (folder / "lib").glob("python*/site-packages")
        (own / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
        options = ["--no-deps"]
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", *options, peer.package, *peer.more]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return python
    print(f"{peer.package} could not be installed: {(done.stderr.strip().splitlines() or ['no reason'])[-1]}")
    return None


def rows_of(base: Path, items: int, requests: int, port: str, peers: Sequence[Peer]) -> list[Row]:
    """Return all rows: this project's first in each part, then the peers that can be installed."""
    idle, asking = "questions for a model that does nothing", "requests with an image"
    own = f"pytest-qbench {version('pytest-qbench')}"
    folders = {n: write(base / f"{n}", n) for n in {FEW, items, requests, *(items // peer.part for peer in peers)}}
    rows = []

    def add(work: str, n: int, name: str, *command: str) -> None:
        rows.append(Row(work, f"{name}: {n:,}", command, {"all": folders[n], "few": folders[FEW]}, n - FEW))

    suite = (sys.executable, *PYTEST, "-p", "pytest_qbench.plugin", "--qbench-data=data", "--qbench-no-gates")
    url = f"http://127.0.0.1:{port}/v1"
    add(idle, items, f"{own}, random:0", *suite, "--qbench-model=random:0", "test_suite.py")
    add(asking, requests, own, *suite, f"--qbench-model=openai:m@{url}", "--qbench-no-cache", "test_suite.py")
    add(idle, items, f"pytest {version('pytest')}, two fixtures", sys.executable, *PYTEST, "test_plain.py")
    raw = (sys.executable, str(ROOT / "benchmarks" / "endpoint.py"), "raw", port, "data", str(requests), "small")
    add(asking, requests, f"openai {version('openai')}, the client alone", *raw)
    for peer in peers:
        if python := environment(base, peer):
            name = peer.package.replace("==", " ")
            add(idle, items // peer.part, f"{name}, {peer.model}", str(python), *peer.command)
            if peer.asks:
                add(asking, requests, name, str(python), *peer.command, url)
    return sorted(rows, key=lambda row: row.work == asking)


def table(rows: Sequence[Row]) -> str:
    """Return the table; the first row of each part is the measure of its others."""
    first: dict[str, Row] = {}
    lines = ["| | start, CPU s | each, CPU us | times ours |", "| --- | ---: | ---: | ---: |"]
    for row in rows:
        if row.work not in first:
            first[row.work] = row
            lines.append(f"| **{row.work}** | | | |")
        ratio = statistics.median(a / b for a, b in zip(row.each(), first[row.work].each(), strict=True))
        start, each = statistics.median(row.cpu["few"]), statistics.median(row.each())
        lines.append(f"| {row.name} | {start:.1f} | {each:,.0f} | {ratio:.2f} |")
    return "\n".join(lines)


def main(items: int = 10_000, requests: int = 640, rounds: int = 3, peers: Sequence[Peer] = PEERS) -> None:
    """Print the table of the rounds so far, after each."""
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {IN_FLIGHT} requests in flight")
    with tempfile.TemporaryDirectory() as place, serving(0.0, 0.0, Path(place)) as port:
        rows = rows_of(Path(place), items, requests, port, peers)
        for number in range(rounds):
            for row in rows:
                for size in row.folders:
                    row.run(size)
            print(f"\nafter round {number + 1} of {rounds}:\n{table(rows)}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
