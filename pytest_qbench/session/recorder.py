"""What measures a run's items in one process, and the records that arrived."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_qbench.errors import UsageError
from pytest_qbench.session.measure import Measuring
from pytest_qbench.session.options import in_use
from pytest_qbench.session.request import Asked
from pytest_qbench.session.workers import is_controller, is_worker, worker_id

if TYPE_CHECKING:
    from pytest_qbench.engine.engine import Engine
    from pytest_qbench.judges.base import Judge
    from pytest_qbench.models.base import Model
    from pytest_qbench.records import Record
    from pytest_qbench.runs.folder import RunFolder


@dataclass
class Recording(Asked):
    """The engine, the run folder and the records of a run.

    `made_with` says what makes the records, `noise` what a second measurement moved, `problem` why the run cannot work.
    """

    problem: str | None = None
    made_with: dict[str, Any] = field(default_factory=dict)
    noise: dict[str, Any] | None = None
    records: dict[tuple[str, str], Record] = field(default_factory=dict)
    replayed: int = 0
    spread: Mapping[str, Any] = field(default_factory=dict)
    _folder: RunFolder | None = None

    @cached_property
    def measuring(self) -> Measuring:
        """What measures the items of this process."""
        return Measuring(lambda: self.folder, self.known)

    def known(self, key: tuple[str, str]) -> Record | None:
        """Return the record of an item that was measured before; a worker looks it up in the run folder."""
        return self.folder.find(key) if is_worker(self.config) else self.records.get(key)

    def make_engine(self, model: Model, judge: Callable[[], Judge]) -> Engine:
        """Build the engine around a loaded model and note what the records are made with."""
        from pytest_qbench.engine.engine import Engine
        from pytest_qbench.models.base import Probed, Sends
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
        from pytest_qbench.judges.control_set import run_control
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
            from pytest_qbench.session.noise_floor import measure_otherwise

            # The tasks that record probabilities: texts have no drift.
            tasks = [t for t in self.asked if t == "assessment" or (t == "perception" and self.answer == "likelihood")]
            self.noise = measure_otherwise(engine, [item for task in tasks for item in self.ask(task)])

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

    @property
    def folder(self) -> RunFolder:
        """The run folder; on a worker the one that its controller began."""
        if self._folder is None:
            from pytest_qbench.runs.folder import RunFolder
            from pytest_qbench.session.resume import conditions

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
            from pytest_qbench.runs.journal import JOURNAL

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
