"""Hydra's own tests of launchers, on ours.

These files are not in tests/hydra_plugins: pytest puts tests/ on the path, and Hydra would take them for plugins.
"""

from __future__ import annotations

import pytest
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.test_utils.launcher_common_tests import BatchedSweeperTestSuite, IntegrationTestSuite, LauncherTestSuite

# What the suites were written for: a job that runs in its own directory.
OWN_DIRECTORY = "hydra.job.chdir=true"


@pytest.fixture(autouse=True)
def restored(hydra_restore_singletons: None) -> None:
    """Hydra as it was, whatever a test leaves behind."""


def test_the_launcher_is_found() -> None:
    assert "StackedLauncher" in [plugin.__name__ for plugin in Plugins.instance().discover(Launcher)]


@pytest.mark.parametrize("launcher_name", ["stacked"])
@pytest.mark.parametrize("overrides", [[OWN_DIRECTORY]])
class TestLauncher(LauncherTestSuite):
    pass


@pytest.mark.parametrize("launcher_name", ["stacked"])
@pytest.mark.parametrize("overrides", [[OWN_DIRECTORY, "hydra.sweeper.max_batch_size=2"]])
class TestBatches(BatchedSweeperTestSuite):
    pass


@pytest.mark.parametrize("task_launcher_cfg", [{}])
@pytest.mark.parametrize("extra_flags", [["-m", "hydra/launcher=stacked"]], ids=["-m"])
class TestIntegration(IntegrationTestSuite):
    pass
