"""What would have no effect: regularizers and keys that the rest of a config does not use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlpexp.components.regularizer import regularizers
from mlpexp.config.overrides import parse_override
from mlpexp.config.schema import Config
from mlpexp.errors import ConfigError
from mlpexp.fields.convert import show


def check_parts(config: Config) -> None:
    """ConfigError for regularizers that only add layers, where the model has no hidden layer to add them to."""
    wrong = []
    idle = [regularizers.name_of(part) for part in config.regularizer if part.only_adds_layers]
    if idle and not config.model.activates:
        kept = [name for name in map(regularizers.name_of, config.regularizer) if name not in idle]
        wrong.append(
            f"regularizer={show(idle)}: has no effect, since {_named(config)} has no hidden layers to add it to; "
            f"use regularizer={show(kept)}, or a model with hidden layers."
        )
    if config.log.confusion_every and not config.log.tensorboard:
        wrong.append(
            f"log.confusion_every={config.log.confusion_every}: has no effect with log.tensorboard=false, since these "
            "images are for TensorBoard; leave it at 0."
        )
    if wrong:
        raise ConfigError(*wrong)


def check_keys(jobs: Sequence[tuple[Config, Sequence[str]]]) -> None:
    """ConfigError with a line for each key that is given, in the overrides of `jobs`, and that none of them uses.

    A key that some jobs use may be given to all: a sweep over models may say which activation those with hidden
    layers have. Defaults are not checked.
    """
    unused: dict[str, str] = {}
    used: set[str] = set()
    for config, overrides in jobs:
        whys = _unused(config)
        for given in overrides:
            key = parse_override(given).key_or_group or ""
            why = next((why for name, why in whys.items() if key == name or key.startswith(f"{name}.")), None)
            if why is None:
                used.add(key)
            else:
                unused.setdefault(key, f"{given}: has no effect, since {why}; leave it out.")
    if lines := [line for key, line in unused.items() if key not in used]:
        raise ConfigError(*lines)


def repeats(configs: Sequence[Config]) -> str | None:
    """A note on jobs that differ only in an activation that they do not use; None without such jobs."""
    n = sum(not config.model.activates for config in configs)
    unused = {config.activation for config in configs if not config.model.activates}
    if len(unused) < 2:
        return None
    return f"activation has no effect in {n} of {len(configs)} jobs, which have no hidden layers and repeat one another"


def _unused(config: Config) -> Mapping[str, str]:
    """The keys and groups that a config makes no use of, and why."""
    whys = {}
    if not config.model.activates:
        whys["activation"] = f"{_named(config)} has no hidden layers"
        if config.log.diagnostics:
            whys["log.diagnostics"] = whys["activation"]
    if config.optimizer.full_batch:
        whys["batch_size"] = "the optimizer takes all training rows in each step"
    if config.log.histograms and not config.log.tensorboard:
        whys["log.histograms"] = "with log.tensorboard=false nothing shows histograms"
    return whys


def _named(config: Config) -> str:
    return "model.hidden=[]" if getattr(config.model, "hidden", None) == () else "the model"
