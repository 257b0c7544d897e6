"""Judges: `make_judge` builds the one that the user named."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pytest_qbench.errors import UsageError
from pytest_qbench.judges.base import Judge

if TYPE_CHECKING:
    from pytest_qbench.endpoints.event_loop import Endpoints
    from pytest_qbench.models.specs import ModelSpec

JUDGE_ARGS: Mapping[str, tuple[str, str]] = {  # pattern, and what it means
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
    """Return the ``KEY=VALUE`` of --qbench-judge-arg that mean something to this judge; raises `UsageError`."""
    from pytest_qbench.models.specs import is_object

    valid = _ENDPOINT if spec.startswith("openai:") else _LOCAL if spec.startswith("hf:") else ()
    parsed: dict[str, str] = {}
    for argument in arguments:
        key, equals, value = (part.strip() for part in argument.partition("="))
        where = f"--qbench-judge-arg={argument}"
        if not equals or key not in valid:
            raise UsageError(f"{where}: this judge takes {', '.join(valid) or 'no arguments'}, as KEY=VALUE")
        pattern, meaning = JUDGE_ARGS[key]
        if not re.fullmatch(pattern, value) or (key == "extra_body" and not is_object(value)):
            raise UsageError(f"{where}: must be {meaning}")
        parsed[key] = value
    return parsed


def check_judge(spec: str, arguments: Iterable[str] = (), texts: Path | None = None, decides: bool = False) -> None:
    """Raise `UsageError` for a judge that does not exist or cannot work; nothing is loaded and nothing sent.

    `texts` are the user's prompts; `decides` tells whether the judge has to read unparsed replies.
    """
    from pytest_qbench.judges.prompts import read_texts

    kind, _, target = spec.partition(":")
    if kind not in ("lexicon", "openai", "hf") or (kind == "lexicon") != (spec == "lexicon"):
        raise UsageError(
            f"--qbench-judge={spec}: no such judge; there are lexicon (embedded, a smoke judge), "
            "openai:MODEL@BASE_URL and hf:ID"
        )
    parse_judge_args(spec, arguments)
    if kind == "lexicon" and texts is not None:
        raise UsageError("--qbench-judge-prompts: lexicon is a word list and asks nothing; name a language model")
    if kind == "lexicon" and decides:
        raise UsageError("--qbench-judge-unparsed: lexicon cannot read replies; name a language model as judge")
    read_texts(texts)
    if kind == "openai":
        from pytest_qbench.endpoints.address import parse_address, read_key

        parse_address(target)
        read_key("judge")
    if kind == "hf":
        from pytest_qbench.models.specs import check

        check(_local(target), sees=False)


def make_judge(
    spec: str, arguments: Iterable[str] = (), texts: Path | None = None, endpoints: Endpoints | None = None
) -> Judge:
    """Return the judge that `spec` names; `endpoints` is what the session's endpoints share."""
    from pytest_qbench.judges.prompts import read_texts
    from pytest_qbench.judges.rubric import Mode, RubricJudge, Voter

    check_judge(spec, arguments, texts)
    kind, _, target = spec.partition(":")
    if kind == "lexicon":
        from pytest_qbench.judges.lexicon import LexiconJudge

        return LexiconJudge()
    args = parse_judge_args(spec, arguments)
    mode = cast("Mode", args.pop("mode", "rounds"))
    voter: Voter
    if kind == "openai":
        from pytest_qbench.endpoints.event_loop import Endpoints
        from pytest_qbench.judges.openai import EndpointVoter

        voter = EndpointVoter(target, args, endpoints or Endpoints())
    else:
        from pytest_qbench.judges.transformers import LocalVoter
        from pytest_qbench.models.transformers.model import TransformersModel

        model = _local(target)
        voter = LocalVoter(TransformersModel(model, {**model.args, **args}, sees=False))
    return RubricJudge(voter, read_texts(texts), mode)


def _local(target: str) -> ModelSpec:
    """An alias, a folder or a hub id, as --qbench-model takes them; a bare word that is no alias is a hub id too."""
    from pytest_qbench.models.specs import aliases, parse_spec

    plain = re.fullmatch(r"\w[\w.-]*", target) and target not in aliases()
    named = parse_spec(f"hf:{target}" if plain else target)
    if named.kind != "transformers":
        raise UsageError(f"--qbench-judge=hf:{target}: name a local folder or a hub id")
    return named
