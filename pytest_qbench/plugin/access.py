"""Access to the run of a pytest process. It imports only pytest, as projects without Q-Bench import it too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_qbench.session.run import Run

KEY: pytest.StashKey[Run] = pytest.StashKey()


def run_of(config: pytest.Config) -> Run:
    """Return the run of this process. The first call creates it.

    Raises `pytest.UsageError` for unusable options.
    """
    if KEY not in config.stash:
        from pytest_qbench.plugin.interrupts import handle_interrupts

        handle_interrupts(config)  # first: the next lines import
        from pytest_qbench.errors import UsageError
        from pytest_qbench.plugin.shared_data import DATASETS, load_datasets
        from pytest_qbench.session.gc import gc_paused
        from pytest_qbench.session.process_role import role_of
        from pytest_qbench.session.request import without_run_folder
        from pytest_qbench.session.run import Run
        from pytest_qbench.session.settings import read_settings

        try:
            settings = read_settings(config)
        except UsageError as e:
            raise pytest.UsageError(str(e)) from e
        command = without_run_folder(list(map(str, config.invocation_params.args)))
        run = config.stash[KEY] = Run.of(settings, role_of(config), command, config.add_cleanup)
        if data := getattr(config, "workerinput", {}).pop(DATASETS, None):
            with gc_paused():
                run.request.datasets = load_datasets(data)
    return config.stash[KEY]
