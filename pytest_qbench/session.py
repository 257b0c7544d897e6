"""What one pytest process knows of a run: settings, data, the plan, the engine, the records that arrived."""

from __future__ import annotations

import platform
import re
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_qbench.access import is_controller, is_worker, worker_id
from pytest_qbench.errors import UsageError
from pytest_qbench.garbage import growing
from pytest_qbench.measuring import Measuring
from pytest_qbench.options import in_use
from pytest_qbench.remote import Remote
from pytest_qbench.settings import Settings, read_settings

if TYPE_CHECKING:
    from pytest_qbench.baselines import Baseline
    from pytest_qbench.gates import GateResult
    from pytest_qbench.items import Dataset, Item, Task
    from pytest_qbench.judges.base import Judge
    from pytest_qbench.metrics import Metric
    from pytest_qbench.models.asking import Asking
    from pytest_qbench.models.base import Model
    from pytest_qbench.models.engine import Engine
    from pytest_qbench.models.specs import ModelSpec
    from pytest_qbench.prompts import AnswerMode
    from pytest_qbench.records import Record
    from pytest_qbench.report.finished import Finished
    from pytest_qbench.results import Results
    from pytest_qbench.runfolder import RunFolder
    from pytest_qbench.scoring import Scoring

PLANNED_BATCH = 16  # chunks are whole multiples of it where memory decides on the batch: known without a model
CHUNK_BATCHES = 4  # a chunk is what a worker gets at once: some batches, so that lengths can be sorted within it


@dataclass
class QBench:
    """State of a run in one process.

    A worker fills `asked`, `gate_ids`, `problem` and `made_with` and hands them over as it ends; the controller takes
    them over, collects the records and runs the gates. Alone, one process does both.
    """

    config: pytest.Config
    asked: dict[Task, None] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)
    ordinary: set[str] = field(default_factory=set)
    problem: str | None = None
    gate_ids: list[str] = field(default_factory=list)
    gates_only: bool = False
    made_with: dict[str, Any] = field(default_factory=dict)
    noise: dict[str, Any] | None = None
    records: dict[tuple[str, str], Record] = field(default_factory=dict)
    gates: list[GateResult] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    gates_passed: int = 0
    own_judge: bool = False
    family: int = 1
    notes: list[str] = field(default_factory=list)
    submissions: list[str] = field(default_factory=list)
    baseline_written: Path | None = None
    changes: list[str] = field(default_factory=list)
    finished: Finished | None = None
    replayed: int = 0
    spread: Mapping[str, Any] = field(default_factory=dict)
    _folder: RunFolder | None = None
    began: float = field(default_factory=time.time)

    @cached_property
    def settings(self) -> Settings:
        """The options."""
        return read_settings(self.config)

    def check_command_line(self) -> None:
        """Check what was typed, before anything is collected; raises `pytest.UsageError`."""
        try:
            if self.settings.model is not None:
                _ = self.spec
            if self.settings.ray is not None:
                from pytest_qbench.fleet import check

                distributed = self.config.getoption("dist", "no") != "no"
                check(self.settings.ray, self.spec, self.model_args, distributed=distributed)
        except UsageError as e:
            raise pytest.UsageError(str(e)) from e

    # model and data, as named

    @cached_property
    def spec(self) -> ModelSpec | None:
        """The model named, checked without loading it; None when a conftest overrides `qbench_model`."""
        from pytest_qbench.models import check, check_args, parse_model_args, parse_spec

        args = parse_model_args(self.settings.model_args)
        if self.settings.model is None:
            return None
        spec = parse_spec(self.settings.model)
        check(spec)
        check_args(spec, args)
        return spec

    @property
    def model_args(self) -> dict[str, str]:
        """The model arguments: those of the alias, overridden by what was typed."""
        from pytest_qbench.models import parse_model_args

        return {**(self.spec.args if self.spec else {}), **parse_model_args(self.settings.model_args)}

    @property
    def answer(self) -> AnswerMode:
        """How perception items are answered: the option, else the alias, else by generation."""
        return self.settings.answer or (self.spec.answer if self.spec else None) or "generate"

    @cached_property
    def scoring(self) -> Scoring:
        """How quality scores are made and correlated, by --qbench-protocol."""
        from pytest_qbench.models.specs import paper_words
        from pytest_qbench.scoring import DEFAULT, PAPER_TEMPERATURE, Scoring

        paper = self.settings.protocol == "paper"
        return Scoring(paper_words(self.spec), PAPER_TEMPERATURE, halves=True) if paper else DEFAULT

    @property
    def asking(self) -> Asking:
        """How items are asked."""
        from pytest_qbench.models.asking import Asking

        return Asking(self.answer, self.settings.blind, self.scoring.words)

    @property
    def batch_size(self) -> int | None:
        """Items of a batch: as the user says, or what keeps an endpoint's slots filled; None: the model's choice."""
        return self.settings.batch_size or self.remote.batch_size(self.spec)

    @cached_property
    def remote(self) -> Remote:
        """The endpoints of this process."""
        return Remote(self.config, lambda: self.settings)

    @property
    def planned_batch(self) -> int:
        """The batch that chunks are planned by."""
        return self.batch_size or PLANNED_BATCH

    @property
    def chunk_size(self) -> int:
        """Items that a worker gets at once. A function of the options alone: it decides which items share a batch."""
        return CHUNK_BATCHES * self.planned_batch

    @cached_property
    def datasets(self) -> list[Dataset]:
        """The selected data."""
        from pytest_qbench.data import open_datasets, select

        s = self.settings
        with growing():
            found = open_datasets(s.data, rootdir=s.rootdir, names=s.datasets, split=s.split)
        selected = select(found, limit=s.limit, seed=s.seed)
        if s.shard is None:
            return selected
        from pytest_qbench.shards import take_shard

        return take_shard(selected, *s.shard)

    def ask(self, task: Task) -> list[Item]:
        """Note that a suite asks for `task` and return its items."""
        self.asked[task] = None
        return [item for dataset in self.datasets if dataset.task == task for item in dataset.items]

    @property
    def needs_judge(self) -> bool:
        """Tell whether a description will be judged, or a reply that extraction leaves unparsed."""
        judged = {"description", *(["perception"] if self.settings.judge_unparsed else [])}
        return any(d.task in self.asked and d.task in judged for d in self.datasets)

    @property
    def judge_spec(self) -> str:
        """The judge named; the embedded one stands in on the embedded data only."""
        from pytest_qbench.data import MINI

        if self.settings.judge is None and self.settings.data != MINI:
            raise UsageError(
                "descriptions need a judge: add --qbench-judge=SPEC (lexicon is embedded, but only a smoke judge)"
            )
        return self.settings.judge or "lexicon"

    def check_collected(self) -> None:
        """Raise `UsageError` for what no item of this collection could survive."""
        from pytest_qbench.data import check_images
        from pytest_qbench.judges import check_judge

        if not any(d.task in self.asked for d in self.datasets):
            raise UsageError(f"--qbench-data={self.settings.data}: no items for {', '.join(self.asked)}")
        if self.needs_judge and not self.own_judge:
            s = self.settings
            check_judge(self.judge_spec, s.judge_args, s.judge_prompts, s.judge_unparsed)
        if self.spec is None or self.spec.kind in ("transformers", "openai"):
            check_images([d for d in self.datasets if d.task in self.asked])

    # measuring

    @cached_property
    def measuring(self) -> Measuring:
        """What measures the items of this process."""
        return Measuring(lambda: self.folder, self.known)

    def known(self, key: tuple[str, str]) -> Record | None:
        """Return the record of an item that was measured before; a worker looks it up in the run folder."""
        return self.folder.find(key) if is_worker(self.config) else self.records.get(key)

    def make_engine(self, model: Model, judge: Callable[[], Judge]) -> Engine:
        """Build the engine around a loaded model and note what the records are made with."""
        from pytest_qbench.models.base import Probed, Sends
        from pytest_qbench.models.engine import Engine
        from pytest_qbench.models.replay import ReplayModel

        if isinstance(model, Probed):
            model.probe(self.asked, self.answer, self.scoring.words)
            if model.conditions and "assessment" in self.asked:
                self.made_with["conditions"] = {"scoring": {**self.scoring.describe(), **model.conditions}}
        self.remote.meter("model", model)

        self.made_with["model"] = {"name": model.name, **model.describe()}
        self.made_with["machine"] = model.machine if isinstance(model, Sends) else platform.machine()
        if isinstance(model, Sends):
            self.spread = model.report
        elif self.settings.ray is not None:
            raise UsageError("--qbench-ray: this project's own qbench_model stays in this process; drop --qbench-ray")
        if isinstance(model, ReplayModel):
            blind = model.conditions.get("blind", self.settings.blind)
            if blind is not self.settings.blind:
                remedy = "add" if blind else "drop"
                raise UsageError(f"{model.name} was recorded {'blind' if blind else 'seeing'}: {remedy} --qbench-blind")
            self.made_with["conditions"] = model.conditions
            self.made_with["left_out"] = [(e.dataset, e.entry, e.reason) for e in model.left_out]

        self._note_made_with()
        made: list[Judge] = []

        def noted() -> Judge:
            if not made:
                made.append(self._tried(judge()))
            return made[0]

        if self.settings.judge_unparsed and "perception" in self.asked:
            noted()  # it is part of the conditions, also of a run in which every reply is parsed
        return Engine(
            model, answer=self.answer, batch_size=self.batch_size, blind=self.settings.blind,
            judge_rounds=self.settings.judge_rounds, judge=noted, scoring=self.scoring,
            decides=self.settings.judge_unparsed,
        )  # fmt: skip

    def _tried(self, judge: Judge) -> Judge:
        """Note what identifies a judge, and let it judge the control set before any description."""
        from pytest_qbench.judges.base import Decides
        from pytest_qbench.judges.control import run_control
        from pytest_qbench.judges.rubric import RubricJudge

        if self.settings.judge_unparsed and not isinstance(judge, Decides):
            raise UsageError(
                f"--qbench-judge-unparsed: {judge.name} cannot read replies; name a language model as judge"
            )
        self.remote.meter("judge", judge.voter if isinstance(judge, RubricJudge) else judge)
        self.made_with["judge"] = {"name": judge.name, **judge.describe()}
        self._note_made_with()
        if "description" in self.asked and not self.own_judge:  # what one's own judge gives golden texts is its affair
            control = run_control(judge, self.ask("description"), self.settings.judge_rounds)
            self.made_with["judge_control"] = control
            self.folder.note_made_with({"judge_control": control})  # not compared: judges waver
        return judge

    def _note_made_with(self) -> None:
        """Have the run folder know what makes the records; the batch size may change as memory runs out."""
        self.folder.check_made_with(
            {k: v for k, v in self.made_with.items() if k not in ("batch_size", "judge_control")}
        )

    def measure_noise(self, engine: Engine) -> None:
        """Measure some items once more, otherwise, for the noise floor of a baseline: one process, at its end."""
        if self.settings.update_baseline and worker_id(self.config) in (None, "gw0"):
            from pytest_qbench.noise import measure_otherwise

            # The tasks that record probabilities: texts have no drift.
            tasks = [t for t in self.asked if t == "assessment" or (t == "perception" and self.answer == "likelihood")]
            self.noise = measure_otherwise(engine, [item for task in tasks for item in self.ask(task)])

    # across processes

    def handover(self) -> dict[str, Any]:
        """What a worker knows that its reports do not carry; plain values."""
        return {
            "asked": list(self.asked),
            "gate_ids": self.gate_ids,
            "problem": self.problem,
            "made_with": self.made_with,
            "noise": self.noise,
            "usage": self.remote.usage,
        }

    def take_over(self, output: dict[str, Any]) -> list[str]:
        """Take in what a worker handed over; return the node ids of its gates."""
        self.asked.update(dict.fromkeys(output["asked"]))
        self.problem = self.problem or output["problem"]
        control = self.made_with.get("judge_control") or {}
        self.made_with.update(output["made_with"])
        if control.get("failed"):  # a judge that failed in one process is not made good by another
            self.made_with["judge_control"] = control
        self.noise = self.noise or output["noise"]
        self.remote.take_over(output["usage"])
        return list(output["gate_ids"])

    # collecting records (alone, or on the controller)

    def open_folder(self) -> None:
        """Make the run folder before anything is measured; raises `pytest.UsageError`."""
        s = self.settings
        try:
            for option, path in s.reports.items():
                if not path.parent.is_dir():
                    raise UsageError(f"{option}={path}: no folder {path.parent}")
                if path.is_dir():
                    raise UsageError(f"{option}={path}: is a folder; name a file")
            if s.update_baseline and s.baseline_dir.exists() and not s.baseline_dir.is_dir():
                raise UsageError(f"--qbench-baseline-dir={s.baseline_dir}: is not a folder")
            # A controller collects nothing: it makes the folder that its workers may come to need.
            if self.problem is None and (self.asked or (is_controller(self.config) and in_use(self.config))):
                _ = self.folder
        except UsageError as e:
            raise pytest.UsageError(str(e)) from e

    def note(self, kind: str, nodeid: str, when: str, outcome: str) -> None:
        """Remember an item or a gate that failed, for whatever reason, and count the gates that passed."""
        if outcome == "failed":
            self.failed.append(nodeid)
        elif kind == "gate" and when == "call" and outcome == "passed":
            self.gates_passed += 1

    @property
    def folder(self) -> RunFolder:
        """The run folder; on a worker the one that its controller began."""
        if self._folder is None:
            from pytest_qbench.conditions import conditions
            from pytest_qbench.runfolder import RunFolder

            if is_worker(self.config):
                self._folder = RunFolder.join(Path(self.config.workerinput["qbench_folder"]))  # type: ignore[attr-defined]
                return self._folder
            self._folder = RunFolder.begin(self.folder_path, conditions(self), resume=self.settings.resume)
            if self.settings.run_dir is None:
                (self._runs.parent / ".gitignore").write_text("*\n", encoding="utf-8")
            self.read_records()
            self.replayed = len(self.records)
        return self._folder

    @property
    def _runs(self) -> Path:
        return self.settings.rootdir / ".qbench" / "runs"

    @cached_property
    def folder_path(self) -> Path:
        """Where the run folder is, or will be."""
        if self.settings.run_dir:
            return self.settings.run_dir
        if self.settings.resume:
            from pytest_qbench.journal import JOURNAL

            if not (begun := sorted(path.parent for path in self._runs.glob(f"*/{JOURNAL}"))):
                raise UsageError(f"--qbench-resume: no run in {self._runs}; name the folder with --qbench-run-dir=DIR")
            return begun[-1]
        return self._runs / f"{datetime.now():%Y%m%d-%H%M%S-%f}-{self.spec.name if self.spec else 'model'}"

    def read_records(self) -> None:
        """Take in the records written since the last call, by any process; the last of an item counts."""
        for record in self.folder.news():
            self.__dict__.pop("results", None)
            self.records[record.task, record.item] = record

    def take_in(self, key: tuple[str, str]) -> None:
        """Take in the record that a report is about: it crossed in the run folder."""
        if key not in self.records:
            self.read_records()

    def end(self) -> None:
        """Take in what was measured but not reported, of a run that was stopped say."""
        if self._folder is not None:
            self.read_records()
            self._folder.settle(self.records.values())
        self.asked = self.asked or dict.fromkeys(record.task for record in self.records.values())

    def discard_folder(self) -> None:
        """Remove the run folder of a run that measured nothing."""
        if self._folder is not None:
            self._folder.discard()

    @cached_property
    def results(self) -> Results:
        """The records beside what was expected; asked for by gates, after the last item."""
        from pytest_qbench.fingerprint import fingerprint
        from pytest_qbench.items import LeftOut
        from pytest_qbench.results import Results

        expected: dict[tuple[str, str], Item] = {(t, item.id): item for t in self.asked for item in self.ask(t)}
        left_out = tuple(entry for d in self.datasets if d.task in self.asked for entry in d.left_out)
        made_with = {**self.folder.journal.made_with, **self.made_with}
        left_out += tuple(LeftOut(*entry) for entry in made_with.pop("left_out", ()))
        recorded = made_with.pop("conditions", {})  # of the run that is replayed
        return Results(
            [self.records[key] for key in expected if key in self.records],
            expected,
            fingerprint(
                scoring=self.scoring, answer=self.answer, blind=self.settings.blind, judge=made_with.pop("judge", None),
                judge_rounds=self.settings.judge_rounds, unparsed=self.settings.judge_unparsed,
                model=made_with.pop("model", {}), data=self.settings.data,
                selection=self.selection,
                **made_with,
            )
            | recorded,
            left_out,
            frozenset(task for task in self.asked if not any(task == t for t, _ in expected)),
            narrowed=self.settings.limit is not None or self.settings.datasets is not None,
        )  # fmt: skip

    @property
    def selection(self) -> dict[str, Any]:
        """Which items of the data this run selects."""
        s = self.settings
        return {
            "datasets": list(s.datasets) if s.datasets else None,
            "split": s.split,
            "limit": s.limit,
            "seed": s.seed,
            **({"shard": list(s.shard)} if s.shard else {}),
        }

    @property
    def baseline_name(self) -> str:
        """Name of the baseline to compare with."""
        if self.settings.baseline or self.spec:
            return self.settings.baseline or (self.spec.name if self.spec else "")
        return re.sub(r"[^\w.-]+", "-", str(self.made_with.get("model", {}).get("name") or "model"))

    @cached_property
    def baseline(self) -> Baseline | str:
        """The stored baseline, or the reason why there is none to compare with."""
        from pytest_qbench.baselines import find_baseline, read_baseline

        try:
            path = find_baseline(self.settings.baseline_dir, self.baseline_name)
        except UsageError as e:
            return str(e)
        if path is None:
            missing = f"no baseline {self.baseline_name!r} in {self.settings.baseline_dir.name}/"
            if self.not_gated or self.settings.update_baseline:
                return missing
            return f"{missing}; accept this model with: pytest {self.command} --qbench-update-baseline"
        try:
            return read_baseline(path)
        except UsageError as e:
            return str(e)

    @property
    def command(self) -> str:
        """The arguments of this run, as one would type them again: without the folder that this run wrote to."""
        arguments, kept = list(map(str, self.config.invocation_params.args)), []
        while arguments:
            argument = arguments.pop(0)
            if argument == "--qbench-run-dir":
                arguments[:1] = []
            elif not argument.startswith("--qbench-run-dir="):
                kept.append(argument)
        return shlex.join(kept)

    def gate(self, name: str, results: Results, baseline: Baseline | str, share: float, **bounds: Any) -> GateResult:
        """Judge one gate, with its `share` of its test's alpha, and keep the result for the summary."""
        from pytest_qbench.gates import Limits, evaluate

        s = self.settings
        limits = Limits(s.max_errors, s.max_unparsed, self.family / share, s.seed)
        result = evaluate(name, results, baseline, limits, **bounds)
        self.gates.append(result)
        return result

    @cached_property
    def drifts(self) -> list[tuple[Metric, bool]]:
        """How far probabilities moved from the baseline's, by dataset, and whether that is more than noise."""
        from pytest_qbench.comparison import drifts

        return [] if isinstance(self.baseline, str) else drifts(self.results, self.baseline)

    @property
    def made_otherwise(self) -> list[str]:
        """What differs from how the baseline was made, and forbids no comparison."""
        from pytest_qbench.fingerprint import reported

        return [] if isinstance(self.baseline, str) else reported(self.baseline.fingerprint, self.results.fingerprint)

    @property
    def not_gated(self) -> str | None:
        """Why this run decides nothing, or None."""
        if self.settings.shard:
            part, parts = self.settings.shard
            return f"shard {part} of {parts}: join the run folders with qbench merge, then judge with qbench compare"
        if self.settings.blind:
            return "a blind run decides nothing"
        if not self.settings.gates:
            return "--qbench-no-gates"
        return None

    def outcome(self, result: GateResult) -> str:
        """What a gate's test ends in: pass, fail, inconclusive or not gated."""
        s = self.settings
        if self.not_gated or result.nothing:
            return "not gated"
        if result.verdict == "regressed":
            return "pass" if s.accept_regression else "fail"
        if result.verdict == "invalid":
            # A missing or incompatible old baseline is no ground to refuse a new one; anything else invalid is.
            return "pass" if s.update_baseline and result.incomparable else "fail"
        if result.verdict == "inconclusive":
            return "fail" if s.strict else "inconclusive"
        return "pass"
