"""`RunRequest`: the settings, model and data of a run, and the items of each task."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from pytest_qbench.data import check_images, open_datasets, select
from pytest_qbench.data.load import MINI
from pytest_qbench.data.option_order import shuffle_options
from pytest_qbench.data.sharding import take_shard
from pytest_qbench.engine.dispatch import PromptSettings
from pytest_qbench.errors import UsageError
from pytest_qbench.items import Dataset, Item, LeftOut, Task
from pytest_qbench.metrics.fingerprint import Selection
from pytest_qbench.models.model_args import check_args, parse_model_args
from pytest_qbench.models.specs import ModelSpec, check, paper_words, parse_spec
from pytest_qbench.prompt_sets.read import OPTION, read_prompt_set
from pytest_qbench.prompts import AnswerMode, PromptSet
from pytest_qbench.scoring.protocols import protocol_scoring
from pytest_qbench.scoring.score import Scoring
from pytest_qbench.session.endpoints import endpoint_batch_size
from pytest_qbench.session.gc import gc_paused
from pytest_qbench.session.settings import Settings
from pytest_qbench.untrusted.locks import check_system

PLANNED_BATCH = 16  # batch size for the plan of chunks, if the real one is only known when the model runs
CHUNK_BATCHES = 4  # batches per chunk, so that items can be sorted by length within a chunk; 1 with early stop


@dataclass
class RunRequest:
    """The settings and the data of a run.

    `tasks` are those of the collected suites, in order. `has_project_judge` and `has_project_model` say that the
    project overrides the fixture. `command` is the command line without the run folder.
    """

    settings: Settings
    command: str = ""
    tasks: dict[Task, None] = field(default_factory=dict)
    has_project_judge: bool = False
    has_project_model: bool = False

    @cached_property
    def spec(self) -> ModelSpec | None:
        """The named model, checked without loading it. None if a conftest overrides `qbench_model`."""
        args = parse_model_args(self.settings.model_args)
        if self.settings.model is None:
            return None
        spec = parse_spec(self.settings.model)
        check(spec)
        check_args(spec, args)
        return spec

    @property
    def model_args(self) -> dict[str, str]:
        """The model arguments of the alias, overridden by those of the user."""
        return {**(self.spec.args if self.spec else {}), **parse_model_args(self.settings.model_args)}

    @property
    def answer(self) -> AnswerMode:
        """The answer mode of perception items: that of the option, else of the alias, else "generate"."""
        return self.settings.answer or (self.spec.answer if self.spec else None) or "generate"

    @cached_property
    def scoring(self) -> Scoring:
        """The settings for quality scores and correlations, from --qbench-protocol."""
        return protocol_scoring(self.settings.protocol, paper_words(self.spec), self.prompt_set)

    @cached_property
    def prompt_set(self) -> PromptSet:
        """The templates, from --qbench-prompts."""
        return read_prompt_set(self.settings.prompts)

    @property
    def prompt_settings(self) -> PromptSettings:
        """The settings for prompts."""
        s = self.settings
        return PromptSettings(self.answer, s.blind, self.scoring.words, s.max_new_tokens, self.prompt_set, s.words)

    @property
    def batch_size(self) -> int | None:
        """Items per batch: the user's number, else the number that keeps an endpoint busy, else None (the model's)."""
        return self.settings.batch_size or endpoint_batch_size(self.settings, self.spec)

    @property
    def planned_batch(self) -> int:
        """The batch size for the plan of chunks."""
        return self.batch_size or PLANNED_BATCH

    @property
    def chunk_size(self) -> int:
        """Items per chunk. Depends on the options only, because it decides which items share a batch."""
        return self.planned_batch * (1 if self.settings.early_stop else CHUNK_BATCHES)

    @cached_property
    def datasets(self) -> list[Dataset]:
        """The selected data."""
        s = self.settings
        with gc_paused():
            found = open_datasets(s.data, rootdir=s.rootdir, names=s.datasets, split=s.split)
        wanted = [each for each in found if s.tasks is None or each.task in s.tasks]
        if s.limit_by is None:
            selected = select(wanted, limit=s.limit, seed=s.seed)
        else:
            from pytest_qbench.session.uncertainty_sample import sample_by_uncertainty  # it imports baselines

            selected = sample_by_uncertainty(wanted, s, self.spec)
        part = selected if s.shard is None else take_shard(selected, *s.shard)
        return shuffle_options(part, s.seed) if s.shuffle_options else part

    @cached_property
    def unread(self) -> list[LeftOut]:
        """The files of the data folder that no dataset uses."""
        from pytest_qbench.data.load import unread

        return unread(self.settings.data, self.settings.rootdir)

    @property
    def expected(self) -> dict[tuple[str, str], Item]:
        """The items of the suites' tasks, by task and id."""
        return {(task, item.id): item for task in self.tasks for item in self.items_of(task)}

    @property
    def all_items(self) -> dict[tuple[str, str], Item]:
        """The selected items of the data, by task and id, including tasks without a suite."""
        return {(item.task, item.id): item for dataset in self.datasets for item in dataset.items}

    def items_of(self, task: Task) -> list[Item]:
        """Return the selected items of a task."""
        return [item for dataset in self.datasets if dataset.task == task for item in dataset.items]

    @property
    def needs_judge(self) -> bool:
        """Whether the judge scores a description, marks replies, or may have to read unparsed replies."""
        s = self.settings
        asked = s.judge_unparsed or s.judge_answers
        return ("perception" in self.tasks and asked and bool(self.items_of("perception"))) or (
            "description" in self.tasks and any(item.golden for item in self.items_of("description"))
        )

    @property
    def judge_spec(self) -> str:
        """The named judge. The embedded judge is the default for the embedded data only."""
        if self.settings.judge is None and self.settings.data != MINI:
            raise UsageError(
                "descriptions need a judge: add --qbench-judge=SPEC (lexicon is embedded, but only a smoke judge)"
            )
        return self.settings.judge or "lexicon"

    def check_command_line(self, *, is_distributed: bool) -> None:
        """Raise `UsageError` for a model or a cluster that cannot work. Called before anything is collected."""
        if self.settings.model is not None:
            check_system()
            _ = self.spec
        _ = self.scoring
        self._check_repeats()
        if self.settings.ray is not None:
            from pytest_qbench.replicas.check import check as check_ray

            check_ray(self.settings.ray, self.spec, self.model_args, distributed=is_distributed)

    def _check_repeats(self) -> None:
        """Raise `UsageError` where every repeat would give the same answer."""
        if self.settings.repeats > 1 and self.spec is not None and self.spec.kind in ("transformers", "replay"):
            why = "replays one answer" if self.spec.kind == "replay" else "decodes greedily and gives one answer"
            raise UsageError(
                f"--qbench-repeats={self.settings.repeats}: {self.spec.name} {why} to each item; drop the option"
            )

    def check_collected(self) -> None:
        """Raise `UsageError` for a fault that concerns many items: no items, no judge, missing images."""
        check_system()
        if not any(d.task in self.tasks for d in self.datasets):
            raise UsageError(f"--qbench-data={self.settings.data}: no items for {', '.join(self.tasks)}")
        self._check_context()
        if self.needs_judge and not self.has_project_judge:
            from pytest_qbench.judges.load import check_judge

            s = self.settings
            check_judge(self.judge_spec, s.judge_args, s.judge_prompts, s.judge_unparsed, s.judge_answers)
        if self.spec is None or self.spec.kind == "transformers" or self.spec.is_served:
            check_images([d for d in self.datasets if d.task in self.tasks])

    def _check_context(self) -> None:
        """Raise `UsageError` where items have a context that the prompts leave out."""
        for task in self.tasks:
            items = [item for item in self.items_of(task) if item.context]
            template = self.prompt_set.template(task, self.answer)
            if lost := [item for item in items if "{context}" not in template.text_for(item)]:
                raise UsageError(
                    f"{OPTION}={self.settings.prompts}: {task} has no {{context}}, but {len(lost)} items have one "
                    f"(first: {lost[0].id}); add {{context}} to the template, or remove context from the data"
                )

    @property
    def selection(self) -> Selection:
        """The selection of items from the data."""
        s = self.settings
        return Selection(s.datasets, s.tasks, s.split, s.limit, s.seed, s.shard, s.limit_by)


def without_run_folder(arguments: Sequence[str]) -> str:
    """Return a command line without the option for the run folder, for users who repeat it."""
    rest, kept = list(arguments), []
    while rest:
        argument = rest.pop(0)
        if argument == "--qbench-run-dir":
            rest[:1] = []
        elif not argument.startswith("--qbench-run-dir="):
            kept.append(argument)
    return shlex.join(kept)
