"""Try a chat template within limits before it is used: it is a program that came with the weights.

jinja's sandbox keeps a template from files and from Python; it sets no limit on time and memory.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pytest_qbench.errors import ModelError
from pytest_qbench.models.errors import FAILURES

SECONDS = 5.0
_MEMORY = 1 << 30
"""Bytes that rendering may take; a prompt has some thousand characters."""
_LARGEST_EXPONENT = 1000


class _TooLongError(BaseException):
    """Not an `Exception`: code on the way may catch those, and go on."""


def try_template(name: str, processor: Any, before: Sequence[dict[str, Any]] = ()) -> None:
    """Render a question, alone and with the beginning of a reply; raises `ModelError` where that does not end.

    `before` are turns that stand before the question.

    What a template raises by itself is left to its first use.
    """
    from jinja2 import TemplateError

    question = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Question"}]}
    reply = {"role": "assistant", "content": [{"type": "text", "text": "Reply"}]}
    own = (TemplateError, *(failure for failure in FAILURES if failure is not MemoryError))
    try:
        with _bounded():
            for turns, how in (([question], "add_generation_prompt"), ([question, reply], "continue_final_message")):
                with suppress(*own):
                    processor.apply_chat_template([*before, *turns], tokenize=False, **{how: True})
    except _TooLongError:
        raise ModelError(
            f"{name}: its chat template does not end within {SECONDS:g} s; fetch the model again"
        ) from None
    except MemoryError:
        raise ModelError(
            f"{name}: its chat template takes more memory than any prompt; fetch the model again"
        ) from None


@contextmanager
def _bounded() -> Iterator[None]:
    """Limit the time of this thread and the memory of this process inside the block."""
    with _bounded_time(), _bounded_memory(), _bounded_powers():
        yield


@contextmanager
def _bounded_time() -> Iterator[None]:
    """Raise `_TooLongError` in the first line of Python that runs after the time is up."""
    end, before = time.monotonic() + SECONDS, sys.gettrace()

    def trace(frame: Any, event: str, argument: Any) -> Any:
        if time.monotonic() > end:
            raise _TooLongError
        return trace

    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)
    if time.monotonic() > end:
        raise _TooLongError


@contextmanager
def _bounded_memory() -> Iterator[None]:
    """Let an allocation that no prompt needs fail, where the system can say what the process has."""
    size = Path("/proc/self/statm")
    if not size.is_file():
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = int(size.read_text().split()[0]) * resource.getpagesize() + _MEMORY
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextmanager
def _bounded_powers() -> Iterator[None]:
    """Refuse ``9**(9**9)``, which no other limit can stop: it is one step of the interpreter."""
    from jinja2.sandbox import SandboxedEnvironment

    def power(environment: Any, context: Any, operator: str, left: Any, right: Any) -> Any:
        if isinstance(right, int | float) and abs(right) > _LARGEST_EXPONENT:
            raise _TooLongError
        return environment.binop_table[operator](left, right)

    with _LOCK:
        before = SandboxedEnvironment.intercepted_binops, SandboxedEnvironment.call_binop
        SandboxedEnvironment.intercepted_binops = frozenset({"**"})
        SandboxedEnvironment.call_binop = power  # type: ignore[method-assign, assignment]
        try:
            yield
        finally:
            SandboxedEnvironment.intercepted_binops, SandboxedEnvironment.call_binop = before  # type: ignore[method-assign]


_LOCK = threading.Lock()
