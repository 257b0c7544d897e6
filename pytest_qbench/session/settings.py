"""`Settings`: the options as plain values, checked for contradictions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from pytest_qbench.baseline.remote import BASELINES, RemoteStore, is_address
from pytest_qbench.data.option_order import order_name
from pytest_qbench.errors import UsageError
from pytest_qbench.items import TASKS
from pytest_qbench.prompt_sets.read import is_file
from pytest_qbench.prompts import ANSWER_MODES, DEFAULT_PROMPTS, MAX_NEW_TOKENS, AnswerMode
from pytest_qbench.scoring.protocols import PROTOCOLS, Protocol
from pytest_qbench.session.options import OPTIONS

_LONGEST_NAME = 200
"""Maximum length of a baseline's name in bytes, so that the names of its folders stay valid, also during an update."""


@dataclass(frozen=True)
class Settings:
    """The options of a run as plain values. `options.py` explains each."""

    rootdir: Path
    model: str | None
    model_args: tuple[str, ...]
    data: str
    datasets: tuple[str, ...] | None
    tasks: tuple[str, ...] | None
    split: str
    limit: int | None
    limit_by: str | None
    seed: int
    answer: AnswerMode | None
    prompts: Path | str
    answer_tokens: int
    description_tokens: int
    protocol: Protocol
    words: tuple[str, ...]
    batch_size: int | None
    repeats: int
    early_stop: bool
    blind: bool
    shuffle_options: bool
    judge: str | None
    judge_rounds: int
    judge_args: tuple[str, ...]
    judge_prompts: Path | str | None
    judge_unparsed: bool
    judge_answers: bool
    concurrency: int
    timeout: float
    cache: bool
    max_errors: float
    max_unparsed: float
    max_cut: float
    run_dir: Path | None
    resume: bool
    shard: tuple[int, int] | None
    ray: str | None
    baseline_dir: Path
    baseline_store: RemoteStore | None
    baseline: str | None
    update_baseline: bool
    accept_regression: bool
    accept_lost_items: bool
    new_anchor: bool
    reason: str | None
    nights: int
    gates: bool
    strict: bool
    why: bool
    json: Path | None
    html: Path | None
    md: Path | None

    @property
    def max_new_tokens(self) -> dict[str, int]:
        """The maximum number of tokens of a reply, by task."""
        return {"perception": self.answer_tokens, "description": self.description_tokens}

    @property
    def option_order(self) -> str | None:
        """The order of the options in the words of the fingerprint; None for the order of the data."""
        return order_name(self.seed) if self.shuffle_options else None

    @property
    def reports(self) -> dict[str, Path]:
        """The report files outside the run folder, by option."""
        named = (("--qbench-json", self.json), ("--qbench-html", self.html), ("--qbench-md", self.md))
        return {option: path for option, path in named if path}


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
        raise UsageError(f"--{dest.replace('_', '-')}={text}: not a whole number of at least {least}")
    return number


def _seconds(config: pytest.Config, dest: str, default: float) -> float:
    text = _value(config, dest)
    if text is None:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise UsageError(f"--{dest.replace('_', '-')}={text}: not a number of seconds above 0")
    return seconds


def _share(config: pytest.Config, dest: str, default: float) -> float:
    text = _value(config, dest)
    if text is None:
        return default
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise UsageError(f"--{dest.replace('_', '-')}={text}: not a share between 0 and 1")
    return share


def _choice(config: pytest.Config, dest: str, default: str | None, valid: tuple[str, ...]) -> str | None:
    text = _value(config, dest)
    if text is not None and text not in valid:
        raise UsageError(f"--{dest.replace('_', '-')}={text}: choose from {', '.join(valid)}")
    return text or default


def _shard(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    part, slash, parts = text.partition("/")
    if not (slash and part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise UsageError(f"--qbench-shard={text}: not I/N with I from 1 to N, such as 1/4")
    return int(part), int(parts)


def _tasks(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names or not set(names) <= set(TASKS):
        raise UsageError(f"--qbench-tasks={text}: choose from {', '.join(TASKS)}")
    return names


def _words(text: str | None) -> tuple[str, ...]:
    """Return the words of --qbench-words, each once."""
    words = tuple(dict.fromkeys(word.strip() for word in (text or "").split(",") if word.strip()))
    if text is not None and not words:
        raise UsageError(f"--qbench-words={text}: write words such as sharp,blurry")
    return words


def _path(config: pytest.Config, dest: str) -> Path | None:
    """Return the path of an option, or None.

    On the command line it is relative to the working directory, in the configuration to rootdir.
    """
    if (text := config.getoption(dest)) is not None:
        return Path(config.invocation_params.dir, text)
    text = _value(config, dest)
    return config.rootpath / text if text else None


def _name_or_path(config: pytest.Config, dest: str) -> Path | str | None:
    """Return the name of packaged prompts, the path of a file, or None."""
    name: str | None = _value(config, dest)
    return _path(config, dest) if name and is_file(name) else name


def read_settings(config: pytest.Config) -> Settings:
    """Return the options, checked. Raises `UsageError` with a message of one line."""
    batch = _value(config, "qbench_batch_size")
    datasets = _value(config, "qbench_datasets")
    baselines: str = _value(config, "qbench_baseline_dir") or BASELINES
    gated = not any(_value(config, f"qbench_{name}") for name in ("blind", "shuffle_options", "no_gates", "shard"))
    settings = Settings(
        rootdir=config.rootpath,
        model=_value(config, "qbench_model"),
        model_args=tuple(_value(config, "qbench_model_arg") or ()),
        data=_value(config, "qbench_data") or "mini",
        datasets=tuple(n.strip() for n in datasets.split(",") if n.strip()) if datasets else None,
        tasks=_tasks(_value(config, "qbench_tasks")),
        split=_choice(config, "qbench_split", "dev", ("dev", "test")) or "dev",
        limit=_number(config, "qbench_limit", 0, 1) or None,
        limit_by=_choice(config, "qbench_limit_by", None, ("uncertainty",)),
        seed=_number(config, "qbench_seed", 0, 0),
        answer=cast(
            "AnswerMode | None",
            _choice(config, "qbench_answer", None, ANSWER_MODES),
        ),
        prompts=_name_or_path(config, "qbench_prompts") or DEFAULT_PROMPTS,
        answer_tokens=_number(config, "qbench_answer_tokens", MAX_NEW_TOKENS["perception"], 1),
        description_tokens=_number(config, "qbench_description_tokens", MAX_NEW_TOKENS["description"], 1),
        protocol=cast("Protocol", _choice(config, "qbench_protocol", "default", PROTOCOLS)),
        words=_words(_value(config, "qbench_words")),
        batch_size=None if batch in (None, "auto") else _number(config, "qbench_batch_size", 0, 1),
        repeats=_number(config, "qbench_repeats", 1, 1),
        early_stop=bool(_value(config, "qbench_early_stop")),
        blind=bool(_value(config, "qbench_blind")),
        shuffle_options=bool(_value(config, "qbench_shuffle_options")),
        judge=_value(config, "qbench_judge"),
        judge_rounds=_number(config, "qbench_judge_rounds", 5, 1),
        judge_args=tuple(_value(config, "qbench_judge_arg") or ()),
        judge_prompts=_name_or_path(config, "qbench_judge_prompts"),
        judge_unparsed=bool(_value(config, "qbench_judge_unparsed")),
        judge_answers=bool(_value(config, "qbench_judge_answers")),
        concurrency=_number(config, "qbench_concurrency", 64, 1),
        timeout=_seconds(config, "qbench_timeout", 60.0),
        cache=not _value(config, "qbench_no_cache"),
        max_errors=_share(config, "qbench_max_errors", 0.0),
        max_unparsed=_share(config, "qbench_max_unparsed", 0.05),
        max_cut=_share(config, "qbench_max_cut", 0.05),
        run_dir=_path(config, "qbench_run_dir"),
        resume=bool(_value(config, "qbench_resume")),
        shard=_shard(_value(config, "qbench_shard")),
        ray=_value(config, "qbench_ray"),
        # Relative to rootdir also on the command line, because CI calls pytest from any folder.
        baseline_dir=config.rootpath / (BASELINES if is_address(baselines) else baselines),
        baseline_store=RemoteStore(baselines) if is_address(baselines) else None,
        baseline=_value(config, "qbench_baseline"),
        update_baseline=bool(_value(config, "qbench_update_baseline")),
        accept_regression=bool(_value(config, "qbench_accept_regression")),
        accept_lost_items=bool(_value(config, "qbench_accept_lost_items")),
        new_anchor=bool(_value(config, "qbench_new_anchor")),
        reason=" ".join((_value(config, "qbench_reason") or "").split()) or None,
        nights=_number(config, "qbench_nights", 1, 1),
        gates=not _value(config, "qbench_no_gates"),
        # If the configuration sets --qbench-strict, control runs and runs without gates are still allowed.
        strict=bool(config.getoption("qbench_strict") or (_value(config, "qbench_strict") and gated)),
        why=bool(_value(config, "qbench_why")),
        json=_path(config, "qbench_json"),
        html=_path(config, "qbench_html"),
        md=_path(config, "qbench_md"),
    )
    contradictions = (
        (settings.strict and not settings.gates, "--qbench-strict and --qbench-no-gates"),
        (settings.judge_unparsed and settings.judge_answers, "--qbench-judge-unparsed and --qbench-judge-answers"),
        (settings.update_baseline and not settings.gates, "--qbench-update-baseline and --qbench-no-gates"),
        (settings.update_baseline and settings.blind, "--qbench-update-baseline and --qbench-blind"),
        (
            settings.update_baseline and settings.shuffle_options,
            "--qbench-update-baseline and --qbench-shuffle-options",
        ),
        (
            settings.update_baseline and settings.shard,
            "--qbench-update-baseline and --qbench-shard (a part is no baseline)",
        ),
        (settings.strict and settings.shard, "--qbench-strict and --qbench-shard (a shard gates nothing)"),
        (settings.strict and settings.blind, "--qbench-strict and --qbench-blind (a blind run gates nothing)"),
        (
            settings.strict and settings.shuffle_options,
            "--qbench-strict and --qbench-shuffle-options (a run with shuffled options gates nothing)",
        ),
    )
    not_gated = (
        (settings.update_baseline, "--qbench-update-baseline (a stopped run is no baseline)"),
        (not settings.gates, "--qbench-no-gates"),
        (settings.blind, "--qbench-blind"),
        (settings.shuffle_options, "--qbench-shuffle-options"),
        (settings.shard, "--qbench-shard"),
    )
    by_uncertainty = (
        (settings.update_baseline, "--qbench-update-baseline (a sample by uncertainty is no baseline)"),
        (settings.early_stop, "--qbench-early-stop"),
        (settings.shard, "--qbench-shard"),
        (settings.shuffle_options, "--qbench-shuffle-options"),
    )
    of_early_stop = [(settings.early_stop and other, f"--qbench-early-stop and {name}") for other, name in not_gated]
    of_sample = [(settings.limit_by and other, f"--qbench-limit-by and {name}") for other, name in by_uncertainty]
    for contradicts, which in (*contradictions, *of_early_stop, *of_sample):
        if contradicts:
            raise UsageError(f"{which} contradict each other: drop one")
    if settings.limit_by and settings.limit is None:
        raise UsageError(f"--qbench-limit-by={settings.limit_by} needs --qbench-limit=N, the number of questions")
    if settings.baseline and Path(settings.baseline).name != settings.baseline:
        raise UsageError(
            f"--qbench-baseline={settings.baseline}: a name, not a path; --qbench-baseline-dir is the folder"
        )
    if settings.baseline and len(settings.baseline.encode("utf-8", "surrogateescape")) > _LONGEST_NAME:
        raise UsageError(f"--qbench-baseline={settings.baseline[:20]}...: longer than {_LONGEST_NAME} bytes")
    for accepts, option in (
        (settings.accept_regression, "--qbench-accept-regression"),
        (settings.accept_lost_items, "--qbench-accept-lost-items"),
        (settings.new_anchor, "--qbench-new-anchor"),
        (settings.reason is not None, "--qbench-reason"),
    ):
        if accepts and not settings.update_baseline:
            raise UsageError(f"{option} needs --qbench-update-baseline")
    for accepts, option in (
        (settings.accept_regression, "--qbench-accept-regression"),
        (settings.new_anchor, "--qbench-new-anchor"),
    ):
        if accepts and settings.reason is None:
            raise UsageError(f'{option} needs --qbench-reason="why"; the baseline keeps it')
    return settings
