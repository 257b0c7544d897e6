"""Score recorded outputs without a pytest run, for a comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from pytest_qbench.data import open_datasets
from pytest_qbench.data.load import MINI
from pytest_qbench.engine.engine import Engine
from pytest_qbench.errors import UsageError
from pytest_qbench.items import TASKS, Item
from pytest_qbench.judges.base import Judge
from pytest_qbench.judges.load import check_judge, make_judge
from pytest_qbench.metrics.fingerprint import Fingerprint, Selection, fingerprint
from pytest_qbench.metrics.results import Results
from pytest_qbench.models.load import load_model
from pytest_qbench.models.model_args import parse_model_args
from pytest_qbench.models.pixels import PIXEL_RULES
from pytest_qbench.models.replay import ReplayModel, check_option_order
from pytest_qbench.models.specs import paper_words, parse_spec
from pytest_qbench.prompts import AnswerMode
from pytest_qbench.scoring.protocols import Protocol, protocol_scoring
from pytest_qbench.scoring.score import Scoring

BATCH_SIZE = 512


class OutputScorer:
    """Scorer of recorded outputs, under the conditions of the run or baseline that they are compared with.

    `data`, `datasets` and `split` name the items, like the options of a run. Without `data`, the items are `items`,
    those of the other run. `conditions` is the fingerprint of the other run. It is None if both are recorded outputs:
    then both get the default conditions, or those of `protocol`. `arguments` are model arguments.
    """

    def __init__(
        self,
        *,
        data: str | None = None,
        datasets: Sequence[str] | None = None,
        split: str = "dev",
        items: Iterable[Item] | None = None,
        conditions: Fingerprint | None = None,
        protocol: Protocol = "default",
        judge: str | None = None,
        arguments: Iterable[str] = (),
    ) -> None:
        self._data, self._datasets, self._split = data, datasets, split
        self._items = None if items is None else list(items)
        self._conditions = conditions or Fingerprint()
        self._protocol = protocol
        self._judge = judge
        self._arguments = parse_model_args(arguments)
        #: Number of items whose output was found by each rule.
        self.matched_by: Mapping[str, int] = {}

    def score(self, path: Path) -> Results:
        """Return the results of the outputs at `path`. Raises `UsageError` if the data or a judge must be named.

        A task counts as absent if no output answers any of its items.
        """
        items = self._read_items(path)
        model = load_model(parse_spec(f"replay:{path}"), self._arguments)
        assert isinstance(model, ReplayModel)
        check_option_order(model, None if self._data else self._conditions.option_order)
        model.expect(items)
        self.matched_by = model.matched_by
        items = [item for item in items if item.task in model.matched_tasks]
        scoring = self._scoring(path)
        judges: list[Judge] = []
        rounds = self._conditions.judge_rounds or 5
        answer: AnswerMode = "likelihood" if model.gives_likelihoods else "generate"
        engine = Engine(
            model, answer=answer, batch_size=BATCH_SIZE, blind=False, judge_rounds=rounds,
            judge=self._judge_maker(path, judges), scoring=scoring,
        )  # fmt: skip
        records = engine.measure(items)
        expected: dict[tuple[str, str], Item] = {(item.task, item.id): item for item in items}
        made = fingerprint(
            scoring=scoring, answer=answer, blind=False, pixels=PIXEL_RULES, judge_rounds=rounds,
            judge={"name": judges[0].name, **judges[0].describe()} if judges else self._conditions.judge,
            model={"name": model.name, **model.describe()}, data=self._data or self._conditions.data,
            selection=self._selection(),
        ).with_conditions(model.conditions)  # fmt: skip
        absent = frozenset(TASKS) - {item.task for item in items}
        return Results(records, expected, made, model.left_out, absent, is_narrowed=made.is_narrowed)

    def _read_items(self, path: Path) -> list[Item]:
        if self._data is not None:
            datasets = open_datasets(self._data, rootdir=Path.cwd(), names=self._datasets, split=self._split)
            return [item for dataset in datasets for item in dataset.items]
        if self._items is None:
            raise UsageError(f"{path}: holds recorded outputs; name the data that they answer with --data=FOLDER")
        return self._items

    def _selection(self) -> Selection | None:
        if self._data is None:
            return self._conditions.selection
        return Selection(tuple(self._datasets) if self._datasets else None, split=self._split)

    def _scoring(self, path: Path) -> Scoring:
        """Return the scoring of the other run, or that of the protocol."""
        if self._conditions.scoring is not None:
            return self._conditions.scoring
        return protocol_scoring(self._protocol, paper_words(parse_spec(f"replay:{path}")))

    def _judge_maker(self, path: Path, made: list[Judge]) -> Callable[[], Judge]:
        """Return a function that loads the judge on its first call and appends it to `made`."""
        stated = self._conditions.judge_name
        spec = self._judge or ("lexicon" if self._data == MINI or stated == "lexicon" else None)

        def judge() -> Judge:
            if spec is None:
                raise UsageError(f"{path}: holds descriptions, which need a judge: add --judge=SPEC")
            if not made:
                check_judge(spec)
                made.append(make_judge(spec))
            return made[0]

        return judge
