"""Command-line options and their ini twins. Imports nothing but pytest: every pytest start pays for this module."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import pytest

NAME = "qbench"


@dataclass(frozen=True)
class Option:
    """One option. `ini` tells whether a project may pin it; a flag (`kind` "bool") takes no value."""

    name: str
    help: str
    kind: str = "string"  # string, bool, or linelist for repeatable ones
    metavar: str | None = None
    ini: bool = True

    @property
    def dest(self) -> str:
        """Name of the ini twin and of the parsed value."""
        return self.name.lstrip("-").replace("-", "_")


OPTIONS = (
    Option("--qbench-model", "Choose the model: an alias such as tiny, a local directory, a hub id, hf:ID or random:SEED. "
           "There is no default.", metavar="SPEC"),
    Option("--qbench-model-arg", "Pass KEY=VALUE to the model: dtype, device, revision, attn_implementation, "
           "trust_remote_code, ... Repeatable.", kind="linelist", metavar="KEY=VALUE"),
    Option("--qbench-data", "Choose the data: mini (embedded, the default; it is not Q-Bench), a data folder, or hf.",
           metavar="SPEC"),
    Option("--qbench-datasets", "Restrict to these datasets, comma-separated. Default: all that are found.",
           metavar="A,B"),
    Option("--qbench-split", "Choose the LLVisionQA split: dev (default) or test.", metavar="SPLIT"),
    Option("--qbench-limit", "Measure N items per dataset, a stratified sample. Default: all.", metavar="N"),
    Option("--qbench-seed", "Seed of the sample and of the resampling. Default: 0.", metavar="S"),
    Option("--qbench-answer", "Answer perception questions by generated text (generate) or by the likelihood of each "
           "option (likelihood). Default: what the model's alias says, else generate.", metavar="MODE"),
    Option("--qbench-batch-size", "Items per forward pass, or auto (default).", metavar="auto|N"),
    Option("--qbench-blind", "Show a grey image instead of each image and gate nothing: what the model knows without "
           "seeing.", kind="bool", ini=False),
    Option("--qbench-judge", "Choose the judge of descriptions: lexicon (embedded; the default on mini only).",
           metavar="SPEC"),
    Option("--qbench-judge-rounds", "Rounds per description and dimension. Default: 5.", metavar="N"),
    Option("--qbench-max-errors", "Share of items that may end in an error before gates are invalid. Default: 0.",
           metavar="SHARE"),
    Option("--qbench-max-unparsed", "Share of replies that may be unparsed before gates are invalid. Default: 0.05.",
           metavar="SHARE"),
    Option("--qbench-run-dir", "Write records and summary to this new folder. Default: one under .qbench/runs.",
           metavar="DIR"),
    Option("--qbench-baseline-dir", "Folder of baselines, relative to rootdir. Default: baselines.", metavar="DIR"),
    Option("--qbench-baseline", "Compare with this baseline. Default: the model's alias or name.", metavar="NAME"),
    Option("--qbench-update-baseline", "Record this run as the baseline and say what changes.", kind="bool", ini=False),
    Option("--qbench-accept-regression", "Let --qbench-update-baseline record a run that regressed.", kind="bool",
           ini=False),
    Option("--qbench-no-gates", "Measure only: gates report, but do not decide.", kind="bool", ini=False),
    Option("--qbench-strict", "Fail on an inconclusive gate too.", kind="bool"),
    Option("--qbench-json", "Write the summary to this file as well.", metavar="FILE"),
)  # fmt: skip


def add_options(parser: pytest.Parser) -> None:
    """Declare the option group `qbench` and the ini twins."""
    group = parser.getgroup(NAME, "Q-Bench: low-level vision of vision-language models")
    for option in OPTIONS:
        extra: dict[str, Any] = {"metavar": option.metavar}
        if option.kind == "bool":
            extra = {"action": "store_const", "const": True}
        elif option.kind == "linelist":
            extra["action"] = "append"
        group.addoption(option.name, dest=option.dest, default=None, help=option.help, **extra)
        if option.ini:
            kind: Any = "linelist" if option.kind == "linelist" else option.kind
            parser.addini(option.dest, f"Default of {option.name}.", type=kind, default=None)


@dataclass(frozen=True)
class Settings:
    """The options, read once."""

    rootdir: Path
    model: str | None
    model_args: tuple[str, ...]
    data: str
    datasets: tuple[str, ...] | None
    split: str
    limit: int | None
    seed: int
    answer: Literal["generate", "likelihood"] | None
    batch_size: int | None
    blind: bool
    judge: str | None
    judge_rounds: int
    max_errors: float
    max_unparsed: float
    run_dir: Path | None
    baseline_dir: Path
    baseline: str | None
    update_baseline: bool
    accept_regression: bool
    gates: bool
    strict: bool
    json: Path | None


def given(config: pytest.Config) -> bool:
    """Tell whether any option of ours stands on the command line."""
    return any(config.getoption(option.dest) is not None for option in OPTIONS)


def _value(config: pytest.Config, dest: str) -> Any:
    value = config.getoption(dest)
    if value is None and any(o.dest == dest and o.ini for o in OPTIONS):
        value = config.getini(dest)
    return value or None


def _number(config: pytest.Config, dest: str, default: int, least: int) -> int:
    text = _value(config, dest)
    if text is None:
        return default
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise pytest.UsageError(f"--{dest.replace('_', '-')}={text}: not a whole number of at least {least}")
    return number


def _share(config: pytest.Config, dest: str, default: float) -> float:
    text = _value(config, dest)
    if text is None:
        return default
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise pytest.UsageError(f"--{dest.replace('_', '-')}={text}: not a share between 0 and 1")
    return share


def _choice(config: pytest.Config, dest: str, default: str | None, valid: tuple[str, ...]) -> str | None:
    text = _value(config, dest)
    if text is not None and text not in valid:
        raise pytest.UsageError(f"--{dest.replace('_', '-')}={text}: choose from {', '.join(valid)}")
    return text or default


def _path(config: pytest.Config, dest: str) -> Path | None:
    """A path from the command line is relative to where pytest was started, one from the ini file to rootdir."""
    if (text := config.getoption(dest)) is not None:
        return Path(config.invocation_params.dir, text)
    text = _value(config, dest)
    return config.rootpath / text if text else None


def read_settings(config: pytest.Config) -> Settings:
    """Read and check the options; raises `pytest.UsageError` in one line."""
    batch = _value(config, "qbench_batch_size")
    datasets = _value(config, "qbench_datasets")
    settings = Settings(
        rootdir=config.rootpath,
        model=_value(config, "qbench_model"),
        model_args=tuple(_value(config, "qbench_model_arg") or ()),
        data=_value(config, "qbench_data") or "mini",
        datasets=tuple(n.strip() for n in datasets.split(",") if n.strip()) if datasets else None,
        split=_choice(config, "qbench_split", "dev", ("dev", "test")) or "dev",
        limit=_number(config, "qbench_limit", 0, 1) or None,
        seed=_number(config, "qbench_seed", 0, 0),
        answer=cast(
            "Literal['generate', 'likelihood'] | None",
            _choice(config, "qbench_answer", None, ("generate", "likelihood")),
        ),
        batch_size=None if batch in (None, "auto") else _number(config, "qbench_batch_size", 0, 1),
        blind=bool(_value(config, "qbench_blind")),
        judge=_value(config, "qbench_judge"),
        judge_rounds=_number(config, "qbench_judge_rounds", 5, 1),
        max_errors=_share(config, "qbench_max_errors", 0.0),
        max_unparsed=_share(config, "qbench_max_unparsed", 0.05),
        run_dir=_path(config, "qbench_run_dir"),
        # The contract for this folder is rootdir, also from the command line: CI calls pytest from anywhere.
        baseline_dir=config.rootpath / (_value(config, "qbench_baseline_dir") or "baselines"),
        baseline=_value(config, "qbench_baseline"),
        update_baseline=bool(_value(config, "qbench_update_baseline")),
        accept_regression=bool(_value(config, "qbench_accept_regression")),
        gates=not _value(config, "qbench_no_gates"),
        strict=bool(_value(config, "qbench_strict")),
        json=_path(config, "qbench_json"),
    )
    contradictions = (
        (settings.strict and not settings.gates, "--qbench-strict and --qbench-no-gates"),
        (settings.update_baseline and not settings.gates, "--qbench-update-baseline and --qbench-no-gates"),
        (settings.update_baseline and settings.blind, "--qbench-update-baseline and --qbench-blind"),
        (settings.strict and settings.blind, "--qbench-strict and --qbench-blind (a blind run gates nothing)"),
    )
    for contradicts, which in contradictions:
        if contradicts:
            raise pytest.UsageError(f"{which} contradict each other: drop one")
    if settings.accept_regression and not settings.update_baseline:
        raise pytest.UsageError("--qbench-accept-regression needs --qbench-update-baseline")
    return settings
