"""Hydra's errors of many lines, said in one: the key, the value, what is allowed and the nearest match."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mlpexp.config.convert import fields_of, show
from mlpexp.config.locate import CONF, groups, hydra_options, options
from mlpexp.config.overrides import parse_override, unreadable
from mlpexp.config.schema import GROUPS, LIST_GROUPS
from mlpexp.errors import unknown
from mlpexp.registry import Registry


def explain(error: Exception, overrides: Sequence[str], config_dir: str | Path | None = None) -> str:
    """One line for an error that composing `overrides` ended in."""
    more = [Path(config_dir)] if config_dir is not None and Path(config_dir).is_dir() else []
    if isinstance(error, OverrideParseException):
        return unreadable(error.override or next(iter(overrides), ""))
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _missing(error.missing_cfg_file, overrides, more)
    if (mark := getattr(error, "problem_mark", None)) is not None:
        return f"{mark.name}: line {mark.line + 1}: {getattr(error, 'problem', '')}."
    if isinstance(error, UnicodeDecodeError):
        return f"a config file is not UTF-8 text: {error.reason} at byte {error.start}.{_among(overrides, '')}"
    text = str(error)
    if found := re.match(r"Could not override '([^']*)'", text):
        # In a mapping, such as log={figure:false}, it is a key inside it that is not there.
        inside = str(getattr(error.__cause__, "full_key", ""))
        key = inside if inside.startswith(f"{found[1]}.") else found[1]
        return _no_such_key(key, _given(found[1], overrides), overrides, more)
    if found := re.match(r"Could not delete (?:from config\. (?:The value of )?)?'([^'=]*)", text):
        return _cannot_delete(found[1], overrides, more)
    if found := re.match(r"(?:Ambiguous value for argument|Sweep parameters) '(.*)'", text):
        return f"{found[1]}: several values are a sweep; add -m, or write [a,b] for a list."
    if found := re.match(r"Could not append to config\. An item is already at '(.*)'", text):
        return f"{_given(found[1], overrides)}: {found[1]} has a value already; leave out the + to give it another."
    if found := re.match(r"(\S+) appears more than once|Multiple values for ([^.]+)\.", text):
        group = found[1] or found[2]
        return f"{_given(group, overrides)}: {group} is in the config already; leave out the + to choose another."
    if found := re.match(r"force-add of config groups is not supported: '(.*)'", text):
        return f"{found[1]}: an option of a group is chosen without ++."
    if found := re.match(r"Error merging override (.*)", text, re.DOTALL):
        return f"{found[1]}: {_reason(error.__cause__ or error)}."
    if found := re.match(r"provider=.*, path=(.*) is not available", text):
        return f"{_given('hydra.searchpath', overrides)}: there is no config directory {found[1]}."
    if found := re.match(r"Override (.*) looks like a config group override, but config group '(.*)' does", text):
        return unknown(f"{found[1]}: no such group", found[2], groups(*more))
    if text.startswith("hydra.searchpath must be"):
        return (
            f"{_given('hydra.searchpath', overrides)}: must be a list of directories, such as [file:///home/me/conf]."
        )
    if "Config group override must be" in text:
        return _bad_choice(overrides, more)
    if isinstance(error, KeyError):
        return f"{_given('hydra.job.env_copy', overrides)}: the environment variable {text} is not set."
    return f"{_reason(error)}." + _among(overrides, text)


def explain_value(error: OmegaConfBaseException, config: DictConfig) -> str:
    """One line for an interpolation that cannot be resolved."""
    key = str(error.full_key or "")
    written: Any = OmegaConf.to_container(config, resolve=False)
    for part in re.findall(r"[^.\[\]]+", key):
        written = written[int(part) if isinstance(written, list) else part]
    return f"{key}={show(written)}: {_reason(error)}."


# What OmegaConf says, and what it means to who wrote the config.
_REASONS = (
    (r"Interpolation key '(.*)' not found", r"there is no key '\1'"),
    (r".*Environment variable '(.*)' not found.*", r"the environment variable '\1' is not set"),
    (r"Unsupported interpolation type (.*)", r"there is no resolver '\1'"),
    (r"Missing mandatory value.*", "is required"),
    (r"Recursive interpolation detected", "refers to itself"),
    (r"field '.*' is not Optional", "must not be null"),
    (r"Invalid value '.*', expected one of \[(.*)\]", r"must be one of: \1"),
)


def _reason(error: BaseException) -> str:
    """The first line of what an error says, in our words where it is a common one."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    for theirs, ours in _REASONS:
        if re.fullmatch(theirs, first):
            return re.sub(theirs, ours, first)
    return first.rstrip(".")


def _given(key: str, overrides: Sequence[str]) -> str:
    """The override of `key` as the user wrote it."""
    return next((part for part in overrides if re.match(rf"[+~]*{re.escape(key)}(?:[=@]|$)", part)), key)


# What hydra/launcher and hydra/sweeper offer once an extra of ours is installed.
_EXTRAS = {
    "hydra/launcher/joblib": "joblib",
    "hydra/launcher/submitit_local": "slurm",
    "hydra/launcher/submitit_slurm": "slurm",
    "hydra/launcher/ray": "ray",
    "hydra/sweeper/optuna": "optuna",
}


def _missing(name: str, overrides: Sequence[str], more: list[Path]) -> str:
    """A file that the defaults list names and no config directory has."""
    group, _, option = name.rpartition("/")
    if not group:
        return unknown(f"--config-name={name}: no such config", name, _primaries(more))
    if extra := _EXTRAS.get(name):
        return f"{group}={option}: needs an extra that is not installed: pip install 'mlpexp[{extra}]'."
    if (registry := {**GROUPS, **LIST_GROUPS}.get(group)) is not None and _registered(option, registry, overrides):
        where = more[0] if more else "a directory that --config-dir names"
        return f"{group}={option}: is registered, but its file {group}/{option}.yaml is missing; write it in {where}."
    names = hydra_options(group) if group.startswith("hydra/") else [known.name for known in options(group, *more)]
    return unknown(f"{group}={option}: no such option", option, names)


def _registered(name: str, registry: Registry[Any], overrides: Sequence[str]) -> bool:
    """Whether the modules that `plugins` names register a component."""
    from mlpexp.config.compose import load_plugins

    if (named := next((part for part in overrides if re.match(r"\+*plugins=", part)), None)) is not None:
        load_plugins(parse_override(named).value())
    return name in registry


def _primaries(more: list[Path]) -> set[str]:
    """The main configs that there are to name."""
    return {path.stem for root in (CONF, *more) for path in root.glob("*.yaml")}


def _no_such_key(key: str, given: str, overrides: Sequence[str], more: list[Path]) -> str:
    """A key that the composed config does not have, and that the override `given` names."""
    parent, _, last = key.rpartition(".")
    config = _composed(overrides, more)
    group, *below = key.split(".")
    if group in LIST_GROUPS and below and below[0] not in config.get(group, {}):
        name, used = below[0], [*config.get(group, {})]
        if name not in LIST_GROUPS[group]:
            return unknown(f"{given}: no such {group}", name, LIST_GROUPS[group])
        return f"{given}: {name} is not in use; add {group}=[{','.join([*used, name])}]."
    if key.startswith("hydra/"):
        return unknown(
            f"{given}: no such group", key, [f"hydra/{name}" for name in hydra_options("hydra", groups=True)]
        )
    node = OmegaConf.select(config, parent, throw_on_resolution_failure=False) if parent else config
    if not isinstance(node, DictConfig):
        return f"{given}: {parent} holds no keys."
    if not parent and (meant := _deeper(config, last)):
        return f"{given}: no such key; did you mean '{meant}'?"
    if parent in GROUPS and (owners := [name for name, cls in GROUPS[parent].items() if last in fields_of(cls)]):
        having = " or ".join(f"{parent}={name}" for name in owners)
        return f"{given}: {parent}={node.get('name')} has no such key; {having} has."
    known = {str(name) for name in node} - ({"name"} if parent else {"hydra"})
    if not known:
        return f"{given}: no such key; {parent} has no settings."
    return unknown(f"{given}: no such key", last, known if parent else {*known, *groups(*more)})


def _deeper(config: DictConfig, name: str) -> str | None:
    """The key further down that ends in `name`, as `optimizer.lr` in lr."""
    sections = {str(key): node for key, node in config.items() if isinstance(node, DictConfig) and key != "hydra"}
    return next((f"{key}.{name}" for key, node in sections.items() if name != "name" and name in node), None)


def _composed(overrides: Sequence[str], more: list[Path]) -> DictConfig:
    """The config, Hydra's node included, with the choices among `overrides` only."""
    from mlpexp.config.compose import by_hydra

    names = groups(*more)
    choices = [part for part in overrides if part.split("=", 1)[0] in names]
    directory = more[0] if more else None
    # Not `compose_raw`: what is wrong with a choice is not to be explained in its turn, without an end.
    try:
        return by_hydra(choices, directory, "config", with_hydra=True)
    except Exception:
        return by_hydra([], None, "config", with_hydra=True)


def _cannot_delete(key: str, overrides: Sequence[str], more: list[Path]) -> str:
    """A key or group that an override with ~ names, and that is not there as it says."""
    given = _given(key, overrides)
    config = _composed(overrides, more)
    if key in groups(*more):
        return f"{given}: no such {key} is in use."
    parent, _, last = key.rpartition(".")
    node = OmegaConf.select(config, parent, throw_on_resolution_failure=False) if parent else config
    if isinstance(node, DictConfig) and last in node:
        return f"{given}: {key} is {show(node[last])}."
    return _no_such_key(key, given, overrides, more)


def _bad_choice(overrides: Sequence[str], more: list[Path]) -> str:
    """A group that is given something else than a name."""
    for part in overrides:
        key, _, value = part.lstrip("+").partition("=")
        names = [option.name for option in options(key, *more)] if key in groups(*more) else hydra_options(key)
        if names and value not in names:
            return unknown(f"{part}: must name an option", value, names)
    return "an override must name an option of its group, such as activation=gelu."


def _among(overrides: Sequence[str], text: str) -> str:
    """Which override an unforeseen message is about, where it does not say so itself."""
    if not overrides or any(part in text for part in overrides):
        return ""
    return f" (in: {' '.join(overrides)})"
