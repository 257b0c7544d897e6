"""`Recorder`, the records of a run and the folder to which they are written."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_qbench.errors import UsageError
from pytest_qbench.items import Item, Task
from pytest_qbench.metrics.noise_floor import SecondMeasurement
from pytest_qbench.records import Key, Record
from pytest_qbench.runs.conditions import conditions_hash
from pytest_qbench.runs.journal import JOURNAL
from pytest_qbench.runs.made_with import MadeWith
from pytest_qbench.runs.run_folder import RunFolder
from pytest_qbench.session.chunk_measurer import Measurer
from pytest_qbench.session.fingerprint import run_fingerprint
from pytest_qbench.session.pictures import changed_pictures
from pytest_qbench.session.process_role import ProcessRole
from pytest_qbench.session.request import RunRequest
from pytest_qbench.session.resume_settings import resume_settings
from pytest_qbench.untrusted.files import write_text

if TYPE_CHECKING:
    from pytest_qbench.session.pace_of_last_run import Pace


@dataclass
class Recorder:
    """The run folder with its records, model and judge, as known to one process.

    - `second` is the second measurement of a new baseline (see `noise_floor`).
    - `resumed` is the number of records that an earlier run had written.
    - `version` is a number that grows with every record read.
    - `is_verified` says that the model was compared with the model of the earlier records.
    - `skipped` are the items whose tests were skipped. They do not count, even if their chunk was measured.
    """

    request: RunRequest
    role: ProcessRole
    made_with: MadeWith = field(default_factory=MadeWith)
    second: SecondMeasurement | None = None
    records: dict[Key, Record] = field(default_factory=dict)
    resumed: int = 0
    version: int = 0
    is_verified: bool = False
    skipped: set[Key] = field(default_factory=set)
    _folder: RunFolder | None = None
    _conditions: Mapping[str, str | None] = field(default_factory=dict)

    @cached_property
    def measurer(self) -> Measurer:
        """The measurer of this process's items."""
        return Measurer(
            lambda: self.folder,
            self.find,
            lambda: self.is_verified or not self.has_earlier_records,
            lambda task: self._conditions.get(task),
        )

    def find(self, key: Key) -> Record | None:
        """Return the earlier record of an item, or None. A worker looks it up in the run folder."""
        return self.folder.find(key) if self.role.is_worker else self.records.get(key)

    def note_made_with(self) -> None:
        """Write model and judge to the run folder. Raises `UsageError` if earlier records have others."""
        self.folder.check_made_with(self.made_with.identity())
        self._conditions = {task: self._conditions_of(task) for task in self.request.tasks}
        self.folder.check_conditions(self._conditions)
        self.is_verified = True

    def _conditions_of(self, task: Task) -> str | None:
        """Return the conditions hash of a task, None while it depends on a judge that is not loaded yet."""
        judged = task == "description" or (task == "perception" and self.request.settings.judge_unparsed)
        if judged and self.made_with.judge is None:
            return None
        return conditions_hash(task, run_fingerprint(self.request, self.made_with))

    def note_judge_control(self) -> None:
        """Write the judge's control scores to the run folder. They vary from run to run, so they are not compared."""
        self.folder.note_made_with({"judge_control": self.made_with.judge_control})

    def note_batch_size(self, size: int) -> None:
        """Write the batch size if it is new, for a run that is resumed when all items have been measured."""
        if self.made_with.batch_size != size:
            self.made_with.batch_size = size
            self.folder.note_made_with({"batch_size": size})

    def note_prompt_change(self, altered: dict[str, dict[str, Any]]) -> None:
        """Write how the project changes prompts, as soon as that is seen."""
        self.made_with.altered = altered
        self.folder.note_made_with({"altered": altered})

    @property
    def all_made_with(self) -> MadeWith:
        """Model, judge and machine of all records, including those of earlier runs in this folder."""
        made_with = MadeWith.from_json(self.folder.journal.made_with)
        made_with.add(self.made_with)
        return made_with

    @property
    def has_earlier_records(self) -> bool:
        """Whether the folder contained records when this process opened it: of a resumed run, or of a dead worker."""
        return self.folder.has_earlier_records

    @property
    def folder(self) -> RunFolder:
        """The run folder, opened on first access. A worker joins the folder of its controller."""
        if self._folder is None:
            if self.role.run_folder is not None:
                self._folder = RunFolder.join(Path(self.role.run_folder))
                return self._folder
            settings = self.request.settings
            self._folder = RunFolder.begin(self.folder_path, resume_settings(self.request), resume=settings.resume)
            if settings.run_dir is None:
                self._ignore_runs()
            self.read_records()
            self.resumed = len(self.records)
            self._check_pictures()
        return self._folder

    def _check_pictures(self) -> None:
        """Raise `UsageError` if images have changed since their items were measured."""
        if not self.records or self.request.settings.blind:
            return
        items: dict[Key, Item] = {
            (item.task, item.id): item for dataset in self.request.datasets for item in dataset.items
        }
        if changed := changed_pictures(self.records.values(), items):
            names = ", ".join(image.name for image in changed[0].images)
            raise UsageError(
                f"{self.folder_path}: was run with other images: those of {len(changed)} of {len(self.records)} items "
                f"changed since (first: {names}); restore them, or name another folder"
            )

    def _ignore_runs(self) -> None:
        """Exclude run folders from version control, unless the user already has such a file."""
        ignored = self._runs.parent / ".gitignore"
        if not ignored.exists():
            self.folder.write(lambda: write_text(ignored, "*\n"))

    @property
    def _runs(self) -> Path:
        return self.request.settings.rootdir / ".qbench" / "runs"

    @cached_property
    def folder_path(self) -> Path:
        """Path of the run folder, before it exists."""
        settings, spec = self.request.settings, self.request.spec
        if settings.run_dir:
            return settings.run_dir
        if settings.resume:
            if not (begun := sorted(path.parent for path in self._runs.glob(f"*/{JOURNAL}"))):
                raise UsageError(f"--qbench-resume: no run in {self._runs}; name the folder with --qbench-run-dir=DIR")
            return begun[-1]
        return self._runs / f"{datetime.now():%Y%m%d-%H%M%S-%f}-{spec.name if spec else 'model'}"

    def pace(self, items: int) -> Pace | None:
        """Return the pace of the last similar run of the named model, or None."""
        from pytest_qbench.session.pace_of_last_run import pace_of_last_run

        request, spec = self.request, self.request.spec
        return pace_of_last_run(self._runs, spec.name, request.tasks, request.answer, items) if spec else None

    def read_records(self) -> None:
        """Read the records that any process has written since the last call. The last record of an item counts."""
        for record in self.folder.read_new():
            self.version += 1
            self.records[record.task, record.item] = record

    @property
    def measured(self) -> set[Key]:
        """The items with a record whose test was not skipped."""
        return self.records.keys() - self.skipped

    def ensure_record(self, key: Key) -> None:
        """Read the run folder if the record of a reported item is not known yet. Workers pass records through it."""
        if key not in self.records:
            self.read_records()

    def settle(self, left_out: Collection[Key] = ()) -> None:
        """Read records without a report, for example of an interrupted run, and remove duplicates from the file.

        Records of the items `left_out` are removed as well: a worker measured them while the run was stopped.
        """
        if self._folder is not None:
            self.read_records()
            for key in (*self.skipped, *left_out):
                self.records.pop(key, None)
            self._folder.remove_duplicates(self.records.values())

    def discard(self) -> None:
        """Remove the run folder of a run that measured nothing."""
        if self._folder is not None:
            self._folder.discard()


def check_output_paths(request: RunRequest) -> None:
    """Raise `UsageError` if reports or baselines could not be written. Called before anything is measured."""
    settings = request.settings
    for option, path in settings.reports.items():
        if not path.parent.is_dir():
            raise UsageError(f"{option}={path}: no folder {path.parent}")
        if path.is_dir():
            raise UsageError(f"{option}={path}: is a folder; name a file")
    if settings.update_baseline and settings.baseline_dir.exists() and not settings.baseline_dir.is_dir():
        raise UsageError(f"--qbench-baseline-dir={settings.baseline_dir}: is not a folder")
