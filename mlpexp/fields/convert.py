"""From what YAML gives (mappings, lists, scalars) to checked dataclasses: types, ranges, unknown keys.

OmegaConf's structured configs check types but no ranges, and report a mistake in many lines. This is the part of them
that a component needs, with one clear line for each mistake.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from mlpexp.errors import ConfigError, unknown
from mlpexp.fields.ranges import FilePath, Range

T = TypeVar("T")

KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
# Networks compute in numbers of 32 bits; torch fails on others in the middle of a run.
_MOST = 3.4e38
_EXAMPLES = {int: "[8,8]", float: "[0.9,0.99]", str: "[a,b]"}


def show(value: Any) -> str:
    """A value as a user would type it in an override: null, true, [8,8]."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{','.join(show(item) for item in value)}]"
    if isinstance(value, Mapping):
        return _short("{" + ",".join(f"{key}:{show(item)}" for key, item in value.items()) + "}")
    return _short(str(value))


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."


class Named(dict[str, T]):
    """A mapping of names that the user chooses, such as columns; it hashes as fields must, so it is never changed.

    It is written as a mapping, or as a list of texts `name: value`, where a name may have any characters.
    """

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))


class Interpolated(str):
    """A text that is read as what its field holds, a number too: what ${oc.env:LR} gives, or a user types."""

    __slots__ = ()


def convert(value: Any, annotation: Any, key: str) -> Any:
    """`value` as the type that `annotation` says, or ConfigError naming `key`, the value and what is allowed.

    Whole numbers pass for floats, and floats without a fraction (1e3) for whole numbers; nothing else is converted:
    neither "3" nor true is a number. `???` is how a YAML file says that the user must give a value.
    """
    if value == "???":
        raise ConfigError(_missing(key))
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *limits = get_args(annotation)
        converted = convert(value, inner, key)
        for limit in limits:
            if isinstance(limit, FilePath) and converted is not None:
                converted = os.path.expanduser(converted)  # noqa: PTH111  (Path would drop a final slash)
            if isinstance(limit, Range) and converted is not None and converted not in limit:
                # Whole numbers can be larger than any float.
                finite = isinstance(converted, int) or math.isfinite(converted)
                allowed = limit.wanted(converted) if finite else f"a finite number {limit}".rstrip()
                raise ConfigError(f"{key}={show(value)}: must be {allowed}.")
        return converted
    if origin in (Union, types.UnionType):
        options = [option for option in get_args(annotation) if option is not type(None)]
        if value is None and len(options) < len(get_args(annotation)):
            return None
        return convert(value, _option(value, options, key), key)
    if origin is Literal:
        choices = get_args(annotation)
        if value not in choices and isinstance(value, Interpolated):
            value = _read(value)
        # 1 equals true, and is another value.
        for choice in choices:
            if choice == value and isinstance(choice, bool) == isinstance(value, bool):
                return choice
        raise ConfigError(unknown(f"{key}={show(value)}: not allowed", show(value), map(show, choices)))
    if origin in (list, tuple):
        items = get_args(annotation)
        if isinstance(value, Interpolated) and value.startswith("["):
            value = [Interpolated(entry.strip()) for entry in value.strip("[]").split(",") if entry.strip()]
        if origin is tuple and isinstance(value, str) and _bare(items[0]) is str:
            value = [value]
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{key}={show(value)}: must be a list, such as {_EXAMPLES.get(_bare(items[0]), '[]')}.")
        if origin is list or items[-1] is Ellipsis:
            items = items[:1] * len(value)
        if len(value) != len(items):
            raise ConfigError(f"{key}={show(value)}: must be a list of {len(items)} values.")
        return origin(
            convert(entry, item, f"{key}[{at}]") for at, (entry, item) in enumerate(zip(value, items, strict=True))
        )
    if origin in (dict, Named):
        *_, item = get_args(annotation)
        if origin is Named and isinstance(value, list | tuple) and all(isinstance(entry, str) for entry in value):
            # ["sepal length (cm): number"]: Hydra's grammar takes few characters in a key.
            pairs = [entry.rpartition(":") for entry in value]
            if unpaired := [entry for entry, (_, colon, _) in zip(value, pairs, strict=True) if not colon]:
                raise ConfigError(f"{key}={show(value)}: '{unpaired[0]}' must be a name and what it is: NAME: VALUE.")
            value = {name.strip(): Interpolated(entry.strip()) for name, _, entry in pairs}
        if not isinstance(value, Mapping):
            raise ConfigError(f"{key}={show(value)}: must be a mapping.")
        if item is Any:
            return dict(value)
        return origin({str(name): convert(entry, item, f"{key}.{name}") for name, entry in value.items()})
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        return build(annotation, value, key)
    return _scalar(value, annotation, key)


def _missing(key: str) -> str:
    return f"{key}: is required; give it a value, {key}=VALUE."


def _option(value: Any, options: Sequence[Any], key: str) -> Any:
    """Which of a field's alternatives a value is meant as, by its kind: a mapping, a list, or the first of them."""
    if len(options) > 1:
        several = isinstance(value, list | tuple)
        named = several and value and all(isinstance(entry, str) and ":" in entry for entry in value)
        if several or isinstance(value, Mapping):
            origins = (list, tuple) if several and not named else (dict, Named)
            return next((option for option in options if get_origin(option) in origins), options[0])
        if get_origin(options[0]) is Literal and value not in get_args(options[0]):
            words = [*get_args(options[0]), *(_FORMS[get_origin(option)] for option in options[1:])]
            raise ConfigError(f"{key}={show(value)}: must be {', '.join(words[:-1])} or {words[-1]}.")
    return options[0]


# How values of several parts are typed.
_FORMS: dict[Any, str] = {
    Named: "a mapping such as {a:1,b:2}",
    dict: "a mapping such as {a:1,b:2}",
    tuple: "a list such as [1,2]",
}


def as_plain(value: Any) -> Any:
    """What `convert` and `build` have made, as mappings, lists and scalars again."""
    if dataclasses.is_dataclass(value):
        return {field.name: as_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, list | tuple):
        return [as_plain(entry) for entry in value]
    return {key: as_plain(entry) for key, entry in value.items()} if isinstance(value, Mapping) else value


def _bare(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _scalar(value: Any, kind: type, key: str) -> Any:
    if kind is float and isinstance(value, int | float) and _MOST < abs(value) < math.inf:
        raise ConfigError(f"{key}={show(value)}: must be between -3.4e38 and 3.4e38, what 32 bits hold.")
    if isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool):
        return str(value) if kind is str else value
    if isinstance(value, Interpolated):
        value = _read(value)
        return value if isinstance(value, bool) and kind is bool else _scalar(value, kind, key)
    if not isinstance(value, bool):
        if kind is float and isinstance(value, int):
            return float(value)
        if kind is int and isinstance(value, float) and value.is_integer():
            return int(value)
    raise ConfigError(f"{key}={show(value)}: must be {KINDS.get(kind, kind.__name__)}.")


def _read(text: str) -> Any:
    """A text as the whole number, number or truth value that it spells."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text.lower(), str(text))


def build(cls: type[T], values: Any, key: str) -> T:
    """A dataclass `cls` from the mapping found at `key`, or ConfigError with a line for each field that is wrong.

    Its own checks run in its `__post_init__`, once each field is valid.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{key}={show(values)}: must hold keys of its own: {', '.join(fields_of(cls))}.")
    wrong = wrong_keys(values, fields_of(cls), key)
    hints = hints_of(cls)  # type: ignore[arg-type]
    converted: dict[str, Any] = {}
    for name, value in values.items():
        if name in hints:
            try:
                converted[name] = convert(value, hints[name], f"{key}.{name}" if key else name)
            except ConfigError as error:
                wrong += error.lines
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if field.init and required and field.name not in values:
            wrong.append(_missing(f"{key}.{field.name}" if key else field.name))
    if wrong:
        raise ConfigError(*wrong)
    try:
        return cls(**converted)
    except ConfigError as error:
        # A component knows its fields, not the key under which a config holds it.
        raise ConfigError(*(f"{key}.{line}" if key else line for line in error.lines)) from None


@functools.cache
def hints_of(cls: type) -> dict[str, Any]:
    """The annotations of a dataclass, cached: without that, checking a config takes a fifth longer."""
    return get_type_hints(cls, include_extras=True)


def fields_of(cls: type) -> list[str]:
    """The parameters of a component, in the order in which they stand."""
    return [field.name for field in dataclasses.fields(cls) if field.init]


def wrong_keys(values: Mapping[Any, Any], allowed: Sequence[str], key: str) -> list[str]:
    """A line for each key of `values` that is not `allowed`."""
    lines = []
    for name in values:
        if name not in allowed:
            full = f"{key}.{name}" if key else str(name)
            if allowed:
                lines.append(unknown(f"{full}={show(values[name])}: no such key", str(name), allowed))
            else:
                lines.append(f"{full}={show(values[name])}: no such key; {key} has no settings.")
    return lines
