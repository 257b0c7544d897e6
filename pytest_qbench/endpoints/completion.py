"""Parse a chat completion. Raises on an incomplete reply."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_qbench.endpoints.finish_reasons import is_cut, why_no_answer
from pytest_qbench.endpoints.key import Key
from pytest_qbench.untrusted.parsing import parse_json

_ROUNDING = 1e-2  # a log-probability above 0 by no more than this was rounded


class MalformedError(Exception):
    """The body is not a chat completion; another attempt may succeed."""


class RefusedError(Exception):
    """The reply is complete but not an answer; another attempt would give the same."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One reply: its text and, if requested, natural log-probabilities of candidates for its first token.

    `cut`: whether the reply ended at the token limit. Its text may then be empty, if all tokens were reasoning.
    """

    text: str
    top: Mapping[str, float] | None = None
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Completion:
    """A complete response. If requested, it has the token ids, log-probabilities and texts of the prompt's tokens."""

    choices: tuple[Choice, ...]
    usage: Mapping[str, Any]
    prompt_ids: tuple[int, ...] | None = None
    prompt_logprobs: tuple[float | None, ...] | None = None
    prompt_texts: tuple[str | None, ...] | None = None


def parse_body(body: bytes, key: Key) -> Any:
    """Return the JSON of a body, with the key masked wherever the endpoint repeats it. Raises `MalformedError`."""
    try:
        return _scrubbed(parse_json(body), key)
    except ValueError as e:
        raise MalformedError(f"the reply is not JSON ({len(body)} bytes: {type(e).__name__})") from None


def _scrubbed(data: Any, key: Key) -> Any:
    """Return parsed JSON without the key. In the unparsed text, escapes could hide it."""
    if isinstance(data, str):
        return key.scrub_reply(data)
    if isinstance(data, list):
        return [_scrubbed(each, key) for each in data]
    if isinstance(data, dict):
        return {key.scrub_reply(name): _scrubbed(value, key) for name, value in data.items()}
    return data


_REASONING = ("reasoning_content", "reasoning")  # where servers put what a model thinks before its answer


def parse_completion(data: Any) -> Completion:
    """Return the completion in `data`. Raises `MalformedError` or `RefusedError`.

    An object with an `error` is not a completion, whatever else it contains.
    """
    if not isinstance(data, Mapping):
        raise MalformedError("the reply is not a JSON object")
    if data.get("error"):
        raise MalformedError(f"the reply contains an error: {error_text(data)}")
    choices = data.get("choices")
    if not isinstance(choices, list) or not choices:
        raise MalformedError("the reply has no choices")
    usage = data.get("usage")
    ids = data.get("prompt_token_ids")
    return Completion(
        tuple(_choice(each) for each in choices),
        usage if isinstance(usage, Mapping) else {},
        tuple(ids) if isinstance(ids, list) and all(isinstance(i, int) for i in ids) else None,
        *_prompt_tokens(data.get("prompt_logprobs"), ids),
    )


def error_text(data: Any) -> str:
    """Return the message of an error body, whose fields differ between servers; without one, the body as JSON."""
    error = data.get("error", data) if isinstance(data, Mapping) else data
    for name in ("message", "detail", "msg"):
        if isinstance(error, Mapping) and error.get(name):
            error = error[name]
            break
    return error if isinstance(error, str) else json.dumps(error, ensure_ascii=False)


def _choice(data: Any) -> Choice:
    message = data.get("message") if isinstance(data, Mapping) else None
    if not isinstance(message, Mapping):
        raise MalformedError("a choice has no message")
    if why := why_no_answer(data.get("finish_reason")):
        raise RefusedError(f"the reply {why}")
    if message.get("refusal"):
        raise RefusedError("the endpoint refused to answer")
    content = message.get("content")
    if isinstance(content, list):  # some servers return parts
        texts = [part.get("text") for part in content if isinstance(part, Mapping) and part.get("type") == "text"]
        content = "".join(map(str, texts)) if texts and None not in texts else None
    cut = is_cut(data.get("finish_reason"))
    if not isinstance(content, str):
        if not cut and any(message.get(name) for name in _REASONING):  # asked again, it would reason again
            raise RefusedError(
                "the reply has reasoning but no answer; turn the reasoning of the model off at the server"
            )
        if not cut:
            raise MalformedError("a message has no text")
        content = ""
    return Choice(content, _top(data.get("logprobs")), cut)


def _top(logprobs: Any) -> dict[str, float] | None:
    """Return the log-probabilities of candidates for the first token by their text, or None if there are none."""
    tokens = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    if not isinstance(tokens, list) or not tokens or not isinstance(tokens[0], Mapping):
        return None
    found: dict[str, float] = {}
    others = tokens[0].get("top_logprobs")
    for each in (tokens[0], *(others if isinstance(others, list) else ())):
        if not isinstance(each, Mapping) or not isinstance(each.get("token"), str):
            continue
        if (value := _logprob(each.get("logprob"))) is not None:
            found[each["token"]] = value
    return found


def _prompt_tokens(rows: Any, ids: Any) -> tuple[tuple[float | None, ...] | None, tuple[str | None, ...] | None]:
    """Return the log-probability and the text of each prompt token.

    None stands in the first place and for values that are missing, and instead of both if there are none.
    """
    if not isinstance(rows, list) or not isinstance(ids, list) or len(rows) != len(ids):
        return None, None
    values, texts = list[float | None](), list[str | None]()
    for row, token in zip(rows, ids, strict=True):
        entry = row.get(str(token)) if isinstance(row, Mapping) else None
        found = entry if isinstance(entry, Mapping) else {}
        text = found.get("decoded_token")
        values.append(_logprob(found.get("logprob")))
        texts.append(text if isinstance(text, str) else None)
    return tuple(values), tuple(texts)


def _logprob(value: object) -> float | None:
    """Return a log-probability, or None if `value` is not a number. Raises `MalformedError` for an impossible one."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    if not -sys.float_info.max <= value <= _ROUNDING:
        raise MalformedError(f"a log-probability of {str(value)[:40]}")
    return float(value)
