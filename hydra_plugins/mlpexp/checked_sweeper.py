"""`hydra/sweeper=checked`: Hydra's basic sweeper, for apps that have checked every job before they call Hydra."""

# No `from __future__ import annotations`: a dataclass then looks for its module in sys.modules, where Hydra's scan
# puts it only after running it.

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


@dataclass
class CheckedSweeperConf:
    _target_: str = "hydra_plugins.mlpexp.checked_sweeper.CheckedSweeper"
    max_batch_size: int | None = None
    params: dict[str, str] | None = field(default_factory=dict)


ConfigStore.instance().store(group="hydra/sweeper", name="checked", node=CheckedSweeperConf, provider="mlpexp")


class CheckedSweeper(BasicSweeper):
    """The jobs of the basic sweeper in its batches, not composed once more only to see whether they can be.

    Failures that the task reports itself (see mlpexp/sweep/task.py) neither keep later batches from running nor are
    announced in Hydra's words; the first is raised when all is done.
    """

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        self.reported: Any = getattr(task_function, "reported", ())

    def sweep(self, arguments: list[str]) -> Any:
        assert self.config is not None
        assert self.launcher is not None
        assert self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        self.overrides = self.split_arguments(overrides, self.max_batch_size)
        directory = Path(self.config.hydra.sweep.dir)
        directory.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, directory / "multirun.yaml")
        returns: list[Sequence[JobReturn]] = []
        failures: list[Exception] = []
        while not self.is_done():
            first = sum(map(len, returns))
            returns.append(self.launcher.launch(self.get_job_batch(), initial_job_idx=first))
            for done in returns[-1]:
                if done.status == JobStatus.FAILED and isinstance(done._return_value, self.reported):
                    failures.append(done._return_value)
                else:
                    # Raises what the job failed with.
                    _ = done.return_value
        if failures:
            raise failures[0]
        return returns
