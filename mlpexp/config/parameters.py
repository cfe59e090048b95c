"""The keys that a config has: of each its default as composing gives it, which values are allowed, and what it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from omegaconf import DictConfig, OmegaConf

from mlpexp.config.interpolation import selected
from mlpexp.config.schema import GROUPS, REGISTRIES, Config
from mlpexp.config.user_code import load_plugins
from mlpexp.errors import ConfigError
from mlpexp.fields.convert import hints_of, show
from mlpexp.fields.describe import allowed, meanings


@dataclass(frozen=True)
class Parameter:
    """One key; unknown parts are empty."""

    name: str
    default: str
    allowed: str = ""
    meaning: str = ""


@dataclass(frozen=True)
class Described:
    """A component that an option chooses, at its `key` in the config; `cls` is None for an unregistered name."""

    key: str
    name: str
    cls: type | None
    parameters: list[Parameter]


def describe(raw: DictConfig, group: str) -> list[Described]:
    """The components that a group of a composed, unresolved config holds: one, or any number of regularizers."""
    node: Any = OmegaConf.to_container(raw, resolve=False)
    load_plugins(node.get("plugins"))
    if group in GROUPS:
        return [_described(raw, group, group, node[group])]
    return [_described(raw, group, f"{group}.{name}", part) for name, part in node[group].items()]


def keys(raw: DictConfig) -> list[Parameter]:
    """All keys of a composed, unresolved config; a group is one of them, and `describe` lists its component's."""
    plain: Any = OmegaConf.to_container(raw, resolve=False)
    return list(_parameters(Config, raw, plain, ""))


def _described(raw: DictConfig, group: str, key: str, values: Any) -> Described:
    registry = REGISTRIES[group]
    if not isinstance(values, Mapping):
        raise ConfigError(f"{key}={show(values)}: must name one {registry.kind}: {', '.join(sorted(registry))}.")
    name = str(values.get("name"))
    if name in registry:
        cls = registry[name]
        return Described(key, name, cls, list(_parameters(cls, raw, values, f"{key}.")))
    rows = [Parameter(entry, _default(raw, f"{key}.{entry}", value)) for entry, value in values.items()]
    return Described(key, name, None, [row for row in rows if row.name != "name"])


def _parameters(
    cls: Any, raw: DictConfig, values: Mapping[str, Any], key: str, within: str = ""
) -> Iterator[Parameter]:
    """Those of a dataclass: of the mapping `values`, which stands at `key` in the config, and of those within it."""
    hints, texts = hints_of(cls), meanings(cls)
    for field in dataclasses.fields(cls):
        if not field.init:
            continue
        name, meaning, hint = within + field.name, texts.get(field.name, ""), hints[field.name]
        value = values.get(field.name, _own_default(field))
        inner: Any = get_args(hint)[0] if get_origin(hint) in (list, tuple) else hint
        if cls is Config and field.name in REGISTRIES:
            chosen = value["name"] if field.name in GROUPS else show(list(value))
            yield Parameter(name, chosen, f"see mlpexp list {field.name}", meaning)
        elif not dataclasses.is_dataclass(inner):
            by_data = value is None and not allowed(hint).startswith("null")
            yield Parameter(
                name, "by the data" if by_data else _default(raw, key + name, value), allowed(hint), meaning
            )
        elif inner is hint:
            yield Parameter(name, "", "", meaning)
            yield from _parameters(inner, raw, value if isinstance(value, Mapping) else {}, key, f"{name}.")
        else:
            yield Parameter(name, show(value), allowed(hint), meaning)
            yield from _parameters(inner, raw, {}, key, f"{name}[].")


def _own_default(field: dataclasses.Field[Any]) -> Any:
    """What a field is where the YAML files do not give it."""
    if field.default_factory is not dataclasses.MISSING:
        made = field.default_factory()
        return dataclasses.asdict(made) if dataclasses.is_dataclass(made) else made  # type: ignore[arg-type]
    return "???" if field.default is dataclasses.MISSING else field.default


def _default(raw: DictConfig, key: str, written: Any) -> str:
    """A value as it would be typed; of a reference what it gives here, and where that comes from."""
    if written in ("", "???"):
        return '""' if written == "" else "required"
    if not isinstance(written, str) or "${" not in written:
        return show(written)
    try:
        value = selected(raw, key)
    except ConfigError:
        # Such as an environment variable that is not set.
        return show(written)
    value = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
    if written.startswith("${dataset.recommended."):
        return f"{show(value)}, recommended by dataset={raw.dataset.name}"
    return f"{show(value)}, from {written}"
