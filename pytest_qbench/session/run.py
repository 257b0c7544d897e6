"""`Run`, the state of one run in one process."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pytest_qbench.errors import UsageError
from pytest_qbench.items import LeftOut
from pytest_qbench.metrics.noise_floor import SecondMeasurement
from pytest_qbench.runs.endpoint_usage import EndpointUsage
from pytest_qbench.runs.made_with import MadeWith
from pytest_qbench.session.endpoints import SessionEndpoints
from pytest_qbench.session.gating import Gating
from pytest_qbench.session.managed_engine import ManagedEngine
from pytest_qbench.session.process_role import ProcessRole
from pytest_qbench.session.recorder import Recorder
from pytest_qbench.session.request import RunRequest
from pytest_qbench.session.settings import Settings

if TYPE_CHECKING:  # statistics load where gates run; a worker only measures
    from pytest_qbench.baseline.baseline import Baseline, MissingBaseline
    from pytest_qbench.metrics.results import Results
    from pytest_qbench.metrics.stop_state import StopState
    from pytest_qbench.report.finished_run import FinishedRun
    from pytest_qbench.session.baseline_lookup import NamedBaseline
    from pytest_qbench.session.early_stop import EarlyStop


@dataclass
class CollectedTests:
    """Facts about the collected tests of a session.

    - `without_items` are suite functions whose task has no data.
    - `parametrized_normally` are suite functions that another plugin parametrizes as well.
    - `gate_ids` are the gates that a worker passes to its controller. The controller runs them once; with `gates_only`
      it collects nothing else.
    - `lacks_model` says that no model is named. Suites and gates are then skipped if there are other tests.
    - `has_compared_items` says that the items of the data were compared with the baseline.
    - `suites` holds the hashes of the suites' files (`evidence/suite_files.py`).
    """

    without_items: set[str] = field(default_factory=set)
    parametrized_normally: set[str] = field(default_factory=set)
    gate_ids: list[str] = field(default_factory=list)
    gates_only: bool = False
    lacks_model: bool = False
    has_compared_items: bool = False
    suites: dict[str, str] = field(default_factory=dict)


@dataclass
class Run:
    """State of one run in one process: request, records and gate results.

    A worker measures and returns its part at its end (`worker_output`). The controller adds it (`add_worker`), reads
    the records and runs the gates. Without workers, one process does both.

    - `usage_error` is the reason why the run cannot work.
    - `notes` are the reasons why it fails even if no gate fails.
    - `early_stop` follows a run with --qbench-early-stop, None without it.
    - `not_measured` are the reasons why it cannot be green (see `ledger`).
    """

    request: RunRequest
    recorder: Recorder
    endpoints: SessionEndpoints
    engine: ManagedEngine
    gating: Gating
    collected: CollectedTests = field(default_factory=CollectedTests)
    usage_error: str | None = None
    notes: list[str] = field(default_factory=list)
    not_measured: list[str] = field(default_factory=list)
    ray_report: Mapping[str, Any] = field(default_factory=dict)
    finished: FinishedRun | None = None
    tracebacks: dict[str, str] = field(default_factory=dict)
    began: float = field(default_factory=time.time)
    early_stop: EarlyStop | None = None
    _results: tuple[int, Results] | None = None

    @classmethod
    def of(
        cls, settings: Settings, role: ProcessRole, command: str, on_close: Callable[[Callable[[], None]], None]
    ) -> Run:
        """Return the run of these settings. `on_close` registers a function to call at the end of the session."""
        request = RunRequest(settings, command)
        endpoints = SessionEndpoints(settings, role.worker_count, on_close)
        engine = ManagedEngine(request, role, on_close)
        run = cls(request, Recorder(request, role), endpoints, engine, Gating(settings))
        if settings.early_stop:
            from pytest_qbench.session.early_stop import EarlyStop

            run.early_stop = EarlyStop(request, run.recorder, lambda: run.baseline, run._collect_results)
            run.gating.early_stop = run.early_stop
        return run

    # across processes

    def worker_output(self) -> dict[str, Any]:
        """Return the state of a worker that is not in its reports or in the run folder, as plain values."""
        return {
            "tasks": list(self.request.tasks),
            "gate_ids": self.collected.gate_ids,
            "suites": self.collected.suites,
            "usage_error": self.usage_error,
            "made_with": self.recorder.made_with.to_json(),
            "second": self.recorder.second.to_json() if self.recorder.second else None,
            "tracebacks": self.tracebacks,
            "usage": {role: usage.to_json() for role, usage in self.endpoints.usage.items()},
        }

    def add_worker(self, output: Mapping[str, Any]) -> list[str]:
        """Add the output of a worker. Return the node ids of its gates."""
        self.request.tasks.update(dict.fromkeys(output["tasks"]))
        self.collected.suites.update(output["suites"])
        self.usage_error = self.usage_error or output["usage_error"]
        self.recorder.made_with.add(MadeWith.from_json(output["made_with"]))
        if output["second"]:
            self.recorder.second = SecondMeasurement.from_json(output["second"])
        self.tracebacks.update(output["tracebacks"])
        self.endpoints.add_usage({role: EndpointUsage.from_json(usage) for role, usage in output["usage"].items()})
        return list(output["gate_ids"])

    # the verdict (alone, or on the controller)

    @property
    def results(self) -> Results:
        """The records and the expected items. Gates use them after the last item."""
        version = self.recorder.version + len(self.recorder.skipped)
        stop = self.early_stop.state if self.early_stop else None
        version += len(stop.left_out) if stop else 0
        if self._results is None or self._results[0] != version:
            self._results = version, self._collect_results(stop)
        return self._results[1]

    def _collect_results(self, stop: StopState | None) -> Results:
        """Return the results, those of the items before the `stop` of a run that was stopped early."""
        from pytest_qbench.metrics.results import Results
        from pytest_qbench.session.fingerprint import run_fingerprint

        request, settings = self.request, self.request.settings
        expected, measured = request.expected, self.recorder.measured
        if stop is not None:
            expected = {key: item for key, item in expected.items() if key not in stop.left_out}
        made_with = self.recorder.all_made_with
        left_out = [entry for d in request.datasets if d.task in request.tasks for entry in d.left_out]
        left_out += request.unread
        left_out += [LeftOut(*entry) for entry in made_with.left_out or ()]
        return Results(
            [self.recorder.records[key] for key in expected if key in measured],
            expected,
            run_fingerprint(request, made_with),
            tuple(left_out),
            frozenset(task for task in request.tasks if not any(task == t for t, _ in expected)),
            is_narrowed=settings.limit is not None or settings.datasets is not None,
            stop=stop,
        )

    @property
    def baseline_name(self) -> str:
        """Name of the baseline to compare with."""
        return self._stored.name

    @property
    def knows_baseline_name(self) -> bool:
        """Whether the baseline's name is known. With a project's own model, it is known after the model is loaded."""
        return bool(self.request.settings.baseline or self.request.spec or self.recorder.made_with.model)

    @cached_property
    def _stored(self) -> NamedBaseline:
        from pytest_qbench.session.baseline_lookup import look_up

        spec, model = self.request.spec, self.recorder.made_with.model or {}
        name = spec.name if spec else re.sub(r"[^\w.-]+", "-", str(model.get("name") or "model"))
        return look_up(self.request.settings, name, lambda: self.request.all_items)

    @cached_property
    def stored_baseline(self) -> Baseline | MissingBaseline:
        """The stored baseline with the ids of its own items, or the reason why there is none."""
        from pytest_qbench.baseline.baseline import MissingBaseline
        from pytest_qbench.baseline.store import names_of_baselines

        found = self._stored.baseline
        is_plain = self.gating.not_gated or self.request.settings.update_baseline
        if not isinstance(found, MissingBaseline) or found.is_broken or is_plain:
            return found
        settings = self.request.settings
        names = names_of_baselines(settings.baseline_dir, settings.baseline_store)
        record = f"pytest {self.request.command} --qbench-update-baseline".replace("  ", " ")
        others = f"to judge this model by another baseline ({', '.join(names)}), add --qbench-baseline=NAME; "
        return MissingBaseline(
            f"{found.reason}; {others if names else ''}to accept this model as its own baseline: {record}"
        )

    @cached_property
    def baseline(self) -> Baseline | MissingBaseline:
        """The stored baseline with the ids of this run's items, or the reason why there is none."""
        from pytest_qbench.baseline.align import align
        from pytest_qbench.baseline.baseline import Baseline

        stored = self.stored_baseline
        return align(stored, self.request.expected) if isinstance(stored, Baseline) else stored

    @cached_property
    def stored_anchor(self) -> Baseline | MissingBaseline:
        """The anchor of the stored baseline, which may be that baseline, or the reason why there is none."""
        from pytest_qbench.baseline.baseline import Baseline, MissingBaseline
        from pytest_qbench.baseline.store import read_anchor

        stored = self.stored_baseline
        if not isinstance(stored, Baseline):
            return stored
        try:
            return read_anchor(stored)
        except UsageError as e:
            return MissingBaseline(str(e), is_broken=True)

    @cached_property
    def anchor(self) -> Baseline | MissingBaseline:
        """The anchor with the ids of this run's items, or the reason why there is none."""
        from pytest_qbench.baseline.align import align
        from pytest_qbench.baseline.baseline import Baseline

        stored = self.stored_anchor
        if stored is self.stored_baseline:
            return self.baseline
        return align(stored, self.request.expected) if isinstance(stored, Baseline) else stored
