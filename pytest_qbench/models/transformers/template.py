"""Test a chat template before use, with limits on time and memory, as it is a program that comes with the weights.

jinja's sandbox keeps a template from accessing files and Python, but it does not limit time and memory.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pytest_qbench.errors import ModelError
from pytest_qbench.models.errors import FAILURES

SECONDS = 5.0
_MEMORY = 1 << 30
"""Maximum bytes for rendering. A prompt has a few thousand characters."""
_LARGEST_EXPONENT = 1000


class _TooLongError(BaseException):
    """The template takes too long. This is not an `Exception`, which code in between could catch."""


def try_template(name: str, processor: Any) -> None:
    """Render a question, alone and with the beginning of a reply. Raises `ModelError` if that exceeds a limit.

    Other errors of a template are ignored here and raised on its first use.
    """
    from jinja2 import TemplateError

    question = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Question"}]}
    reply = {"role": "assistant", "content": [{"type": "text", "text": "Reply"}]}
    own = (TemplateError, *(failure for failure in FAILURES if failure is not MemoryError))
    try:
        with _bounded():
            for turns, how in (([question], "add_generation_prompt"), ([question, reply], "continue_final_message")):
                with suppress(*own):
                    processor.apply_chat_template(turns, tokenize=False, **{how: True})
    except _TooLongError:
        raise ModelError(
            f"{name}: its chat template does not end within {SECONDS:g} s; fetch the model again"
        ) from None
    except MemoryError:
        raise ModelError(
            f"{name}: its chat template takes more memory than any prompt needs; fetch the model again"
        ) from None


@contextmanager
def _bounded() -> Iterator[None]:
    """Limit the time of this thread and the memory of this process inside this block."""
    with _bounded_time(), _bounded_memory(), _bounded_powers():
        yield


@contextmanager
def _bounded_time() -> Iterator[None]:
    """Raise `_TooLongError` at the first line of Python code that runs after the time limit."""
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
    """Limit additional memory to `_MEMORY`, on systems that report the memory of a process."""
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
    """Reject large powers such as ``9**(9**9)``, a single step of the interpreter that no other limit can stop."""
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
