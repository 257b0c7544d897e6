"""What a run was asked for: settings, model and data as named, and the items of each task."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest

from pytest_qbench.errors import UsageError
from pytest_qbench.session.endpoints import Remote
from pytest_qbench.session.gc import growing
from pytest_qbench.session.settings import Settings, read_settings

if TYPE_CHECKING:
    from pytest_qbench.engine.dispatch import Asking
    from pytest_qbench.items import Dataset, Item, Task
    from pytest_qbench.models.specs import ModelSpec
    from pytest_qbench.prompts import AnswerMode
    from pytest_qbench.scoring.score import Scoring

PLANNED_BATCH = 16  # chunks are whole multiples of it where memory decides on the batch: known without a model
CHUNK_BATCHES = 4  # a chunk is what a worker gets at once: some batches, so that lengths can be sorted within it


@dataclass
class Asked:
    """The command line and the data of a run; `asked` are the tasks that its suites ask for.

    `own_judge` tells whether the project overrides the judge's fixture.
    """

    config: pytest.Config
    asked: dict[Task, None] = field(default_factory=dict)
    own_judge: bool = False

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
                from pytest_qbench.replicas.check import check

                distributed = self.config.getoption("dist", "no") != "no"
                check(self.settings.ray, self.spec, self.model_args, distributed=distributed)
        except UsageError as e:
            raise pytest.UsageError(str(e)) from e

    @cached_property
    def spec(self) -> ModelSpec | None:
        """The model named, checked without loading it; None when a conftest overrides `qbench_model`."""
        from pytest_qbench.models.specs import check, check_args, parse_model_args, parse_spec

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
        from pytest_qbench.models.specs import parse_model_args

        return {**(self.spec.args if self.spec else {}), **parse_model_args(self.settings.model_args)}

    @property
    def answer(self) -> AnswerMode:
        """How perception items are answered: the option, else the alias, else by generation."""
        return self.settings.answer or (self.spec.answer if self.spec else None) or "generate"

    @cached_property
    def scoring(self) -> Scoring:
        """How quality scores are made and correlated, by --qbench-protocol."""
        from pytest_qbench.models.specs import paper_words
        from pytest_qbench.scoring.score import DEFAULT, PAPER_TEMPERATURE, Scoring

        paper = self.settings.protocol == "paper"
        return Scoring(paper_words(self.spec), PAPER_TEMPERATURE, halves=True) if paper else DEFAULT

    @property
    def asking(self) -> Asking:
        """How items are asked."""
        from pytest_qbench.engine.dispatch import Asking

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
        from pytest_qbench.data.load import open_datasets
        from pytest_qbench.data.sampling import select

        s = self.settings
        with growing():
            found = open_datasets(s.data, rootdir=s.rootdir, names=s.datasets, split=s.split)
        selected = select(found, limit=s.limit, seed=s.seed)
        if s.shard is None:
            return selected
        from pytest_qbench.data.sharding import take_shard

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
        from pytest_qbench.data.load import MINI

        if self.settings.judge is None and self.settings.data != MINI:
            raise UsageError(
                "descriptions need a judge: add --qbench-judge=SPEC (lexicon is embedded, but only a smoke judge)"
            )
        return self.settings.judge or "lexicon"

    def check_collected(self) -> None:
        """Raise `UsageError` for what no item of this collection could survive."""
        from pytest_qbench.data.image_check import check_images
        from pytest_qbench.judges.load import check_judge

        if not any(d.task in self.asked for d in self.datasets):
            raise UsageError(f"--qbench-data={self.settings.data}: no items for {', '.join(self.asked)}")
        if self.needs_judge and not self.own_judge:
            s = self.settings
            check_judge(self.judge_spec, s.judge_args, s.judge_prompts, s.judge_unparsed)
        if self.spec is None or self.spec.kind in ("transformers", "openai"):
            check_images([d for d in self.datasets if d.task in self.asked])

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
