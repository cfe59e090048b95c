"""`hydra/launcher=stacked`: hands all jobs of a sweep to the task at once. Imported at every start, so it is thin."""

# No `from __future__ import annotations`: a dataclass then looks for its module in sys.modules, where Hydra's scan
# puts it only after running it.

from collections.abc import Sequence
from dataclasses import dataclass

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class StackedLauncherConf:
    _target_: str = "hydra_plugins.mlpexp.stacked_launcher.StackedLauncher"


ConfigStore.instance().store(group="hydra/launcher", name="stacked", node=StackedLauncherConf, provider="mlpexp")


class StackedLauncher(Launcher):
    """Composes all jobs, then calls the task's `run_jobs` with them; see mlpexp/sweep/launch.py."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from mlpexp.sweep.hydra_launcher import launch

        return launch(self.hydra_context, self.task_function, self.config, job_overrides, initial_job_idx)
