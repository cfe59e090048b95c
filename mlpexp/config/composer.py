"""Composing the jobs of a sweep: as Hydra composes each of them alone, and the costly part once for all."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig


class JobComposer:
    """Composes jobs that choose the same options from one copy of what Hydra composes for that choice.

    Composing has two steps: the defaults list, which only the choices of options decide, is read from files and
    merged; then every other override is applied to the result, in order. The first step costs some sixty
    milliseconds and is done once for each set of choices, by `compose`; the second is Hydra's own code on a copy.

    `about_hydra` are the overrides that all jobs share, such as hydra.searchpath; `compose` adds them itself.
    """

    def __init__(
        self,
        loader: ConfigLoader,
        config_name: str | None,
        about_hydra: Sequence[str],
        compose: Callable[[list[str]], DictConfig],
    ) -> None:
        assert isinstance(loader, ConfigLoaderImpl)
        # Not `loader.repository`, which lacks the directories of hydra.searchpath.
        _, repository = loader._parse_overrides_and_create_caching_repo(config_name, list(about_hydra))
        self._is_group = repository.group_exists
        self._compose = compose
        self._parser = OverridesParser.create()
        self._parsed: dict[str, tuple[Override, bool]] = {}
        self._composed: dict[tuple[str, ...], bytes | Exception] = {}

    def __call__(self, overrides: Sequence[str]) -> DictConfig:
        """The config of the job that `overrides` make; raises what Hydra would raise."""
        parts = [self._parse(given) for given in overrides]
        config = self._base(self.choices(overrides))
        ConfigLoaderImpl._apply_overrides_to_config([part for part, chooses in parts if not chooses], config)
        if "hydra" in config:
            ours = [part for part, _ in parts if not part.is_hydra_override()]
            job = config.hydra.job
            config.hydra.overrides.task = [part.input_line for part in ours]
            job.override_dirname = get_overrides_dirname(overrides=ours, **job.config.override_dirname)
        return config

    def choices(self, overrides: Sequence[str]) -> tuple[str, ...]:
        """Those of the overrides that choose options: jobs with the same ones share what is composed."""
        return tuple(given for given in overrides if self._parse(given)[1])

    def _parse(self, given: str) -> tuple[Override, bool]:
        """An override, and whether it takes part in the first step."""
        if given not in self._parsed:
            (part,) = self._parser.parse_overrides([given])
            key, value = part.key_or_group, part.value()
            # Hydra takes a mapping for settings of the group's node. What is about Hydra itself decides how the
            # rest is composed, and a sweep within a job is for Hydra to refuse.
            chooses = (
                (self._is_group(key) and not isinstance(value, dict))
                or part.is_hydra_override()
                or key == "hydra"
                or part.is_sweep_override()
            )
            self._parsed[given] = part, chooses
        return self._parsed[given]

    def _base(self, choices: tuple[str, ...]) -> DictConfig:
        """A config of one's own with nothing but the choices in it."""
        if choices not in self._composed:
            try:
                # Pickled and loaded again, a config is copied in a third of the time that deepcopy takes.
                self._composed[choices] = pickle.dumps(self._compose(list(choices)))
            except Exception as error:
                self._composed[choices] = error
        composed = self._composed[choices]
        if isinstance(composed, Exception):
            raise composed
        config: DictConfig = pickle.loads(composed)
        return config
