"""Hydra's own tests of launchers, on ours; with each of the two sweepers.

These files are not in tests/hydra_plugins: pytest puts tests/ on the path, and Hydra would take them for plugins.
"""

from __future__ import annotations

import pytest
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.test_utils.launcher_common_tests import BatchedSweeperTestSuite, IntegrationTestSuite, LauncherTestSuite

# What the suites were written for: a job that runs in its own directory.
OWN_DIRECTORY = "hydra.job.chdir=true"


@pytest.fixture(autouse=True)
def restored(hydra_restore_singletons: None) -> None:
    """Hydra as it was, whatever a test leaves behind."""


@pytest.mark.parametrize(("kind", "name"), [(Launcher, "StackedLauncher"), (Sweeper, "CheckedSweeper")])
def test_the_plugins_are_found(kind: type, name: str) -> None:
    assert name in [plugin.__name__ for plugin in Plugins.instance().discover(kind)]


@pytest.mark.parametrize("launcher_name", ["stacked"])
@pytest.mark.parametrize(
    "overrides", [[OWN_DIRECTORY], [OWN_DIRECTORY, "hydra/sweeper=checked"]], ids=["basic", "checked"]
)
class TestLauncher(LauncherTestSuite):
    pass


@pytest.mark.parametrize("launcher_name", ["stacked"])
@pytest.mark.parametrize(
    "overrides",
    [[OWN_DIRECTORY, f"hydra/sweeper={name}", "hydra.sweeper.max_batch_size=2"] for name in ("basic", "checked")],
    ids=["basic", "checked"],
)
class TestBatches(BatchedSweeperTestSuite):
    pass


@pytest.mark.parametrize("task_launcher_cfg", [{}])
@pytest.mark.parametrize("extra_flags", [["-m", "hydra/launcher=stacked", "hydra/sweeper=checked"]], ids=["-m"])
class TestIntegration(IntegrationTestSuite):
    pass
