"""What differs between runs, and the settings that they form: runs that differ in nothing but their seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlpexp.comparison.revisions import revision, telling_apart
from mlpexp.comparison.runs import Repeat, StoredRun
from mlpexp.fields.convert import show
from mlpexp.run.hyperparameters import NO_ACTIVATION, hyperparameters

MISSING = "–"  # shown for a key that a config does not have
ALL_RUNS = "all runs"
# What tells the repetitions of a setting apart.
REPEATED = ("seed", "dataset.fold")
# What says which data a run is trained on; other keys of a dataset, such as its noise, are choices.
WHICH_DATA = ("dataset.path", "dataset", "dataset.target")


@dataclass(frozen=True)
class Setting:
    """The values of the keys that differ, as text; `–` where the setting's configs lack the key."""

    values: dict[str, str]

    @property
    def label(self) -> str:
        """`activation=gelu, init=xavier_uniform`; keys that the setting lacks are left out."""
        parts = [f"{key}={value}" for key, value in self.values.items() if value != MISSING]
        parts = parts or [f"{key}={value}" for key, value in self.values.items()]
        return ", ".join(parts) or ALL_RUNS


@dataclass(frozen=True)
class Differences:
    """The keys by which runs are told apart, and those that differ too but only follow from them."""

    keys: list[str]
    implied: list[str]


def differences(configs: Sequence[Mapping[str, Any]]) -> Differences:
    """The keys, seed and fold aside, whose values differ between flat configs.

    Left out are keys whose value follows from the component they belong to, as `optimizer.lr` does from `optimizer`
    where every run took its optimizer's usual learning rate, or from the dataset that recommends it.
    """
    names = dict.fromkeys(key for config in configs for key in config if key not in REPEATED)
    differing = [key for key in names if len({_text(config, key) for config in configs}) > 1]
    keys: list[str] = []
    implied: list[str] = []
    # Choices of components first, since others may follow from them.
    for key in sorted(differing, key=lambda key: "." in key):
        (implied if _follows(_with_choice(configs, key), key, _owners(key)) else keys).append(key)
    return Differences(keys, implied)


def _with_choice(configs: Sequence[Mapping[str, Any]], key: str) -> Sequence[Mapping[str, Any]]:
    """The configs that leave a key open: without hidden layers, a model has no activation to choose."""
    return [config for config in configs if key != "activation" or config.get(key) != NO_ACTIVATION]


# What a dataset recommends, conf/config.yaml: `recommended`.
_RECOMMENDED = {"epochs", "batch_size", "model.hidden", "optimizer.lr"}


def _owners(key: str) -> list[str]:
    """The choices that may decide a key. Where other keys vary with it, the user or chance decided so."""
    owners = [key.split(".")[0]] if "." in key else []
    if key in _RECOMMENDED:
        owners.append("dataset")
    if "dataset" in owners and key != "dataset.path":
        # Each file has its target, and each number of rows its epochs.
        owners.append("dataset.path")
    # `seed` and `dataset.seed` that are counted up together are one seed.
    return [*owners, "seed"] if key == "dataset.seed" else owners


def _follows(configs: Sequence[Mapping[str, Any]], key: str, owners: Sequence[str]) -> bool:
    """Whether runs that agree in `owners` agree in `key`, which differs between some."""
    value_of: dict[tuple[str, ...], str] = {}
    for config in configs:
        decided = tuple(_text(config, owner) for owner in owners)
        if value_of.setdefault(decided, _text(config, key)) != _text(config, key):
            return False
    return True


def _text(config: Mapping[str, Any], key: str) -> str:
    """A value as it is typed in an override, in one line, and whole: a part of it may not tell settings apart."""
    if key not in config:
        return MISSING
    value = config[key]
    text = value if isinstance(value, str) else show(value)
    return "".join(c if c.isprintable() else " " for c in text)


Groups = dict[str, tuple[Setting, list[StoredRun]]]


def group(runs: Sequence[StoredRun]) -> tuple[Groups, Differences]:
    """The runs by setting, under its label, in the order in which settings first appear; and what differs."""
    configs = _with_split_seeds([hyperparameters(run.record.config) for run in runs])
    found = differences(configs)
    groups: Groups = {}
    for run, config in zip(runs, configs, strict=True):
        setting = Setting({key: _text(config, key) for key in found.keys})
        groups.setdefault(setting.label, (setting, []))[1].append(run)
    return _by_revision(groups, found)


def _by_revision(groups: Groups, found: Differences) -> tuple[Groups, Differences]:
    """The settings of which a seed was trained with several revisions of the code, taken apart by what differs there.

    As repeats the older runs would be left out, which may be just what is to be compared.
    """
    names = {label: telling_apart(runs) for label, (_, runs) in groups.items()}
    more = list(dict.fromkeys(name for listed in names.values() for name in listed))
    if not more:
        return groups, found
    apart: Groups = {}
    for label, (setting, runs) in groups.items():
        for run in runs:
            made_with = revision(run)
            values = {name: made_with.get(name, MISSING) if name in names[label] else MISSING for name in more}
            own = Setting(setting.values | values)
            apart.setdefault(own.label, (own, []))[1].append(run)
    return apart, Differences([*found.keys, *more], found.implied)


@dataclass(frozen=True)
class Blocks:
    """Several datasets by name: the settings on each, what differs between these, and what says which dataset it is."""

    groups: dict[str, Groups]
    within: Differences
    chosen: dict[str, dict[str, str]]


def blocks(groups: Groups, found: Differences) -> Blocks | None:
    """The settings apart by dataset: what differs within is all keys but those that say which data it is.

    None for one dataset, and where none has two settings: nothing is compared within one then.
    """
    which = [key for key in WHICH_DATA if key in found.keys]
    chosen = [{key: setting.values[key] for key in which} for setting, _ in groups.values()]
    names = _dataset_names(chosen)
    apart: dict[str, Groups] = {}
    for (setting, runs), name in zip(groups.values(), names, strict=True):
        own = Setting({key: value for key, value in setting.values.items() if key not in which})
        apart.setdefault(name, {})[own.label] = own, runs
    if len(apart) < 2 or max(map(len, apart.values())) < 2:
        return None
    within = Differences([key for key in found.keys if key not in which], found.implied)
    return Blocks(apart, within, dict(zip(names, chosen, strict=True)))


def _dataset_names(chosen: Sequence[Mapping[str, str]]) -> list[str]:
    """A file, else a dataset, else a target, where that tells all apart; else all of these with their keys."""
    short = [next((value for value in values.values() if value != MISSING), "") for values in chosen]
    if len(set(short)) == len({tuple(values.values()) for values in chosen}):
        return short
    return [Setting(dict(values)).label for values in chosen]


def _with_split_seeds(configs: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The configs, with ${seed} for a `dataset.seed` that is the seed: runs with splits of their own are one setting.

    A split that runs with several seeds have is one that somebody has fixed.
    """
    seeds: dict[Any, set[Any]] = {}
    for config in configs:
        seeds.setdefault(config.get("dataset.seed"), set()).add(config.get("seed"))
    own = [split for split, found in seeds.items() if found == {split}]
    if len(own) < 2:
        return list(configs)
    return [
        {**config, "dataset.seed": "${seed}"} if config.get("dataset.seed") in own else config for config in configs
    ]


def without_repeats(runs: Sequence[StoredRun]) -> tuple[list[StoredRun], int]:
    """One run a seed and fold, and how many were left out.

    A repeat of a setting and seed, with the same revision of the code, gives the same result, bit for bit on a CPU:
    counting it as a further sample would make intervals too narrow. A run that has completed or diverged is preferred
    to one that has not, then the one started last.
    """
    chosen: dict[Repeat, StoredRun] = {}
    for run in runs:
        other = chosen.get(run.repeat)
        if other is None or _preference(run) >= _preference(other):
            chosen[run.repeat] = run
    return list(chosen.values()), len(runs) - len(chosen)


def _preference(run: StoredRun) -> tuple[bool, str]:
    return run.record.state == "completed" or run.record.diverged, run.record.started
