"""Overrides that Hydra would refuse in words of its own, or take for something that nobody means."""

from __future__ import annotations

from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from mlpexp.config.convert import show
from mlpexp.config.schema import GROUPS, LIST_GROUPS, SETTINGS
from mlpexp.errors import ConfigError, unknown


def check_overrides(overrides: Sequence[str]) -> None:
    """ConfigError for the first override that cannot be read, names no key, or leaves out what a run needs."""
    for given in overrides:
        parsed = parse_override(given)
        if not parsed.key_or_group:
            raise ConfigError(unreadable(given))
        if parsed.is_delete():
            _check_deletion(parsed, given)
        elif not parsed.is_sweep_override():
            _check_choice(parsed, given)


def parse_override(given: str) -> Override:
    """An override as Hydra's grammar reads it, or ConfigError."""
    try:
        return OverridesParser.create().parse_override(given)
    # The parser's own code fails where brackets are nested very deep, or a function is given what it cannot take.
    except (HydraException, RecursionError, ValueError, TypeError) as error:
        raise ConfigError(unreadable(given)) from error


def fixed(overrides: Sequence[str]) -> list[str]:
    """The overrides that give one value."""
    return [given for given in overrides if not parse_override(given).is_sweep_override()]


def unreadable(given: str) -> str:
    """What is said of an override that Hydra's grammar cannot read."""
    shown = show(given) or "''"
    if any("\udc80" <= c <= "\udcff" for c in given):
        return f"{shown}: is not UTF-8 text, as what a config holds must be; give it another name."
    return f"{shown}: cannot be read; an override is key=value, such as optimizer.lr=0.01 or model.hidden=[8,8]."


def _check_deletion(parsed: Override, given: str) -> None:
    key = parsed.key_or_group
    if key in GROUPS:
        raise ConfigError(f"{given}: a run needs one {key}; choose another: {', '.join(sorted(GROUPS[key]))}.")
    if key in LIST_GROUPS:
        raise ConfigError(f"{given}: write {key}=[] to use none.")
    if key in SETTINGS:
        raise ConfigError(f"{given}: a run needs this key; give it another value, {key}=VALUE.")


def _check_choice(parsed: Override, given: str) -> None:
    key, value = parsed.key_or_group, parsed.value()
    if key in GROUPS and isinstance(value, list) and len(value) != 1:
        raise ConfigError(f"{given}: must name one {key}: {', '.join(sorted(GROUPS[key]))}.")
    if key in LIST_GROUPS and value in (None, ""):
        what = f"{given}: must be a list of names, such as [l2], or [] for none"
        raise ConfigError(unknown(what, "", LIST_GROUPS[key]))
    group, _, field = key.partition(".")
    # The keys of the component that was chosen first would stay, and be wrong for the other one.
    if field == "name" and group in GROUPS and isinstance(value, str) and value in GROUPS[group]:
        raise ConfigError(f"{given}: write {group}={value}, which brings the settings of {value} too.")
