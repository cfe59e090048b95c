"""From checked overrides to configs: Hydra composes the choices, and every other value is set here.

Composing has two steps. The defaults list, which only the choices of options decide, is read from files and merged by
Hydra; that takes some sixty milliseconds and is done once for each set of choices. Then the other overrides are
applied in order, on plain mappings, with the meaning that they have in Hydra.
"""

from __future__ import annotations

import contextlib
import copy
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, flag_override
from omegaconf.errors import OmegaConfBaseException

from mlpexp.config import hydra_adapter
from mlpexp.config.effects import check_keys, check_parts
from mlpexp.config.explain import Sources, explain, no_such_key, reason, wrong_choice, wrong_hydra
from mlpexp.config.interpolation import resolved, selected
from mlpexp.config.locate import config_directory
from mlpexp.config.nested import copied, find, make, merge
from mlpexp.config.overrides import is_about_hydra, is_about_sweep, parse_override, several
from mlpexp.config.schema import GROUPS, REGISTRIES, SETTINGS, Config, Sweep, parse
from mlpexp.config.user_code import load_plugins, refused
from mlpexp.errors import ConfigError
from mlpexp.fields.convert import Interpolated, Named, as_plain, convert, hints_of, show

# hydra.sweep.subdir where jobs are named after what varies.
AUTO = "auto"


class Composer:
    """Composes configs from overrides of one value each.

    `config_dir` is a directory of options as with --config-dir; `about_hydra` are overrides of Hydra itself, which
    all configs share.
    """

    def __init__(
        self,
        config_dir: str | Path | None = None,
        config_name: str = "config",
        about_hydra: Sequence[str] = (),
    ) -> None:
        self.config_dir = None if config_dir is None else str(config_directory(config_dir))
        self.loader = hydra_adapter.config_loader(config_dir)
        self.config_name = config_name
        self._parsed: dict[str, Override | ConfigError] = {}
        self._choices: dict[str, str | None] = {}
        self._strange: dict[str, str] = {}
        self._composed: dict[tuple[str, ...], tuple[DictConfig, dict[str, Any]] | ConfigError] = {}
        self._wrong: list[str] = []
        self._about_hydra: list[str] = []
        self._sources = Sources(self.loader, config_name, [])
        # Which options there are depends on hydra.searchpath.
        for given in sorted(about_hydra, key=lambda given: "searchpath" not in given):
            try:
                parsed = self._single(given)
                line = wrong_hydra(parsed, given, self._sources)
            except ConfigError as error:
                self._wrong += error.lines
                continue
            if line is not None:
                self._wrong.append(line)
                continue
            self._about_hydra.append(parsed.input_line or given)
            if parsed.key_or_group == "hydra.searchpath":
                self._sources = Sources(self.loader, config_name, self._about_hydra[-1:])

    def config(self, overrides: Sequence[str]) -> Config:
        """The checked config, or ConfigError with a line for each thing that is wrong."""
        wrong, plain, base = self._plain(overrides)
        found: Config | None = None
        try:
            if plain is not None and base is not None:
                found = _checked(plain, base, overrides=[self._single(given) for given in self._readable(overrides)])
        except ConfigError as error:
            wrong += [line for line in error.lines if not _said(line, wrong + list(error.lines), plain)]
        if wrong or found is None:
            raise ConfigError(*dict.fromkeys(wrong))
        return found

    def raw(self, overrides: Sequence[str]) -> DictConfig:
        """The composed config, unresolved, with Hydra's own node; its values are not checked."""
        wrong, plain, base = self._plain(overrides)
        if wrong or plain is None or base is None:
            raise ConfigError(*dict.fromkeys(wrong))
        return _with_hydra(plain, base, [self._single(given) for given in overrides])

    def of_sweep(self, overrides: Sequence[str]) -> DictConfig:
        """The config of a sweep, with Hydra's own node, unresolved: its jobs differ in what `overrides` list.

        Mistakes in the jobs are reported where these are checked; the config here is composed without them.
        """
        parsed: list[Override] = []
        for given in overrides:
            with contextlib.suppress(ConfigError):
                parsed.append(parse_override(given))
        single = [override.input_line or "" for override in parsed if not override.is_sweep_override()]
        _, plain, base = self._plain(single)
        if plain is None or base is None:
            _, plain, base = self._plain([given for given in single if given.startswith("experiment=")])
        if self._wrong:
            raise ConfigError(*self._wrong)
        if plain is None or base is None:
            base, plain = self._base(())
        return _with_hydra(plain, base, parsed)

    def sweep(self, overrides: Sequence[str]) -> Sweep:
        """What an experiment, and overrides of `sweep`, say of the jobs of a sweep; ConfigError where that is wrong."""
        about = [given for given in overrides if is_about_sweep(given)]
        experiments = [given for given in overrides if given.startswith("experiment=") and "," not in given]
        try:
            wrong, plain, base = self._plain([*experiments, *about])
        except ConfigError:
            # What is wrong with an experiment is reported with the jobs.
            wrong, plain, base = self._plain(about)
        if wrong and about:
            raise ConfigError(*wrong)
        if plain is None or base is None:
            return Sweep()
        return convert(resolved({"sweep": plain["sweep"]}, base, base)["sweep"], Sweep, "sweep")

    def is_sweep(self, overrides: Sequence[str]) -> bool:
        """Whether an experiment, or hydra.mode, says that these overrides make a sweep."""
        # The base of all choices, which the config of a run is then made of.
        _, _, base = self._plain(overrides)
        if base is None:
            experiments = [given for given in overrides if given.startswith("experiment=") and "," not in given]
            try:
                base, _ = self._base(tuple(experiments))
            except ConfigError:
                return False
        return str(base.hydra.mode) == "RunMode.MULTIRUN"

    def place(self, overrides: Sequence[str], number: int, name: str) -> str:
        """hydra.sweep.subdir of a job: its directory within that of its sweep; `name` where that is auto."""
        parsed = [self._single(given) for given in overrides]
        base, plain = self._base(tuple(part.input_line or "" for part in parsed if self._is_choice(part)))
        layout: Any = OmegaConf.to_container(base.hydra.sweep, resolve=False)
        if layout["subdir"] == AUTO:
            return name
        _, complete, _ = self._plain(overrides)
        config = _with_hydra(complete or plain, base, parsed)
        with flag_override(config.hydra, ["struct", "readonly"], False):
            config.hydra.job.num, config.hydra.job.id = number, str(number)
        return str(selected(config, "hydra.sweep.subdir"))

    def _readable(self, overrides: Sequence[str]) -> list[str]:
        """The overrides without those that cannot be read."""
        return [given for given in overrides if not isinstance(self._parsed.get(given), ConfigError)]

    def _single(self, given: str) -> Override:
        """An override of one value."""
        if given not in self._parsed:
            try:
                parsed = parse_override(given)
                if parsed.is_sweep_override():
                    raise ConfigError(several(given))
                self._parsed[given] = parsed
            except ConfigError as error:
                self._parsed[given] = error
        known = self._parsed[given]
        if isinstance(known, ConfigError):
            raise known
        return known

    def _plain(self, overrides: Sequence[str]) -> tuple[list[str], dict[str, Any] | None, DictConfig | None]:
        """What is wrong with overrides, a line each; and the unresolved config that the others make, with the one
        that the choices alone make."""
        wrong = list(self._wrong)
        choices: list[str] = []
        values: list[tuple[Override, str]] = []
        unknown_groups: set[str] = set()
        for given in overrides:
            try:
                parsed = self._single(given)
                if "${" in given:
                    # Raises what is wrong with an interpolation that cannot be read.
                    OmegaConf.create({"value": parsed.value()})
            except ConfigError as error:
                wrong += error.lines
                continue
            except OmegaConfBaseException as error:
                wrong.append(f"{given}: {reason(error)}.")
                continue
            if not self._is_choice(parsed):
                values.append((parsed, given))
            elif line := self._wrong_choice(parsed, given, overrides):
                wrong.append(line)
                unknown_groups.add(parsed.key_or_group)
            else:
                choices.append(parsed.input_line or given)
        try:
            base, plain = self._base(tuple(choices))
        except ConfigError as error:
            return [*wrong, *error.lines], None, None
        for parsed, given in values:
            # The keys of an unknown option are unknown too.
            if parsed.key_or_group.split(".")[0] not in unknown_groups and (line := self._apply(plain, parsed, given)):
                # For an unknown key one line is enough, whatever its values are.
                wrong.append(self._strange.setdefault(line.replace(given, parsed.key_or_group), line))
        return wrong, plain, base

    def _is_choice(self, parsed: Override) -> bool:
        """Whether an override chooses an option: Hydra takes a mapping for settings of the group's node."""
        return self._sources.is_group(parsed.key_or_group) and not isinstance(parsed.value(), dict)

    def _wrong_choice(self, parsed: Override, given: str, overrides: Sequence[str]) -> str | None:
        if given not in self._choices:
            line = wrong_choice(parsed, given, self._sources)
            group, name = parsed.key_or_group, parsed.value()
            if line is not None and (registry := REGISTRIES.get(group)) is not None:
                for other in overrides:
                    if other.lstrip("+").startswith("plugins="):
                        load_plugins(self._single(other).value())
                if isinstance(name, str) and name in registry and name not in self._sources.options(group):
                    where = self.config_dir or "a directory that --config-dir names"
                    file = f"{group}/{name}.yaml"
                    line = f"{group}={name}: is registered, but its file {file} is missing; write it in {where}."
            self._choices[given] = line
        return self._choices[given]

    def _base(self, choices: tuple[str, ...]) -> tuple[DictConfig, dict[str, Any]]:
        """What Hydra composes of the choices alone, and a copy of its plain unresolved content."""
        if choices not in self._composed:
            overrides = [*self._about_hydra, *choices]
            try:
                base = hydra_adapter.compose(self.loader, self.config_name, overrides)
                plain: Any = OmegaConf.to_container(base, resolve=False)
                del plain["hydra"]
                self._composed[choices] = base, plain
            # Hydra, OmegaConf and the YAML reader raise many kinds of errors.
            except Exception as error:
                self._composed[choices] = ConfigError(explain(error, overrides, self._sources))
        known = self._composed[choices]
        if isinstance(known, ConfigError):
            raise known
        return known[0], copied(known[1])

    def _apply(self, plain: dict[str, Any], parsed: Override, given: str) -> str | None:
        """Sets in `plain` what an override says, as Hydra does; or says in a line why it cannot."""
        key, value = parsed.key_or_group, parsed.value()
        if parsed.package is not None:
            if parsed.is_add():
                return self._sources.unknown_group(given, key)
            return no_such_key(given, key, plain, self._sources)
        node, last = find(plain, key)
        present = node is not None and (last in node if isinstance(node, dict) else last is not None)
        if parsed.is_delete():
            return self._delete(node, last, present, parsed, given, plain)
        group, _, field = key.partition(".")
        # The keys of the component that was chosen first would stay, and be wrong for the other one.
        if field == "name" and group in GROUPS and isinstance(value, str) and value in GROUPS[group]:
            return f"{given}: write {group}={value}, which brings the settings of {value} too."
        if parsed.is_add() or parsed.is_force_add():
            if present and parsed.is_add() and not isinstance(value, dict | list) and node[last] is not None:
                return f"{given}: {key} has a value already; leave out the + to give it another."
            node = make(plain, key)
            if node is None:
                return f"{given}: {key.rpartition('.')[0]} holds no keys."
            present, last = True, key.rpartition(".")[2]
        present = present or (isinstance(node, dict) and _takes_any_name(plain, key.rpartition(".")[0]))
        if not present:
            return no_such_key(given, key, plain, self._sources)
        closed = not (parsed.is_add() or parsed.is_force_add() or _takes_any_name(plain, key))
        if isinstance(value, dict) and isinstance(node[last], dict):
            if strange := merge(node[last], value, key, closed=closed):
                return no_such_key(given, strange, plain, self._sources)
        else:
            node[last] = copy.deepcopy(value)
        return None

    def _delete(
        self, node: Any, last: Any, present: bool, parsed: Override, given: str, plain: dict[str, Any]
    ) -> str | None:
        key, value = parsed.key_or_group, parsed.value()
        if key in SETTINGS:
            return f"{given}: a run needs this key; give it another value, {key}=VALUE."
        if not present:
            return no_such_key(given, key, plain, self._sources)
        if node[last] is None or (value is not None and value != node[last]):
            return f"{given}: {key} is {show(node[last])}."
        del node[last]
        return None


def _takes_any_name(plain: dict[str, Any], key: str) -> bool:
    """Whether what lies at a key is a mapping of names that the user chooses, such as `dataset.columns`."""
    group, _, field = key.partition(".")
    if group not in GROUPS or not field:
        return False
    name = str((plain.get(group) or {}).get("name"))
    if name not in GROUPS[group]:
        return False
    cls: Any = GROUPS[group][name]
    hint = hints_of(cls).get(field)
    return any(get_origin(option) is Named for option in (hint, *get_args(hint)))


def _said(line: str, lines: Sequence[str], plain: Any) -> bool:
    """Whether other lines say the same: of the override of this key, or of the key that its value refers to."""
    key = re.split("[=:]", line)[0]
    node, last = find(plain, key)
    written = node.get(last) if isinstance(node, dict) else None
    referred = re.fullmatch(r"\$\{([\w.]+)\}", written) if isinstance(written, str) else None
    others = [other.lstrip("+~") for other in lines if other != line]
    keys = (f"{key}=", *([f"{referred[1]}="] if referred else []))
    return any(other.startswith(keys) for other in others)


def checked(config: DictConfig) -> Config:
    """The checked config of a composed one, such as a launcher hands to a task; Hydra's own node may be in it."""
    plain: Any = OmegaConf.to_container(config, resolve=False)
    plain.pop("hydra", None)
    current: Any = HydraConfig.instance().cfg
    given = [] if current is None else [parse_override(text) for text in current.hydra.overrides.task]
    return _checked(plain, config, current or config, given)


def _checked(
    plain: dict[str, Any], base: DictConfig, hydra: DictConfig | None = None, overrides: Sequence[Override] = ()
) -> Config:
    load_plugins(plain.get("plugins"))
    values = resolved(plain, base, hydra or base)
    if any(value is None for value in _recommended(values).values()):
        values = resolved(_with_recommended(plain, values), base, hydra or base)
    for override in overrides:
        # A column or a file may be named 2022.
        node, last = find(values, override.key_or_group)
        if isinstance(node, dict) and type(node.get(last)) is int and last != "name":
            node[last] = Interpolated(node[last])
    with refused():
        config = parse(values)
    check_parts(config)
    return config


def _recommended(values: dict[str, Any]) -> dict[str, Any]:
    dataset = values.get("dataset")
    found = dataset.get("recommended") if isinstance(dataset, dict) else None
    return found if isinstance(found, dict) else {}


def _with_recommended(plain: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """The config with what its dataset recommends, by its settings, for what its YAML file leaves open."""
    plain, found = copied(plain), _recommended(values)
    name = str(values["dataset"].get("name"))
    if name in GROUPS["dataset"]:
        suited = as_plain(GROUPS["dataset"][name].recommend(values["dataset"]))
        kept = {name: value for name, value in found.items() if value is not None}
        plain["dataset"]["recommended"] = suited | kept
    return plain


def _with_hydra(plain: dict[str, Any], base: DictConfig, overrides: Sequence[Override]) -> DictConfig:
    """The config of `plain`, with the node of Hydra's that is in `base`."""
    config = copy.deepcopy(base)
    with flag_override(config, ["struct", "readonly"], False):
        for key in [str(key) for key in config if key != "hydra" and key not in plain]:
            del config[key]
        for key, value in plain.items():
            config[key] = value
    hydra_adapter.note_overrides(config, overrides)
    return config


def compose(overrides: Sequence[str] = (), config_dir: str | Path | None = None, config_name: str = "config") -> Config:
    """The config that `mlpexp train OVERRIDE…` would run.

    >>> compose(["dataset=xor", "activation=tanh"]).activation
    Tanh()

    `config_dir` is a directory of your own options, as with --config-dir. ConfigError has a line for each thing that
    is wrong.
    """
    about_hydra = [given for given in overrides if is_about_hydra(given)]
    ours = [given for given in overrides if not is_about_hydra(given)]
    config = Composer(config_dir, config_name, about_hydra).config(ours)
    check_keys([(config, ours)])
    return config
