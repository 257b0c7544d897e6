"""--qbench-why: explain a run whose gates regressed, and the command that does so later."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from pytest_qbench.baseline.baseline import Baseline
from pytest_qbench.errors import UsageError
from pytest_qbench.metrics.results import Results
from pytest_qbench.models.base import Model
from pytest_qbench.models.specs import ModelSpec
from pytest_qbench.records import Key, Record
from pytest_qbench.runs.explanation import Explanation, write_explanation
from pytest_qbench.session.run import Run

# Imports in functions: only a red gate with --qbench-why needs the engine once more.


def has_regressed(run: Run) -> bool:
    """Return whether a gate of this run regressed against a baseline."""
    judged = any(gate.verdict == "regressed" for gate in run.gating.results)
    return judged and isinstance(run.baseline, Baseline) and not run.gating.not_gated


def why_hints(run: Run, results: Results, folder: Path) -> list[str]:
    """Return lines for the terminal. With --qbench-why, explain a regressed run and write `why.json` first."""
    if not has_regressed(run):
        is_open = any(gate.verdict == "inconclusive" for gate in run.gating.results)
        asked = run.request.settings.why and is_open
        return ["why: not explained: no gate regressed; `qbench why A B` explains any two runs"] if asked else []
    if not run.request.settings.why:
        return [f"why: {why_command(run, folder)}, or run again with --qbench-why"]
    try:
        write_explanation(folder, explain_run(run, results))
    except UsageError as e:
        return [f"why: not explained: {e}"]
    return []


def why_command(run: Run, folder: Path) -> str:
    """Return the command that explains the run: the baseline against the model, or against the records of this run."""
    assert isinstance(run.baseline, Baseline)
    spec, settings = run.request.spec, run.request.settings
    if spec is None or spec.kind == "replay" or settings.model is None:
        return shlex.join(["qbench", "why", _short(run.baseline.path), _short(folder)])
    options = [f"--b-arg={argument}" for argument in settings.model_args]
    if settings.data != "mini":
        options.append(f"--data={settings.data}")
    if settings.datasets:
        options.append(f"--datasets={','.join(settings.datasets)}")
    return shlex.join(["qbench", "why", _short(run.baseline.path), settings.model, *options])


def explain_run(run: Run, results: Results) -> Explanation:
    """Return why the run differs from its baseline, on the items that changed most, and the slices that lost most."""
    from pytest_qbench.why.choose import MOST, most_different
    from pytest_qbench.why.image_properties import properties
    from pytest_qbench.why.slices import find_slices
    from pytest_qbench.why.sources import Asking, Named, Recorded, explain_against_recorded, explain_recorded, live_side

    baseline, request = run.baseline, run.request
    assert isinstance(baseline, Baseline)
    new: dict[Key, Record] = {(record.task, record.item): record for record in results.records}
    items = dict(results.expected)
    old = Recorded(f"baseline {baseline.name}", baseline.records, {}, baseline.fingerprint, baseline)
    spec = request.spec
    measured = Recorded("this run", new, items, results.fingerprint)
    if spec is None or spec.kind == "replay":
        found = explain_recorded(old, measured)
    else:
        chosen = most_different(list(items.values()), baseline.records, new, MOST)
        asked = Asking(request.answer, request.prompt_set, request.scoring)
        side = live_side(Named(spec.name, spec=spec, args=request.model_args), asked, _loader(run))
        found = explain_against_recorded(old, side, chosen, asked, MOST, measured=measured)
    slices = find_slices(new, baseline.records, items, properties, request.settings.seed)
    return replace(found, slices=tuple(slices), images_measured=True)


def _loader(run: Run) -> Callable[[ModelSpec, Mapping[str, str]], Model]:
    def load(spec: ModelSpec, args: Mapping[str, str]) -> Model:
        from pytest_qbench.models.load import load_model

        return load_model(spec, args, endpoints=run.endpoints.client if spec.kind == "openai" else None)

    return load


def _short(path: Path) -> str:
    """Return a path relative to the current folder where it is inside."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_absolute() and path.is_relative_to(here) else str(path)
