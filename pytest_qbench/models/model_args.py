"""Parse and check `--qbench-model-arg`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence

from pytest_qbench.errors import ModelError
from pytest_qbench.models.specs import ModelSpec
from pytest_qbench.untrusted.parsing import parse_json

MODEL_ARGS: Mapping[str, str] = {
    "dtype": "auto, float32, bfloat16 or float16",
    "device": "auto, cpu, mps, cuda or cuda:N",
    "revision": "a branch, tag or commit of the hub id",
    "attn_implementation": "eager, sdpa, flash_attention_2, ...",
    "trust_remote_code": "true or false",
    "quantization_config": "a JSON object for transformers' quantization_config",
    "share_gpu": "true or false",
    "min_pixels": "a positive integer",
    "max_pixels": "a positive integer",
    "image_backend": "torchvision or pil",
    "images": "files or png",
    "assessment": "continue or ask",
    "price": "IN/OUT, US dollars per million prompt and completion tokens",
    "extra_body": "a JSON object of request parameters",
    "files": "a pattern of the names of the files to replay",
    "duplicates": "first or last",
    "filter": "the name of a filter of a sample log",
    "engine_python": "the Python of an environment with the engine",
    "engine_args": "arguments of the engine, quoted as in a shell",
    "engine_timeout": "a positive number of seconds",
}
REPLAY_ARGS = ("files", "duplicates", "filter")
ENDPOINT_ARGS = ("revision", "images", "max_pixels", "assessment", "price", "extra_body")
_ENDPOINT_ONLY = ("images", "assessment", "price", "extra_body")
ENGINE_ONLY = ("engine_python", "engine_args", "engine_timeout")
ENGINE_ARGS = (*ENGINE_ONLY, "images", "max_pixels", "assessment", "extra_body")
ENGINE_WEIGHTS = ("dtype", "revision")  # arguments of the engines that load a checkpoint of transformers
_NOT_LOCAL = (*_ENDPOINT_ONLY, *REPLAY_ARGS, *ENGINE_ONLY)
_OBJECTS = ("quantization_config", "extra_body")
_PATTERNS = {
    "dtype": r"auto|float32|bfloat16|float16",
    "device": r"auto|cpu|mps|cuda(:\d+)?",
    "trust_remote_code": r"true|false",
    "share_gpu": r"true|false",
    "min_pixels": r"[1-9]\d*",
    "max_pixels": r"[1-9]\d*",
    "image_backend": r"torchvision|pil",
    "images": r"files|png",
    "assessment": r"continue|ask",
    "price": r"\d+(\.\d+)?/\d+(\.\d+)?",
    "duplicates": r"first|last",
    "engine_timeout": r"(?=.*[1-9])\d+(\.\d+)?",
}


def parse_model_args(arguments: Iterable[str]) -> dict[str, str]:
    """Parse ``KEY=VALUE`` arguments into a dict of valid strings. A later argument overrides an earlier one.

    Raises `ModelError` for an unknown key or an invalid value.
    """
    parsed: dict[str, str] = {}
    for argument in arguments:
        key, equals, value = (part.strip() for part in argument.partition("="))
        if not equals or not value:
            raise ModelError(f"model argument {argument!r}: write KEY=VALUE, with one of {', '.join(MODEL_ARGS)}")
        if key not in MODEL_ARGS:
            near = difflib.get_close_matches(key, MODEL_ARGS, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            if key == "max_new_tokens":
                raise ModelError(
                    "unknown model argument 'max_new_tokens'; use --qbench-answer-tokens=N and "
                    "--qbench-description-tokens=N"
                )
            raise ModelError(f"unknown model argument {key!r}{hint}; valid are {', '.join(MODEL_ARGS)}")
        if key in ("dtype", "device", "trust_remote_code", "share_gpu"):
            value = value.lower()
        valid = is_json_object(value) if key in _OBJECTS else re.fullmatch(_PATTERNS.get(key, ".+"), value)
        if not valid:
            raise ModelError(f"model argument {key}={value}: must be {MODEL_ARGS[key]}")
        parsed[key] = value
    return parsed


def check_args(spec: ModelSpec, args: Mapping[str, str]) -> None:
    """Raise `ModelError` for model arguments that do not apply to this kind of model, and for a missing engine."""
    if spec.kind == "random" and (wrong := [key for key in args if key != "share_gpu"]):
        raise ModelError(f"random:{spec.target} takes no model arguments (got {', '.join(wrong)})")
    if spec.kind == "replay" and (wrong := [key for key in args if key not in ("share_gpu", *REPLAY_ARGS)]):
        raise ModelError(
            f"model argument {wrong[0]} does not apply to recorded outputs; valid are {', '.join(REPLAY_ARGS)}"
        )
    if spec.kind in ("random", "replay"):
        return
    valid: Sequence[str] = [key for key in MODEL_ARGS if key not in _NOT_LOCAL]
    kind = "a local model"
    if spec.kind == "openai":
        valid, kind = ENDPOINT_ARGS, "an endpoint"
    elif spec.is_managed:
        valid, kind = (*ENGINE_ARGS, *(() if spec.kind == "llamacpp" else ENGINE_WEIGHTS)), f"the engine {spec.kind}"
    if wrong := [key for key in args if key not in valid]:
        raise ModelError(f"model argument {wrong[0]} does not apply to {kind}; valid are {', '.join(valid)}")
    if spec.is_managed:
        from pytest_qbench.models.engines import ENGINES  # an HTTP client, which other models do not need

        ENGINES[spec.kind].check(args)


def is_json_object(text: str) -> bool:
    """Return whether a text is a JSON object."""
    try:
        return isinstance(parse_json(text), dict)
    except ValueError:
        return False
