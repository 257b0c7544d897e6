"""The endpoints of one pytest process: made when asked for, and counted over all processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest

from pytest_qbench.session.workers import worker_count

if TYPE_CHECKING:
    from pytest_qbench.endpoints.event_loop import Endpoints
    from pytest_qbench.endpoints.usage import Usage
    from pytest_qbench.models.specs import ModelSpec
    from pytest_qbench.session.settings import Settings

IN_FLIGHT = 2  # a batch holds so many times an endpoint's slots: the last requests of a batch wait alone
PREFIX = "openai:"


class Remote:
    """What model and judge behind endpoints share in this process, and what all processes asked of them."""

    def __init__(self, config: pytest.Config, settings: Callable[[], Settings]) -> None:
        self._config, self._settings = config, settings
        self._meters: dict[str, Usage] = {}
        self._others: dict[str, dict[str, Any]] = {}

    def batch_size(self, spec: ModelSpec | None) -> int | None:
        """Items of a batch that waits for an endpoint: as many as keep its slots filled; None where none is waited for.

        The model's endpoint, or the judge's where the texts are there already.
        """
        s, kind = self._settings(), spec.kind if spec else None
        waits = kind == "openai" or (kind in ("replay", "random") and (s.judge or "").startswith(PREFIX))
        return IN_FLIGHT * s.concurrency if waits else None

    @cached_property
    def endpoints(self) -> Endpoints:
        """The event loop, the cache, the limits; closed as pytest ends."""
        from pytest_qbench.endpoints.event_loop import Endpoints

        s = self._settings()
        folder = s.rootdir / ".qbench" / "cache" if s.cache else None
        slots = max(1, s.concurrency // worker_count(self._config))  # workers share what the user allows
        made = Endpoints(timeout=s.timeout, concurrency=slots, cache=folder)
        self._config.add_cleanup(made.close)
        return made

    def meter(self, role: str, made: object) -> None:
        """Count what a model or a judge asks, if it lies behind an endpoint."""
        from pytest_qbench.endpoints.usage import Metered

        if isinstance(made, Metered):
            self._meters[role] = made.usage

    def take_over(self, usage: Mapping[str, dict[str, Any]]) -> None:
        """Count what another process asked."""
        from pytest_qbench.endpoints.usage import added

        for role, own in usage.items():
            self._others[role] = added(self._others[role], own) if role in self._others else own

    @property
    def usage(self) -> dict[str, dict[str, Any]]:
        """What the endpoints of model and judge were asked, by all processes together; plain values."""
        from pytest_qbench.endpoints.usage import added

        total = dict(self._others)
        for role, own in self._meters.items():
            total[role] = added(total[role], own.to_dict()) if role in total else own.to_dict()
        return total
