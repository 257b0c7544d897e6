"""The endpoints of one session: the shared client and the usage over all processes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_qbench.models.specs import ModelSpec
from pytest_qbench.runs.endpoint_usage import EndpointUsage, total_usage
from pytest_qbench.session.settings import Settings

if TYPE_CHECKING:  # the client loads openai; a run of a local model needs neither
    from pytest_qbench.endpoints.event_loop import Endpoints
    from pytest_qbench.endpoints.usage import Usage

ITEMS_PER_SLOT = 2  # as `endpoints.event_loop`, which loads openai
PREFIX = "openai:"


def endpoint_batch_size(settings: Settings, spec: ModelSpec | None) -> int | None:
    """Return the number of items in progress that keeps an endpoint's slots filled. None if no endpoint sets the pace.

    The endpoint is that of the model, or that of the judge if a replayed or random model answers at once.
    """
    kind = spec.kind if spec else None
    is_served = spec is not None and spec.is_served
    waits = is_served or (kind in ("replay", "random") and (settings.judge or "").startswith(PREFIX))
    return ITEMS_PER_SLOT * settings.concurrency if waits else None


class SessionEndpoints:
    """The client that model and judge share in this process, and the usage of all processes.

    `on_close` registers a function that is called at the end of the session; it gets the one that closes the client.
    """

    def __init__(self, settings: Settings, worker_count: int, on_close: Callable[[Callable[[], None]], None]) -> None:
        self._settings, self._worker_count, self._on_close = settings, worker_count, on_close
        self._own: dict[str, Usage] = {}
        self._others: dict[str, EndpointUsage] = {}

    @cached_property
    def client(self) -> Endpoints:
        """The event loop, the cache and the limits."""
        from pytest_qbench.endpoints.event_loop import Endpoints

        s = self._settings
        cache = s.rootdir / ".qbench" / "cache" if s.cache else None
        shared = None
        if s.concurrency < self._worker_count:
            shared = Path(tempfile.gettempdir(), f"qbench-{os.environ['PYTEST_XDIST_TESTRUNUID']}")
        client = Endpoints(
            timeout=s.timeout, concurrency=s.concurrency, cache=cache, processes=self._worker_count, shared=shared
        )  # fmt: skip
        self._on_close(client.close)
        return client

    def meter(self, role: str, user: object) -> None:
        """Count the requests of a model or judge, if it uses an endpoint."""
        from pytest_qbench.endpoints.usage import HasUsage

        if isinstance(user, HasUsage):
            self._own[role] = user.usage

    def add_usage(self, usage: Mapping[str, EndpointUsage]) -> None:
        """Add the usage of another process."""
        self._others = total_usage([self._others, usage])

    @property
    def usage(self) -> dict[str, EndpointUsage]:
        """The usage of all processes together, by role (model, judge)."""
        own = {role: EndpointUsage.from_json(usage.to_dict()) for role, usage in self._own.items()}
        return total_usage([self._others, own])
