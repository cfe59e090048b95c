"""What can be seen of a component without training: its fields, its YAML file, and what run.json keeps of it."""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from mlpexp.components.regularizer import Regularizer
from mlpexp.config.locate import CONF, options
from mlpexp.config.schema import LIST_GROUPS, Config, parse
from mlpexp.errors import ConfigError
from mlpexp.fields.convert import convert, fields_of, hints_of, show


class Place:
    """What is checked, by group and name, and where its file lies."""

    def __init__(self, component: type, group: str, name: str, config_dir: Path | None) -> None:
        self.component, self.group, self.name = component, group, name
        self.choice = f"{group}={name}"
        found = [root for root in self._roots(config_dir) if (root / group / f"{name}.yaml").is_file()]
        self.config_dir = found[0] if len(found) == 1 else None
        self.file = self.config_dir / group / f"{name}.yaml" if self.config_dir else None
        if found:
            self.missing = f"lies in {' and in '.join(map(_shown, found))}; give config_dir"
        else:
            self.missing = f"is missing; write it in {_shown(config_dir or self._home / 'CONFIG_DIR')}"

    @property
    def fields(self) -> list[dataclasses.Field[Any]]:
        """The fields that its file holds. What a dataset recommends is left out: its file says what differs."""
        every = dataclasses.fields(self.component)
        return [field for field in every if field.init and (self.group, field.name) != ("dataset", "recommended")]

    @property
    def _home(self) -> Path:
        return Path(inspect.getfile(self.component)).resolve().parent

    def _roots(self, given: Path | None) -> list[Path]:
        if given is not None:
            return [given]
        if self.component.__module__.partition(".")[0] == "mlpexp":
            return [CONF]
        return [self._home, *sorted(entry for entry in self._home.iterdir() if entry.is_dir())]


def _shown(path: Path) -> str:
    """A path relative to the working directory, where it lies there."""
    return str(path.relative_to(Path.cwd()) if path.is_absolute() and path.is_relative_to(Path.cwd()) else path)


def faults_of_fields(place: Place) -> Iterator[str]:
    """Values that fields accept though they make no sense."""
    hints = hints_of(place.component)
    for field in fields_of(place.component):
        key = f"{place.choice}: the field {field}"
        try:
            convert(object(), hints[field], field)
        except ConfigError:
            pass
        except Exception:
            yield (
                f"{key} has an annotation that no config can be checked against; use float, int, bool, str, Literal, "
                "a tuple of these, a range such as Positive, or one of them or None."
            )
            continue
        for value in (math.nan, math.inf, [math.nan], [math.inf]):
            if _passes(value, hints[field]):
                yield f"{key} takes {show(value)}; annotate it with a range, such as Finite, Positive or Fraction."
                break
    if issubclass(place.component, Regularizer):
        for field in place.component.strengths:
            if field not in fields_of(place.component):
                yield f"{place.choice}: strengths names {field}, which is no field."


def _passes(value: Any, hint: Any) -> bool:
    try:
        convert(value, hint, "")
    except ConfigError:
        return False
    return True


def faults_of_file(place: Place) -> Iterator[str]:
    """Where the YAML file is not what the dataclass says, and `mlpexp list` has no line to show."""
    if place.file is None or place.config_dir is None:
        yield f"{place.choice}: its file {place.group}/{place.name}.yaml {place.missing}."
        return
    where = _shown(place.file)
    (option,) = [option for option in options(place.group, place.config_dir) if option.name == place.name]
    if not option.comment:
        yield f"{where}: begins without a comment; its first line is what `mlpexp list {place.group}` shows."
    try:
        values: Any = OmegaConf.to_container(OmegaConf.load(place.file), resolve=False)
    except Exception:
        # Composing says what is wrong with the syntax.
        return
    if place.group in LIST_GROUPS:
        if not isinstance(values, dict) or list(values) != [place.name]:
            yield f"{where}: must hold the one key {place.name}, and under it the name and the fields."
            return
        values = values[place.name]
    keys = ["name", *(field.name for field in place.fields)]
    beside = {"defaults", *(["recommended"] if place.group == "dataset" else [])}
    held = [key for key in values if key not in beside] if isinstance(values, dict) else []
    if held != keys:
        yield f"{where}: holds the keys {show(held)}; must hold the name and the fields in their order, {show(keys)}."
        return
    if values["name"] != place.name:
        yield f"{where}: has name={show(values['name'])}; {place.component.__name__} is registered as {place.name}."
    yield from _other_defaults(place, where, values)


def _other_defaults(place: Place, where: str, values: dict[str, Any]) -> Iterator[str]:
    hints = hints_of(place.component)
    for field in place.fields:
        written = values[field.name]
        default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        referring = isinstance(written, str) and (written == "???" or written.startswith("${"))
        if default is dataclasses.MISSING or referring:
            continue
        try:
            same = convert(written, hints[field.name], field.name) == default
        except ConfigError:
            same = False
        if not same:
            yield f"{where}: has {field.name}={show(written)}; the default of the field is {show(default)}."


def faults_of_record(place: Place, config: Config) -> Iterator[str]:
    """Where run.json does not restore the component."""
    plain = config.to_dict()
    try:
        if parse(json.loads(json.dumps(plain))) == config:
            return
        reason = "it has other values then"
    except (ConfigError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
    yield f"{place.choice}: cannot be restored from run.json: {reason}."
