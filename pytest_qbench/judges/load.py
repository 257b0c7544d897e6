"""Check and build the judge that the user names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pytest_qbench.errors import UsageError
from pytest_qbench.judges.base import Judge
from pytest_qbench.judges.lexicon import LexiconJudge
from pytest_qbench.judges.prompts import read_prompts
from pytest_qbench.judges.rubric import GradingModel, Mode, RubricJudge, ThreadedRubricJudge
from pytest_qbench.models.model_args import is_json_object
from pytest_qbench.models.specs import ModelSpec, aliases, check, parse_spec

if TYPE_CHECKING:
    from pytest_qbench.endpoints.event_loop import Endpoints

JUDGE_ARGS: Mapping[str, tuple[str, str]] = {  # pattern, description
    "mode": (r"rounds|expected", "rounds or expected"),
    "temperature": (r"\d+(\.\d+)?", "a number of at least 0"),
    "max_new_tokens": (r"[1-9]\d*", "a positive integer"),
    "revision": (r".+", "a branch, tag or commit, or any name of the judge's weights"),
    "price": (r"\d+(\.\d+)?/\d+(\.\d+)?", "IN/OUT, US dollars per million prompt and completion tokens"),
    "extra_body": (r"\{.*\}", "a JSON object of request parameters"),
    "dtype": (r"auto|float32|bfloat16|float16", "auto, float32, bfloat16 or float16"),
    "device": (r"auto|cpu|mps|cuda(:\d+)?", "auto, cpu, mps, cuda or cuda:N"),
}
_ENDPOINT = ("mode", "temperature", "max_new_tokens", "revision", "price", "extra_body")
_LOCAL = ("mode", "revision", "dtype", "device")


def parse_judge_args(spec: str, arguments: Iterable[str]) -> dict[str, str]:
    """Parse the ``KEY=VALUE`` of --qbench-judge-arg. Raises `UsageError` for a key that this judge does not take."""
    valid = _ENDPOINT if spec.startswith("openai:") else _LOCAL if spec.startswith("hf:") else ()
    parsed: dict[str, str] = {}
    for argument in arguments:
        key, equals, value = (part.strip() for part in argument.partition("="))
        where = f"--qbench-judge-arg={argument}"
        if not equals or key not in valid:
            raise UsageError(f"{where}: this judge takes {', '.join(valid) or 'no arguments'}, as KEY=VALUE")
        pattern, meaning = JUDGE_ARGS[key]
        if not re.fullmatch(pattern, value) or (key == "extra_body" and not is_json_object(value)):
            raise UsageError(f"{where}: must be {meaning}")
        parsed[key] = value
    return parsed


def check_judge(
    spec: str,
    arguments: Iterable[str] = (),
    texts: Path | str | None = None,
    reads_unparsed: bool = False,
    marks_answers: bool = False,
) -> None:
    """Raise `UsageError` for an unknown or unusable judge, without loading a model or sending a request.

    `texts` is a packaged set of prompts or a file. `reads_unparsed`, `marks_answers`: whether the judge must read
    unparsed replies, or mark all.
    """
    kind, _, target = spec.partition(":")
    if kind not in ("lexicon", "openai", "hf") or (kind == "lexicon") != (spec == "lexicon"):
        raise UsageError(
            f"--qbench-judge={spec}: no such judge; use lexicon (embedded smoke judge), openai:MODEL@BASE_URL or hf:ID"
        )
    parse_judge_args(spec, arguments)
    if kind == "lexicon" and texts is not None:
        raise UsageError("--qbench-judge-prompts: lexicon is a word list without prompts; name a language model")
    if kind == "lexicon" and reads_unparsed:
        raise UsageError("--qbench-judge-unparsed: lexicon cannot read replies; name a language model as judge")
    if kind == "lexicon" and marks_answers:
        raise UsageError("--qbench-judge-answers: lexicon cannot read replies; name a language model")
    read_prompts(texts)
    if kind == "openai":
        from pytest_qbench.endpoints.address import parse_address
        from pytest_qbench.endpoints.key import read_key

        parse_address(target)
        read_key("judge")
    if kind == "hf":
        check(_local(target), vision=False, option="--qbench-judge=hf:")


def make_judge(
    spec: str, arguments: Iterable[str] = (), texts: Path | str | None = None, endpoints: Endpoints | None = None
) -> Judge:
    """Return the judge that `spec` names. `endpoints` holds the connections of the session."""
    check_judge(spec, arguments, texts)
    kind, _, target = spec.partition(":")
    if kind == "lexicon":
        return LexiconJudge()
    args = parse_judge_args(spec, arguments)
    mode = cast("Mode", args.pop("mode", "rounds"))
    grader: GradingModel
    if kind == "openai":
        from pytest_qbench.endpoints.event_loop import ITEMS_PER_SLOT, Endpoints
        from pytest_qbench.judges.openai import EndpointGradingModel

        endpoints = endpoints or Endpoints()
        grader = EndpointGradingModel(target, args, endpoints)
        at_once = ITEMS_PER_SLOT * endpoints.concurrency
        return ThreadedRubricJudge(grader, read_prompts(texts), mode, items_at_once=at_once)
    from pytest_qbench.judges.transformers import LocalGradingModel
    from pytest_qbench.models.transformers.model import TransformersModel

    model = _local(target)
    grader = LocalGradingModel(TransformersModel(model, {**model.args, **args}, vision=False))
    return RubricJudge(grader, read_prompts(texts), mode)


def _local(target: str) -> ModelSpec:
    """Parse an alias, a folder or a hub id as --qbench-model does. A single word that is not an alias is a hub id."""
    plain = re.fullmatch(r"\w[\w.-]*", target) and target not in aliases()
    named = parse_spec(f"hf:{target}" if plain else target)
    if named.kind != "transformers":
        raise UsageError(f"--qbench-judge=hf:{target}: name a local folder or a hub id")
    return named
