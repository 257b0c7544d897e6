"""Decide whether to retry a request and how long to wait, by its HTTP status and headers."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FIRST_WAIT, LONGEST_WAIT = 0.5, 8.0  # seconds
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def is_transient(status: int) -> bool:
    """Return whether an HTTP status is transient and worth a retry: too many requests, timeouts, most of 5xx."""
    return status in (408, 409, 425, 429) or (status >= 500 and status not in (501, 505))


def backoff(attempt: int, rng: random.Random) -> float:
    """Return the seconds to wait after failed attempt `attempt` (0, 1, ...): exponential, with full jitter."""
    return rng.uniform(0, min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(attempt, 10)))


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the seconds until the retry that the server asks for, or None without a readable header.

    `Retry-After` contains seconds or a date (RFC 9110, 10.2.3). `retry-after-ms` takes precedence.
    """
    if (ms := _number(headers.get("retry-after-ms", ""))) is not None:
        return ms / 1000
    text = headers.get("retry-after", "").strip()
    if not text or (seconds := _number(text)) is not None:
        return seconds if text else None
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - (now or datetime.now(UTC))).total_seconds())


def limit_reset(headers: Mapping[str, str]) -> float:
    """Return the seconds until the server accepts requests again, by its rate-limit headers; 0 without a limit.

    A limit is reached if ``x-ratelimit-remaining-requests`` or ``-tokens`` is 0. The matching ``x-ratelimit-reset-*``
    is in seconds or a duration such as ``6m0s`` or ``20ms``.
    """
    waits = [0.0]
    for unit in ("requests", "tokens"):
        remaining = _number(headers.get(f"x-ratelimit-remaining-{unit}", ""))
        if remaining is not None and remaining <= 0:
            waits.append(_duration(headers.get(f"x-ratelimit-reset-{unit}", "")))
    return max(waits)


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\s*\d+(\.\d+)?\s*", text) else None


def _duration(text: str) -> float:
    if (seconds := _number(text)) is not None:
        return seconds
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", text.strip())
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
