"""What is wrong with an override, in one line: the key, the value, what is allowed and the nearest match."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.types import Override
from hydra.errors import MissingConfigException
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from mlpexp.config.schema import GROUPS, LIST_GROUPS, REGISTRIES, SETTINGS
from mlpexp.config.synonyms import KEYS
from mlpexp.errors import unknown
from mlpexp.fields.convert import fields_of, show

# The options of hydra/launcher and hydra/sweeper that need an extra of mlpexp.
_EXTRAS = {
    "hydra/launcher/joblib": "joblib",
    "hydra/launcher/submitit_local": "slurm",
    "hydra/launcher/submitit_slurm": "slurm",
    "hydra/launcher/ray": "ray",
    "hydra/sweeper/optuna": "optuna",
}


class Sources:
    """The groups and options that there are: in conf/, in --config-dir, in hydra.searchpath and in Hydra's plugins."""

    def __init__(self, loader: ConfigLoader, config_name: str, search_path: Sequence[str]) -> None:
        self._loader = loader
        # A main config of the user's own may bring a search path; reading ours for each list would take time.
        self._config_name = None if config_name == "config" else config_name
        self._search_path = list(search_path)
        self._options: dict[str, list[str]] = {}

    def options(self, group: str) -> list[str]:
        """The options of a group, by name."""
        if group not in self._options:
            self._options[group] = self._listed(group, ObjectType.CONFIG)
        return self._options[group]

    @cached_property
    def groups(self) -> list[str]:
        """The groups except Hydra's own, by name."""
        return [name for name in self._listed("", ObjectType.GROUP) if name != "hydra"]

    @cached_property
    def hydra_groups(self) -> list[str]:
        return [f"hydra/{name}" for name in self._listed("hydra", ObjectType.GROUP)]

    def is_group(self, key: str) -> bool:
        return key in self.groups or ("/" in key and bool(self.options(key)))

    def primaries(self) -> list[str]:
        """The main configs that --config-name can name."""
        names = {str(path.stem) for source in self._loader.get_sources() for path in _yaml_files(source.path)}
        return sorted(names)

    def unknown_group(self, given: str, group: str) -> str:
        return unknown(f"{given}: no such group", group, self.groups)

    def _listed(self, group: str, kind: ObjectType) -> list[str]:
        try:
            return sorted(self._loader.get_group_options(group, kind, self._config_name, self._search_path))
        except Exception:
            # A main config that cannot be read is reported where it is composed.
            return sorted(self._loader.get_group_options(group, kind))


def _yaml_files(directory: str) -> list[Path]:
    return list(Path(directory).glob("*.yaml")) if Path(directory).is_absolute() else []


def wrong_choice(parsed: Override, given: str, sources: Sources) -> str | None:
    """What is wrong with an override that chooses an option of a group."""
    group, value = parsed.key_or_group, parsed.value()
    names = sources.options(group)
    if parsed.is_delete():
        if group in GROUPS:
            return f"{given}: a run needs one {group}; choose another: {', '.join(names)}."
        return f"{given}: write {group}=[] to use none." if group in LIST_GROUPS else None
    if parsed.is_force_add():
        return f"{given}: an option of a group is chosen without ++."
    if parsed.package is not None and group in REGISTRIES and not parsed.is_add():
        return unknown(f"{given}: no such key", f"{group}@{parsed.package}", {*sources.groups, *SETTINGS})
    if parsed.is_add() and parsed.package is None and group in {*REGISTRIES, "experiment"}:
        return f"{given}: {group} is in the config already; leave out the + to choose another."
    if group in GROUPS and isinstance(value, list) and len(value) != 1:
        return f"{given}: must name one {group}: {', '.join(names)}."
    if group in LIST_GROUPS and value in (None, ""):
        return unknown(f"{given}: must be a list of names, such as [l2], or [] for none", "", names)
    if value is None and group not in REGISTRIES:
        return None
    synonyms = (
        GROUPS[group].synonyms if group in GROUPS else LIST_GROUPS[group].synonyms if group in LIST_GROUPS else {}
    )
    for name in value if isinstance(value, list) else [value]:
        if not isinstance(name, str):
            return unknown(f"{given}: must name an option", show(name), names)
        if name not in names:
            if extra := _EXTRAS.get(f"{group}/{name}"):
                return f"{group}={name}: needs an extra that is not installed: pip install 'mlpexp[{extra}]'."
            return unknown(f"{group}={name}: no such option", name, names, synonyms)
    return None


def wrong_hydra(parsed: Override, given: str, sources: Sources) -> str | None:
    """What is wrong with an override of Hydra itself, as far as that can be told before it is composed."""
    key, value = parsed.key_or_group, parsed.value()
    if key.startswith("hydra/"):
        if key not in sources.hydra_groups:
            return unknown(f"{given}: no such group", key, sources.hydra_groups)
        return None if parsed.is_delete() else wrong_choice(parsed, given, sources)
    if key == "hydra.searchpath":
        if not isinstance(value, list) or not all(isinstance(path, str) for path in value):
            return f"{given}: must be a list of directories, such as [file:///home/me/conf]."
        for path in value:
            if "://" not in path.replace("file://", "") and not Path(path.removeprefix("file://")).is_dir():
                return f"{given}: there is no config directory {path}."
    if key == "hydra.job.env_copy" and isinstance(value, list):
        for name in value:
            if str(name) not in os.environ:
                return f"{given}: the environment variable '{name}' is not set."
    return None


def no_such_key(given: str, key: str, plain: Mapping[str, Any], sources: Sources) -> str:
    """The message for a key that the override `given` names and the config `plain` does not have."""
    parent, _, last = key.rpartition(".")
    group, *below = key.split(".")
    if group in LIST_GROUPS and below and below[0] not in (used := plain.get(group) or {}):
        name = below[0]
        if name not in LIST_GROUPS[group]:
            return unknown(f"{given}: no such {group}", name, LIST_GROUPS[group], LIST_GROUPS[group].synonyms)
        return f"{given}: {name} is not in use; add {group}=[{','.join([*used, name])}]."
    node: Any = plain
    for part in filter(None, parent.split(".")):
        node = node.get(part) if isinstance(node, Mapping) else None
    if not isinstance(node, Mapping):
        return f"{given}: {parent} holds no keys."
    if not parent:
        if meant := _meant(last, given.partition("=")[2]):
            return f"{given}: no such key; did you mean '{meant}'?"
        if deeper := next((f"{name}.{last}" for name, part in plain.items() if last in _keys_of(part)), None):
            return f"{given}: no such key; did you mean '{deeper}'?"
        return unknown(f"{given}: no such key", last, {*plain, *sources.groups})
    if parent in GROUPS and (owners := [name for name, cls in GROUPS[parent].items() if last in fields_of(cls)]):
        having = " or ".join(f"{parent}={name}" for name in owners)
        return f"{given}: {parent}={node.get('name')} has no such key; {having} has."
    known = {str(name) for name in node} - {"name"}
    if not known:
        return f"{given}: no such key; {parent} has no settings."
    return unknown(f"{given}: no such key", last, known)


def _keys_of(part: Any) -> set[str]:
    return {str(name) for name in part} - {"name"} if isinstance(part, Mapping) else set()


def _meant(word: str, value: str) -> str | None:
    """The overrides with the meaning of another library's key."""
    written = KEYS.get(word.lower().replace("-", "_"))
    return None if written is None else written.format(value=value, list=value if value[:1] == "[" else f"[{value}]")


def explain(error: Exception, overrides: Sequence[str], sources: Sources) -> str:
    """One line for what Hydra raises while it composes options: something is wrong with a file, or with a value that
    is about Hydra itself."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = error.missing_cfg_file.rpartition("/")
        if not group:
            return unknown(f"--config-name={option}: no such config", option, sources.primaries())
        return unknown(f"{group}={option}: no such option", option, sources.options(group))
    if (mark := getattr(error, "problem_mark", None)) is not None:
        return f"{mark.name}: line {mark.line + 1}: {getattr(error, 'problem', '')}."
    if isinstance(error, UnicodeDecodeError):
        return f"a config file is not UTF-8 text: {error.reason} at byte {error.start}.{_among(overrides)}"
    cause = error.__cause__
    if isinstance(cause, OmegaConfBaseException):
        key = str(cause.full_key or "")
        given = next((part for part in overrides if key and part.lstrip("+~").startswith((f"{key}=", f"{key}."))), key)
        if isinstance(cause, ConfigAttributeError | ConfigKeyError) and isinstance(cause.parent_node, DictConfig):
            return unknown(f"{given}: no such key", key.rpartition(".")[2], map(str, cause.parent_node))
        if given:
            return f"{given}: {reason(cause)}."
    return f"{reason(cause or error)}.{_among(overrides)}"


def explain_value(error: Exception, written: Any, key: str = "") -> str:
    """One line for an interpolation in the unresolved config `written` that cannot be resolved.

    `key` is where it stands, if the error does not say so.
    """
    key = str(getattr(error, "full_key", None) or key)
    for part in re.findall(r"[^.\[\]]+", key):
        written = written[int(part) if isinstance(written, list) else part]
    return f"{key}={show(written)}: {reason(error)}."


# Messages of OmegaConf on interpolations and types, and ours in their place.
_REASONS = (
    (r"Interpolation key '(.*)' not found", r"there is no key '\1'"),
    (r".*Environment variable '(.*)' not found.*", r"the environment variable '\1' is not set"),
    (r"Unsupported interpolation type (.*)", r"there is no resolver '\1'"),
    (r"MissingMandatoryValue while resolving interpolation: Missing mandatory value: (.*)", r"\1 is required"),
    (r"Missing mandatory value.*", "is required"),
    (r"Recursive interpolation detected", "refers to itself"),
    (r"field '.*' is not Optional", "must not be null"),
    (r"Invalid value '.*', expected one of \[(.*)\]", r"must be one of: \1"),
)


def reason(error: BaseException) -> str:
    """The first line of what an error says, in our words where it is a common one."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    for theirs, ours in _REASONS:
        if re.fullmatch(theirs, first):
            return re.sub(theirs, ours, first)
    return first.rstrip(".")


def _among(overrides: Sequence[str]) -> str:
    """Which overrides an unforeseen message is about, where it does not say so itself."""
    return f" (in: {' '.join(overrides)})" if overrides else ""
