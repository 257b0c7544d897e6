"""Errors for users, and exit statuses. Each message is one line: what is wrong, where, and how to fix it."""

from __future__ import annotations

from pytest_qbench.escaping import printable

NOT_MEASURED = 10
"""Exit status of a run that did not measure and judge everything. pytest itself uses 0 to 5."""
CANNOT_TELL = 11
"""Exit status of a run with an inconclusive gate, if strictness is asked for."""


class QBenchError(Exception):
    """Base of all errors of this package. Their text is safe to print, whatever it quotes."""

    def __str__(self) -> str:
        return printable(super().__str__())


class UsageError(QBenchError):
    """The command, options, data or model cannot work. pytest ends with exit status 4."""


class DataError(UsageError):
    """A benchmark file is missing, damaged or inconsistent."""


class ModelError(UsageError):
    """A model cannot be found, loaded or used for these tasks."""


class ItemError(QBenchError):
    """One item cannot be measured. Other items are not affected. `may_pass`: another attempt later may succeed."""

    may_pass = False
