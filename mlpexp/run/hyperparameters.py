"""A config as flat names and values: what the HParams tab shows in its columns, and `mlpexp compare` looks for."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import Any

from mlpexp.components.model import models
from mlpexp.config.schema import LIST_GROUPS, REGISTRIES, component
from mlpexp.errors import ConfigError
from mlpexp.fields.convert import show

# Keys about the output and storage of a run, without effect on what it learns.
_ASIDE = {"log", "checkpoint", "stack", "plugins", "data_dir", "recommended", "report"}


# The activation of a network without hidden layers.
NO_ACTIVATION = "none"


def hyperparameters(config: Mapping[str, Any]) -> dict[str, Any]:
    """Keys as they are typed in overrides: `optimizer` (its name), `optimizer.lr`, `model.hidden`, `seed`.

    `activation` is none in a network without hidden layers, whichever its config names.

    `config` is what `Config.to_dict` gives and run.json holds. Numbers stay numbers; lists and nulls become text;
    `regularizer` lists the names in use.
    """
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if key == "regularizer" and isinstance(value, dict):
            flat[key] = show(list(value))
        if key == "activation" and not _activates(config.get("model")):
            flat[key] = NO_ACTIVATION
        else:
            _flatten(key, value, flat)
    return flat


# What TensorBoard shows for a key that a run does not have: of other letters than ASCII it shows the codes.
ABSENT = "-"


def with_every_key(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The hyperparameters with those that only other components have, as `-`; what a component has alone is text.

    TensorBoard's parallel coordinates leave out a run that lacks one of the keys shown, and its table cannot sort a
    column of numbers and texts.
    """
    own = _own_keys()
    values = {key: show(value) if key in own and not isinstance(value, str) else value for key, value in flat.items()}
    return dict.fromkeys(own, ABSENT) | values


def _own_keys() -> set[str]:
    """The keys that some of the components of a group have, and some have not."""
    found: set[str] = set()
    for group, registry in REGISTRIES.items():
        fields = {name: _fields(registry[name]) for name in registry}
        if group in LIST_GROUPS:
            found |= {f"{group}.{name}.{field}" for name, its in fields.items() for field in its}
        else:
            counts = Counter(field for its in fields.values() for field in its)
            found |= {f"{group}.{field}" for field, n in counts.items() if n < len(fields)}
    return found


def _fields(cls: Any) -> set[str]:
    return {field.name for field in dataclasses.fields(cls)} - _ASIDE


def _activates(model: Any) -> bool:
    """Whether a model uses its activation, as far as its component is known here."""
    try:
        return bool(component(models, model, "model").activates)
    except ConfigError:
        return True


def _flatten(key: str, value: Any, flat: dict[str, Any]) -> None:
    if key.split(".")[-1] in _ASIDE:
        return
    if isinstance(value, dict):
        for name, entry in value.items():
            if name == "name" and key.startswith("regularizer."):
                # `regularizer` lists them already.
                continue
            _flatten(key if name == "name" else f"{key}.{name}", entry, flat)
    elif isinstance(value, int | float | str) and not isinstance(value, bool):
        flat[key] = value
    else:
        flat[key] = show(value)
