"""Hydra as mlpexp uses it. The one file that names what is private to Hydra or OmegaConf.

Private here are: the Hydra object that composes with a search path of its own, the parser of the command line, the
callbacks of hydra.callbacks, the choices of its shell completion, and the basic launcher.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra import version
from hydra._internal.callbacks import Callbacks
from hydra._internal.core_plugins.bash_completion import BashCompletion
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path, get_args_parser
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus, configure_log, run_job
from hydra.types import HydraContext, RunMode, TaskFunction
from omegaconf import DictConfig, OmegaConf, flag_override

from mlpexp.config.locate import CONF
from mlpexp.config.overrides import quote

__all__ = ["BasicLauncher"]

# Where Hydra's own plugins lie, and everybody else's.
PLUGINS = ("hydra._internal.core_plugins.", "hydra_plugins.")


@contextmanager
def hydra_on(config_dir: str | Path | None) -> Iterator[Hydra]:
    """Hydra, set up on conf/ and on the directory that --config-dir names, as its command line sets it up."""
    # A program that calls us may have a Hydra of its own in use.
    outer = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    version.setbase("1.3")
    search_path = create_config_search_path(str(CONF))
    if config_dir is not None:
        own = f"file://{Path(config_dir).absolute()}"
        search_path.prepend(provider="command-line", path=own, anchor=SearchPathQuery(provider="schema"))
    try:
        yield Hydra.create_main_hydra2(task_name="mlpexp", config_search_path=search_path)
    finally:
        GlobalHydra.instance().hydra = outer


def config_loader(config_dir: str | Path | None) -> ConfigLoader:
    """Reads conf/ and the directory that --config-dir names."""
    with hydra_on(config_dir) as app:
        return app.config_loader


def compose(loader: ConfigLoader, config_name: str, overrides: Sequence[str]) -> DictConfig:
    """What Hydra composes, its own node included; Hydra's errors are raised as they are."""
    with warnings.catch_warnings():
        # Hydra only warns of a missing config directory, and then does not find what should be in it.
        warnings.filterwarnings("error", "provider=.* is not available")
        return loader.load_configuration(config_name, list(overrides), RunMode.RUN, from_shell=False)


def completions(loader: ConfigLoader, overrides: Sequence[str]) -> list[str]:
    """What the last of some overrides can become: groups with their options, keys, and the value that a key has."""
    # Hydra takes the line apart at spaces.
    *before, begun = overrides
    return BashCompletion(loader)._query("config", " ".join([*(word for word in before if " " not in word), begun]))


def note_overrides(config: DictConfig, overrides: Sequence[Override]) -> None:
    """Writes into Hydra's node which overrides a config is made of, as Hydra does where it applies them itself."""
    ours = [override for override in overrides if not override.is_hydra_override()]
    job = config.hydra.job
    with flag_override(config.hydra, ["readonly", "struct"], False):
        config.hydra.overrides.task = [override.input_line for override in ours]
        job.override_dirname = _override_dirname(ours, **job.config.override_dirname)


def _override_dirname(overrides: Sequence[Override], exclude_keys: Sequence[str], item_sep: str, kv_sep: str) -> str:
    """The overrides in alphabetical order, as hydra.job.config.override_dirname says how to join them."""
    texts = [str(override.input_line) for override in overrides if override.key_or_group not in exclude_keys]
    return item_sep.join(sorted(texts)).replace("=", kv_sep)


@contextmanager
def current_config(config: DictConfig) -> Iterator[None]:
    """Within, `${hydra:…}` refers to the node of Hydra's in `config`."""
    instance = HydraConfig.instance()
    before = instance.cfg
    instance.cfg = config  # type: ignore[assignment]
    try:
        yield
    finally:
        instance.cfg = before


def argument_parser() -> argparse.ArgumentParser:
    """The parser of Hydra's own command line."""
    return get_args_parser()


@contextmanager
def raising() -> Iterator[None]:
    """Hydra raises its errors within, instead of printing them over many lines and exiting with 1."""
    before = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = before


def hand_over(task: TaskFunction, arguments: Sequence[str]) -> None:
    """Calls Hydra's entry point as if `mlpexp train` were a program of its own."""
    argv = sys.argv
    sys.argv = ["mlpexp train", *arguments]
    try:
        with raising():
            hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")(task)()
    finally:
        sys.argv = argv


def run_one(task: TaskFunction, config: DictConfig, directory: str, loader: ConfigLoader, config_name: str) -> None:
    """Calls a task with a composed config in its directory, with the callbacks, the log, the environment and the
    files of Hydra's around it."""
    with (
        flag_override(config, ["readonly", "struct"], False),
        flag_override(config.hydra, ["readonly", "struct"], False),
    ):
        config.hydra.mode = RunMode.RUN
        config.hydra.run.dir = directory
    configure_log(config.hydra.hydra_logging, config.hydra.verbose)
    callbacks = Callbacks(config)
    callbacks.on_run_start(config=config, config_name=config_name)
    context = HydraContext(loader, callbacks)
    done = run_job(
        task_function=task, config=config, job_dir_key="hydra.run.dir", job_subdir_key=None, hydra_context=context
    )
    callbacks.on_run_end(config=config, config_name=config_name, job_return=done)


def launch(
    task: TaskFunction, config: DictConfig, jobs: Sequence[Sequence[str]], loader: ConfigLoader, config_name: str
) -> list[JobReturn]:
    """Hands jobs that are known beforehand to the launcher, in batches of hydra.sweeper.max_batch_size."""
    with _multirun(config, loader, config_name) as context:
        launcher = Plugins.instance().instantiate_launcher(hydra_context=context, task_function=task, config=config)
        size = config.hydra.sweeper.get("max_batch_size") or len(jobs)
        returns: list[JobReturn] = []
        for start in range(0, len(jobs), size):
            returns += launcher.launch(jobs[start : start + size], initial_job_idx=start)
    return returns


def search(task: TaskFunction, config: DictConfig, loader: ConfigLoader, config_name: str) -> None:
    """Runs a sweeper that chooses the jobs during the search."""
    with _multirun(config, loader, config_name) as context:
        sweeper = Plugins.instance().instantiate_sweeper(hydra_context=context, task_function=task, config=config)
        # As written: `${hydra.job.num}` in one of them has no value yet.
        overrides: Any = OmegaConf.to_container(config.hydra.overrides.task, resolve=False)
        sweeper.sweep(arguments=overrides)


@contextmanager
def _multirun(config: DictConfig, loader: ConfigLoader, config_name: str) -> Iterator[HydraContext]:
    """The log, the callbacks and the files that Hydra has around a sweep."""
    with flag_override(config.hydra, ["readonly", "struct"], False):
        config.hydra.mode = RunMode.MULTIRUN
        # What other launchers compose jobs of.
        config.hydra.overrides.hydra.append(f"hydra.sweep.dir={quote(str(config.hydra.sweep.dir))}")
    configure_log(config.hydra.hydra_logging, config.hydra.verbose)
    callbacks = Callbacks(config)
    callbacks.on_multirun_start(config=config, config_name=config_name)
    OmegaConf.save(config, Path(config.hydra.sweep.dir) / "multirun.yaml")
    yield HydraContext(loader, callbacks)
    callbacks.on_multirun_end(config=config, config_name=config_name)


def error_of(done: JobReturn) -> Exception | None:
    """What a job failed with."""
    if done.status == JobStatus.COMPLETED:
        return None
    # Hydra prints the error when it is asked for it.
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            _ = done.return_value
        except Exception as error:
            return error
    return None
