"""Errors a user can act on: each message names the thing, the place and the way out, in one line."""

from __future__ import annotations

from pytest_qbench.escaping import printable


class QBenchError(Exception):
    """Base of everything this package raises on purpose; its text is safe to print, whatever it quotes."""

    def __str__(self) -> str:
        return printable(super().__str__())


class UsageError(QBenchError):
    """The command, the options, the data or the model named cannot work; pytest ends with exit status 4."""


class DataError(UsageError):
    """A benchmark file is missing, broken or says something impossible."""


class ModelError(UsageError):
    """A model cannot be found, loaded or used for what was asked."""


class ItemError(QBenchError):
    """One item could not be measured; the others can."""
