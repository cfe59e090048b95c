"""Hydra's errors of many lines, said in one: the key, the value, what is allowed and the nearest match."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from hydra.errors import MissingConfigException, OverrideParseException

from mlpexp.config.locate import CONF, groups, options
from mlpexp.config.schema import GROUPS, LIST_GROUPS
from mlpexp.errors import unknown


def explain(error: Exception, overrides: Sequence[str], config_dir: str | Path | None = None) -> str:
    """One line for an error that composing `overrides` ended in."""
    more = [Path(config_dir)] if config_dir is not None and Path(config_dir).is_dir() else []
    if isinstance(error, OverrideParseException):
        given = error.override or next(iter(overrides), "")
        return f"{given}: cannot be read; an override is key=value, such as optimizer.lr=0.01 or model.hidden=[8,8]."
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _missing(error.missing_cfg_file, more)
    text = str(error)
    if found := re.match(r"Could not override '([^']*)'", text):
        return _no_such_key(found[1], overrides, more)
    if found := re.match(r"Ambiguous value for argument '(.*)'", text):
        return f"{found[1]}: several values are a sweep; add -m, or write [a,b] for a list."
    if text.startswith("Sweep parameters"):
        return f"{text.splitlines()[0].rstrip('.')}: add -m."
    if "Config group override must be" in text:
        return _bad_choice(overrides, more)
    first = " ".join(line.strip() for line in text.splitlines()[:1])
    return f"{first.rstrip('.')}." + _among(overrides, text)


def _missing(name: str, more: list[Path]) -> str:
    """A file that the defaults list names and no config directory has."""
    group, _, option = name.rpartition("/")
    if not group or group.startswith("hydra/"):
        return f"{group}={option}: no such option." if group else f"--config-name={name}: no such config."
    names = [known.name for known in options(group, *more)]
    return unknown(f"{group}={option}: no such option", option, names)


def _no_such_key(key: str, overrides: Sequence[str], more: list[Path]) -> str:
    """A key that the composed config does not have."""
    given = next((part for part in overrides if part.lstrip("+~").startswith(f"{key}=")), key)
    parent, _, last = key.rpartition(".")
    top = key.split(".", 1)[0]
    if parent in LIST_GROUPS or parent.rpartition(".")[0] in LIST_GROUPS:
        group, name = top, key.split(".")[1]
        if name not in LIST_GROUPS[group]:
            return unknown(f"{given}: no such {group}", name, LIST_GROUPS[group])
        if not _chosen(group, name, overrides):
            return f"{given}: {name} is not in use; add {group}=[{name}]."
    known = _keys_at(parent, overrides, more)
    if not parent:
        known = sorted({*known, *groups(*more)})
    return unknown(f"{given}: no such key", last, known) if known else f"{given}: {parent} holds no keys."


def _chosen(group: str, name: str, overrides: Sequence[str]) -> bool:
    return any(part.startswith(f"{group}=") and re.search(rf"\b{name}\b", part) for part in overrides)


def _keys_at(parent: str, overrides: Sequence[str], more: list[Path]) -> list[str]:
    """The keys that stand at `parent` when only the choices among `overrides` are composed."""
    from omegaconf import DictConfig, OmegaConf

    from mlpexp.config.compose import compose_raw
    from mlpexp.errors import ConfigError

    names = [*GROUPS, *LIST_GROUPS, "experiment"]
    choices = [part for part in overrides if part.split("=", 1)[0] in names]
    try:
        raw = compose_raw(choices, more[0] if more else None)
    except ConfigError:
        raw = compose_raw([])
    node = OmegaConf.select(raw, parent) if parent else raw
    return [str(key) for key in node] if isinstance(node, DictConfig) else []


def _bad_choice(overrides: Sequence[str], more: list[Path]) -> str:
    """A group that is given something else than a name."""
    for part in overrides:
        key, _, value = part.partition("=")
        if (CONF / key).is_dir() and key and value not in [option.name for option in options(key, *more)]:
            return unknown(f"{part}: must name an option", value, [option.name for option in options(key, *more)])
    return "an override must name an option of its group, such as activation=gelu."


def _among(overrides: Sequence[str], text: str) -> str:
    """Which override an unforeseen message is about, where it does not say so itself."""
    if not overrides or any(part in text for part in overrides):
        return ""
    return f" (in: {' '.join(overrides)})"
