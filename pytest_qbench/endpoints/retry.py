"""When a request is worth another attempt, and when: pure functions of status, headers and chance."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FIRST_WAIT, LONGEST_WAIT = 0.5, 8.0  # seconds
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def is_passing(status: int) -> bool:
    """Tell whether an HTTP status may be another one in a moment: too many requests, timeouts, most of 5xx."""
    return status in (408, 409, 425, 429) or (status >= 500 and status not in (501, 505))


def backoff(attempt: int, rng: random.Random) -> float:
    """Return the seconds to wait after failed attempt `attempt` (0, 1, ...): exponential, with full jitter."""
    return rng.uniform(0, min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(attempt, 10)))


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the seconds that the server asks to wait, or None where it does not say (RFC 9110, 10.2.3).

    Seconds or a date in `Retry-After`; `retry-after-ms` goes first. What cannot be read says nothing.
    """
    if (ms := _number(headers.get("retry-after-ms", ""))) is not None:
        return ms / 1000
    text = headers.get("retry-after", "").strip()
    if not text or (seconds := _number(text)) is not None:
        return seconds if text else None
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - (now or datetime.now(UTC))).total_seconds())


def limit_reset(headers: Mapping[str, str]) -> float:
    """Return the seconds until the server takes requests again, by its rate-limit headers; 0 where it takes them now.

    ``x-ratelimit-remaining-requests`` and ``-tokens`` at 0 with ``x-ratelimit-reset-*`` as ``6m0s``, ``20ms`` or
    seconds.
    """
    waits = [0.0]
    for what in ("requests", "tokens"):
        remaining = _number(headers.get(f"x-ratelimit-remaining-{what}", ""))
        if remaining is not None and remaining <= 0:
            waits.append(_duration(headers.get(f"x-ratelimit-reset-{what}", "")))
    return max(waits)


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\s*\d+(\.\d+)?\s*", text) else None


def _duration(text: str) -> float:
    if (seconds := _number(text)) is not None:
        return seconds
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", text.strip())
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
