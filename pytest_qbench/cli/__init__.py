"""The console command `qbench`; each subcommand has a module."""

from pytest_qbench.cli.main import main

__all__ = ["main"]
