"""Finish reasons of a reply, in the words of endpoints and harnesses: which ones mean that it is cut or no answer."""

from __future__ import annotations

# OpenAI, inspect_ai and vLLM; OpenAI's Responses; Anthropic; Text Generation Inference and others' own words.
_CUT = frozenset({
    "length", "max_tokens", "model_length", "max_output_tokens", "model_context_window_exceeded", "max_length",
    "max_new_tokens",
})  # fmt: skip
#: How a reply may not have ended: its text until then is not the model's answer.
_BROKEN_OFF = {
    "content_filter": "was cut by the endpoint's content filter",
    "safety": "was cut by the endpoint's content filter",
    "error": "ended in an error",
    "abort": "was aborted",
    "tool_calls": "is a call of a tool",
    "tool_use": "is a call of a tool",
    "function_call": "is a call of a tool",
}


def is_cut(reason: object) -> bool:
    """Whether the token limit ended the reply."""
    return _word(reason) in _CUT


def why_no_answer(reason: object) -> str | None:
    """Return how a reply ended that is not an answer, as the predicate of a sentence; None for any other end."""
    return _BROKEN_OFF.get(_word(reason))


def _word(reason: object) -> str:
    """Return the reason in lower case, without the class of an enumeration (`FinishReason.MAX_TOKENS`)."""
    return reason.rpartition(".")[2].strip().lower() if isinstance(reason, str) else ""
