"""Fixtures for suites. A project may override them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_qbench.errors import UsageError
from pytest_qbench.escaping import printable
from pytest_qbench.plugin.access import run_of
from pytest_qbench.session.process_role import role_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_qbench.baseline.baseline import Baseline, MissingBaseline
    from pytest_qbench.engine.engine import Engine
    from pytest_qbench.gates.evaluate import GateResult
    from pytest_qbench.items import Item
    from pytest_qbench.judges.base import Judge
    from pytest_qbench.metrics.results import Results
    from pytest_qbench.models.base import Model
    from pytest_qbench.records import Record


def _share_cores(config: pytest.Config) -> None:
    """Limit each xdist worker to its share of the cores, since more threads than cores slow each other down."""
    import os

    from pytest_qbench.models.transformers.threads import import_torch

    workers = role_of(config).worker_count
    if workers > 1 and "OMP_NUM_THREADS" not in os.environ:
        import_torch()
        import torch

        torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))


def _tell(config: pytest.Config, text: str) -> None:
    """Show a line of progress; a worker shows nothing."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is not None:
        reporter.ensure_newline()
        reporter.write_line(printable(f"qbench: {text}"))


@pytest.fixture(scope="session")
def qbench_model(request: pytest.FixtureRequest) -> Iterator[Model]:
    """The model under test, from `--qbench-model`. Override this fixture to measure a model of your own."""
    from pytest_qbench.models.load import load_model
    from pytest_qbench.models.transformers.devices import Worker
    from pytest_qbench.plugin.item_test import stop

    run, role = run_of(request.config), role_of(request.config)
    spec, args, ray = run.request.spec, run.request.model_args, run.request.settings.ray
    assert spec is not None, "collection has checked it"
    worker = Worker(int((role.worker_id or "gw0").removeprefix("gw")), role.worker_count)
    if spec.kind == "transformers" and ray is None:
        _share_cores(request.config)
    try:
        if ray is not None:
            from pytest_qbench.replicas.model import ReplicatedModel

            model: Model = ReplicatedModel(ray, spec, args, run.request.prompt_settings)
        else:
            endpoints = run.endpoints.client if spec.is_served else None
            server = run.engine.start(run.recorder.folder.path) if spec.is_managed else None
            model = load_model(
                spec, args, worker, endpoints=endpoints, server=server, tell=lambda text: _tell(request.config, text)
            )
    except UsageError as e:
        stop(request.session, run, e)
    yield model
    model.close()
    run.engine.stop()


@pytest.fixture(scope="session")
def qbench_judge(request: pytest.FixtureRequest) -> Judge:
    """The judge of descriptions, from `--qbench-judge`."""
    from pytest_qbench.judges.load import make_judge

    run = run_of(request.config)
    spec, settings = run.request.judge_spec, run.request.settings
    endpoints = run.endpoints.client if spec.startswith("openai:") else None
    return make_judge(spec, settings.judge_args, settings.judge_prompts, endpoints)


@pytest.fixture(scope="session")
def qbench_engine(request: pytest.FixtureRequest, qbench_model: Model) -> Iterator[Engine]:
    """The engine that measures items with the model; the judge is made when a description needs it."""
    from pytest_qbench.plugin.collection import check_baseline
    from pytest_qbench.plugin.item_test import end_session, stop
    from pytest_qbench.session.engine_setup import build_engine, measure_noise, ray_report

    run = run_of(request.config)
    try:
        engine = build_engine(
            run.request, run.recorder, run.endpoints, qbench_model, lambda: request.getfixturevalue("qbench_judge")
        )
        if role_of(request.config).is_first:  # now the conditions of the model and the judge are known, too
            check_baseline(request.config, run)
    except UsageError as e:
        stop(request.session, run, e)
    run.ray_report = ray_report(qbench_model)
    yield engine
    try:
        if run.usage_error is None:
            measure_noise(run.request, run.recorder, engine)
    except UsageError as e:
        end_session(request.session, run, e)
    engine.close()


@pytest.fixture
def qbench_record(request: pytest.FixtureRequest, qbench_item: Item, qbench_engine: Engine) -> Record:
    """The record of this item. Requesting it measures the item with the rest of its chunk."""
    from pytest_qbench.plugin.item_test import measure

    return measure(request.node, run_of(request.config), qbench_item, lambda: qbench_engine)


@pytest.fixture(scope="session")
def qbench_results(request: pytest.FixtureRequest) -> Results:
    """The results of the run. A test that requests them runs once, after the last item, also under xdist."""
    return run_of(request.config).results


@pytest.fixture(scope="session")
def qbench_baseline(request: pytest.FixtureRequest) -> Baseline | MissingBaseline:
    """The stored baseline, or the reason why it is missing."""
    return run_of(request.config).baseline


@pytest.fixture
def qbench_gate(
    request: pytest.FixtureRequest, qbench_results: Results, qbench_baseline: Baseline | MissingBaseline
) -> Iterator[Callable[..., GateResult]]:
    """Gate a metric: ``qbench_gate("perception.accuracy", margin=0.01)`` fails if the metric regressed or is invalid.

    `dataset` and `slice` may be patterns. `margin` compares with the baseline and `budget` with its anchor, `minimum`
    and `maximum` with neither. With `each_dataset`, every dataset of a correlation has to pass, not only their mean.
    """
    from pytest_qbench.gates.targets import gated_tasks
    from pytest_qbench.plugin.alpha_allocation import GateCalls, comparisons, gate_calls
    from pytest_qbench.plugin.collection import declared_gates
    from pytest_qbench.plugin.stash import FAILED_BY_VERDICT, GATE_CALLS, VERDICT
    from pytest_qbench.report.terminal import gate_text

    gating, declared, called, compared = run_of(request.config).gating, declared_gates(request.node), 0, 0
    calls, measured = gate_calls(request.function, declared), gated_tasks(qbench_results)
    every: list[GateCalls] = request.config.stash[GATE_CALLS]
    tests = comparisons(every, measured)

    def gate(
        name: str,
        *,
        margin: float | None = None,
        minimum: float | None = None,
        maximum: float | None = None,
        budget: float | None = None,
        dataset: str | None = None,
        slice: str | None = None,
        each_dataset: bool = False,
    ) -> GateResult:
        nonlocal called, compared
        called += 1
        compares = margin is not None or budget is not None
        compared += compares
        if compares and (calls.tasks is None or compared > len(calls.tasks)):
            known = "cannot be read from its source" if calls.tasks is None else f"is larger than {len(calls.tasks)}"
            pytest.fail(
                f"{request.node.nodeid}: the number of gates {known}; state it, as in @pytest.mark.qbench(gates=7), or "
                "use one gate with a pattern, such as dataset='k*'",
                pytrace=False,
            )
        result = gating.judge(
            request.node.nodeid, name, qbench_results, qbench_baseline, tests * max(1, calls.count(measured)),
            margin=margin, minimum=minimum, maximum=maximum, budget=budget, dataset=dataset, slice=slice,
            each_dataset=each_dataset, anchor=run_of(request.config).anchor if budget is not None else None,
        )  # fmt: skip
        outcome = gating.outcome(result)
        # JUnit XML contains the reason of each gate, also of one that passes.
        request.node.user_properties.append(
            (printable(f"gate {result.name}"), printable(f"{result.verdict}: {result.reason}"))
        )
        if outcome == "fail":
            request.node.stash[FAILED_BY_VERDICT] = True
            pytest.fail(gate_text(result), pytrace=False)
        # A test with several gates shows "inconclusive" if one of them is.
        if outcome in ("inconclusive", "not gated") and request.node.stash.get(VERDICT, None) != "inconclusive":
            request.node.stash[VERDICT] = outcome
        return result

    yield gate
    if called == 0:
        gating.uncalled.append(request.node.nodeid)
