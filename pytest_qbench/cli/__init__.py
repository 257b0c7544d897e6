"""The console command `qbench`, one module a command."""

from pytest_qbench.cli.main import main

__all__ = ["main"]
