"""Where a pytest process keeps its run; imports only pytest, since projects without Q-Bench pay for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_qbench.session.run import Run

KEY: pytest.StashKey[Run] = pytest.StashKey()


def run_of(config: pytest.Config) -> Run:
    """Return this process's run, made when a suite, a gate or an option first asks for it.

    Raises `pytest.UsageError` for options that cannot work.
    """
    if KEY not in config.stash:
        from pytest_qbench.plugin.interrupts import handle_interrupts

        handle_interrupts(config)  # first: the next lines import
        from pytest_qbench.errors import UsageError
        from pytest_qbench.session.request import without_run_folder
        from pytest_qbench.session.run import Run
        from pytest_qbench.session.settings import read_settings
        from pytest_qbench.session.workers import role_of

        try:
            settings = read_settings(config)
        except UsageError as e:
            raise pytest.UsageError(str(e)) from e
        command = without_run_folder(list(map(str, config.invocation_params.args)))
        config.stash[KEY] = Run.of(settings, role_of(config), command, config.add_cleanup)
    return config.stash[KEY]
