"""The command that reproduces a run, from its config alone: what differs from mlpexp's own conf/, as overrides.

The command that started a run is not enough: the run may have been resumed with more epochs, or started by a program
or a sweep. A component without a file in conf/ is spelled out, so that no other config directory is needed.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from omegaconf import OmegaConf

from mlpexp.config.groups import GROUPS, LIST_GROUPS
from mlpexp.config.locate import CONF
from mlpexp.config.nested import copied, merge
from mlpexp.config.overrides import quote
from mlpexp.config.report import Report
from mlpexp.fields.convert import as_plain, build

Plain = Mapping[str, Any]

# A new directory, where a command needs a name for it.
_AGAIN = "again"
_BARE = re.compile(r"[A-Za-z_][\w./-]*", re.ASCII)
# The seed of a dataset that is the run's.
_FOLLOWS = "${seed}"
_NO_TEXT = {"true", "false", "null", "nan", "inf"}


def command(config: Plain, completed: Sequence[int] = ()) -> str:
    """The line for a shell that makes the run of a config, as run.json holds it, again: in the same working directory,
    to the same bits on a CPU where the run has trained alone, and up to rounding where it has in a stack.

    `completed` are the epochs after which it was complete and was given more. Where the learning rate follows a
    schedule these matter, and the line resumes as the run was resumed.
    """
    first, more = _stages(config, completed)
    words = ["mlpexp", "train", *overrides(first)]
    if _is_sweep(_experiment(config)):
        words.append("hydra.mode=RUN")
    if not more:
        return shlex.join(words)
    named = [f"plugins={written(_plugins(config))}"] if _plugins(config) else []
    resumed = [shlex.join(["mlpexp", "resume", _AGAIN, f"epochs={epochs}", *named]) for epochs in more]
    return " && ".join([shlex.join([*words, f"hydra.run.dir={_AGAIN}"]), *resumed])


def program(config: Plain, completed: Sequence[int] = ()) -> str:
    """The lines of Python that do the same."""
    first, more = _stages(config, completed)
    changes = [{"epochs": epochs, **({"plugins": found} if (found := _plugins(config)) else {})} for epochs in more]
    lines = [
        "import mlpexp",
        "",
        f"config = mlpexp.compose({overrides(first)!r})",
        f"run = mlpexp.train(config, {_AGAIN!r})",
        *(f"run = mlpexp.resume({_AGAIN!r}, {change!r})" for change in changes),
    ]
    return "\n".join(lines)


def sweep_command(configs: Sequence[Plain]) -> str:
    """The line that reproduces several runs, as a sweep; empty where they are not all combinations of some values.

    The configs may come from somebody else, or from another version: those that cannot be read have no line.
    """
    try:
        return _grid(configs)
    except (KeyError, TypeError, ValueError, AttributeError):
        return ""


def _grid(configs: Sequence[Plain]) -> str:
    given = [dict(override.split("=", 1) for override in overrides(config)) for config in configs]
    keys = list(dict.fromkeys(key for one in given for key in one))
    # What an experiment sweeps over unless overrides change it.
    keys += [key for key in _params(_experiment(configs[0])) if key not in keys]
    runs = [
        tuple(one[key] if key in one else value_at(config, key) for key in keys)
        for one, config in zip(given, configs, strict=True)
    ]
    values = [list(dict.fromkeys(run[i] for run in runs)) for i in range(len(keys))]
    if len(set(runs)) != len(runs) or set(itertools.product(*values)) != set(runs):
        return ""
    # The keys with one value, then the swept ones, of which the first changes slowest.
    changes = [next((i for i, run in enumerate(runs) if run[at] != runs[0][at]), len(runs)) for at in range(len(keys))]
    order = sorted(range(len(keys)), key=lambda at: -changes[at])
    return shlex.join(["mlpexp", "train", "-m", *(f"{keys[at]}={listed(values[at])}" for at in order)])


def overrides(config: Plain) -> list[str]:
    """What `compose` makes the config of.

    >>> overrides(compose(["dataset=xor", "epochs=200", "regularizer=[dropout]", "optimizer.lr=0.1"]).to_dict())
    ['dataset=xor', 'regularizer=[dropout]', 'optimizer.lr=0.1']
    """
    experiment = _experiment(config)
    default = _default_choices(experiment)
    foreign = {group for group in GROUPS if not _has_file(group, config[group]["name"])}
    choices = {
        group: _nearest(group, config[group], default[group]) if group in foreign else config[group]["name"]
        for group in GROUPS
    }
    (kind,) = LIST_GROUPS
    several = config[kind]
    listed = [name for name in several if _has_file(kind, name)]
    base = _base(tuple(choices.items()), tuple(listed), experiment, json.dumps(config["dataset"].get("recommended")))
    found = [] if experiment is None else [f"experiment={experiment}"]
    if plugins := _plugins(config):
        found.append(f"plugins={written(plugins)}")
    found += [f"{group}={name}" for group, name in choices.items() if name != default[group]]
    if listed != default[kind]:
        found.append(f"{kind}={written(listed)}")
    for group in GROUPS:
        if group in foreign:
            found += [f"~{group}.{key}" for key in base[group] if key not in config[group]]
            found.append(f"++{group}={written(config[group])}")
    found += [f"+{kind}.{name}={written(part)}" for name, part in several.items() if name not in listed]
    unchanged = _base(tuple(choices.items()), tuple(listed), experiment, None)["dataset"].get("recommended")
    for key, value in config.items():
        if key in foreign or key == "plugins":
            continue
        of_base = base[key]
        if key == kind:
            value = {name: part for name, part in value.items() if name in listed}
        elif key == "dataset":
            # What the dataset recommends by its settings comes from them again.
            by_settings = {name: value["recommended"][name] for name, its in unchanged.items() if its is None}
            of_base = {**of_base, "recommended": unchanged | by_settings}
            if of_base.get("seed") == _FOLLOWS:
                of_base["seed"] = config["seed"]
        found += _differences(key, value, of_base)
    return found


def differences(config: Plain, base: Plain) -> list[str]:
    """The overrides in which `config` differs from another one."""
    found = [override for key, value in config.items() for override in _differences(key, value, base.get(key))]
    if all(each["dataset"].get("seed") == each["seed"] for each in (config, base)):
        # It follows the seed.
        found = [override for override in found if not override.startswith("dataset.seed=")]
    return [override.replace(".name=", "=", 1) for override in found]


def written(value: Any) -> str:
    """A value in Hydra's grammar of overrides, which reads back the same value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{','.join(map(written, value))}]"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{written(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, str):
        return value if _BARE.fullmatch(value) and value.lower() not in _NO_TEXT else quote(value)
    return repr(value)


def _stages(config: Plain, completed: Sequence[int]) -> tuple[Plain, list[int]]:
    """The config to begin with, and the epochs to resume it with, one after the other."""
    if not completed or config["scheduler"]["name"] == "none":
        return config, []
    return {**config, "epochs": completed[0]}, [*completed[1:], config["epochs"]]


def _differences(key: str, value: Any, base: Any) -> Iterator[str]:
    if isinstance(value, Mapping) and isinstance(base, Mapping) and base:
        for name, entry in value.items():
            if name in base:
                yield from _differences(f"{key}.{name}", entry, base[name])
            else:
                yield f"+{key}.{name}={written(entry)}"
    elif value != base:
        yield f"{key}={_named(value) if base == {} else written(value)}"


def _named(value: Any) -> str:
    """A mapping of names that the user chooses; the grammar takes few characters in a key, and any in a text."""
    if not isinstance(value, Mapping) or all(map(_is_key, value)):
        return written(value)
    return written([f"{name}: {entry}" for name, entry in value.items()])


def _is_key(name: str) -> bool:
    return re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) is not None and name.lower() not in _NO_TEXT


def _plugins(config: Plain) -> list[str]:
    """The modules to import: those that the config names, or else those of the components that a program has used."""
    if config["plugins"]:
        return list(config["plugins"])
    used = [(GROUPS[group], config[group]["name"]) for group in GROUPS]
    used += [(registry, name) for group, registry in LIST_GROUPS.items() for name in config[group]]
    modules = [registry[name].__module__ for registry, name in used if name in registry]
    # What the program itself registers cannot be imported from elsewhere.
    return [name for name in dict.fromkeys(modules) if name.split(".")[0] not in ("mlpexp", "__main__")]


def _has_file(group: str, name: str) -> bool:
    return name in _options(group)


@functools.cache
def _options(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


@functools.cache
def _load(name: str) -> dict[str, Any]:
    content: Any = OmegaConf.to_container(OmegaConf.load(CONF / f"{name}.yaml"))
    return content if isinstance(content, dict) else {}


def _nearest(group: str, component: Plain, default: str) -> str:
    """The option with the fewest keys that a component lacks; the default one where that has none."""
    return min(
        _options(group), key=lambda name: (len(_load(f"{group}/{name}").keys() - component.keys()), name != default)
    )


@functools.cache
def _default_choices(experiment: str | None) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    for part in _load("config")["defaults"]:
        if isinstance(part, dict):
            chosen |= part
    for part in _load(f"experiment/{experiment}").get("defaults", []) if experiment else []:
        chosen |= {key.removeprefix("override /"): option for key, option in part.items()}
    return chosen


def _experiment(config: Plain) -> str | None:
    """The experiment with the report of a run, where there is one: a report is long as overrides."""
    report = json.dumps(config["report"])
    return None if report == _no_report() else _experiments().get(report)


@functools.cache
def _no_report() -> str:
    return json.dumps(as_plain(Report()))


@functools.cache
def _experiments() -> dict[str, str]:
    reports = {name: _load(f"experiment/{name}").get("report", {}) for name in _options("experiment")}
    return {json.dumps(as_plain(build(Report, report, "report"))): name for name, report in reports.items()}


def _is_sweep(experiment: str | None) -> bool:
    return experiment is not None and _load(f"experiment/{experiment}").get("hydra", {}).get("mode") == "MULTIRUN"


def _params(experiment: str | None) -> dict[str, Any]:
    hydra = _load(f"experiment/{experiment}").get("hydra", {}) if experiment else {}
    params: dict[str, Any] = hydra.get("sweeper", {}).get("params", {})
    return params


@functools.lru_cache(maxsize=4096)
def _base(
    choices: tuple[tuple[str, str], ...], several: tuple[str, ...], experiment: str | None, recommended: str | None
) -> dict[str, Any]:
    """What Hydra composes of these choices, with what the dataset recommends in place of its own where it is given."""
    (kind,) = LIST_GROUPS
    parts = [_load("config"), *({group: _load(f"{group}/{name}")} for group, name in choices)]
    parts += [{kind: {}}, *({kind: _load(f"{kind}/{name}")} for name in several)]
    if experiment is not None:
        parts.append(_load(f"experiment/{experiment}"))
    if recommended is not None and recommended != "null":
        if "$" in recommended:
            raise ValueError("what a run directory holds is not resolved")
        parts.append({"dataset": {"recommended": json.loads(recommended)}})
    merged: dict[str, Any] = {}
    for part in parts:
        merge(merged, {key: part[key] for key in part if key not in ("defaults", "hydra")}, "", closed=False)
    plain = copied(merged, merged)
    if merged["dataset"].get("seed") == _FOLLOWS:
        plain["dataset"]["seed"] = _FOLLOWS
    return {**plain, "report": as_plain(build(Report, plain["report"], "report"))}


def value_at(config: Plain, key: str) -> str:
    """The value that a config has at the key of an override; KeyError where it has none."""
    if key in GROUPS:
        return str(config[key]["name"])
    if key in LIST_GROUPS:
        return written(list(config[key]))
    value: Any = config
    for name in key.split("."):
        value = value[name]
    return written(value)


def listed(values: Sequence[str]) -> str:
    """Values to sweep over; whole numbers in a row as a range."""
    if len(values) > 3 and all(value.isdecimal() for value in values):
        first, last = int(values[0]), int(values[-1])
        if list(values) == [str(value) for value in range(first, last + 1)]:
            return f"range({first},{last + 1})"
    return ",".join(values)
