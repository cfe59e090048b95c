"""Naming a setting by enough of its keys."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mlpexp.comparison.summary import Summary
from mlpexp.errors import ConfigError, unknown


def find_setting(summaries: Sequence[Summary], words: str, asker: str = "--baseline=") -> Summary:
    """The one setting that `words`, such as `activation=relu,init=default`, describes; ConfigError for none or many.

    `asker` stands before the words in the error.
    """
    given = f"{asker}{words}"
    keys = list(summaries[0].setting.values)
    if not keys:
        raise ConfigError(f"{given}: there is one setting only, since nothing but seeds differs between these runs.")
    found = list(summaries)
    for key, value in _pairs(words, given):
        if key not in keys:
            raise ConfigError(unknown(f"{given}: {key} is no key that differs between these runs", key, keys))
        values = {summary.setting.values[key] for summary in summaries}
        if not any(_equal(value, other) for other in values):
            raise ConfigError(unknown(f"{given}: no run has {key}={value}", value, values))
        found = [summary for summary in found if _equal(value, summary.setting.values[key])]
    if not found:
        raise ConfigError(f"{given}: no run has all of these.")
    if len(found) > 1:
        undecided = [key for key in keys if len({summary.setting.values[key] for summary in found}) > 1]
        raise ConfigError(f"{given}: describes {len(found)} settings; say also which {' and '.join(undecided)}.")
    if not found[0].counted:
        raise ConfigError(f"{given}: none of its runs has a result to compare with.")
    return found[0]


def _pairs(words: str, given: str) -> list[tuple[str, str]]:
    """`a=1, b=[2,3]` as pairs; commas in brackets belong to the value."""
    pairs = []
    for word in re.split(r",(?![^\[]*\])", words):
        key, equals, value = word.partition("=")
        if not equals:
            raise ConfigError(f"{given}: must be key=value, or several with commas between, such as activation=relu.")
        pairs.append((key.strip(), value.strip()))
    return pairs


def _equal(value: str, other: str) -> bool:
    """Whether two values are the same text, or the same number: 1e-3 and 0.001."""
    try:
        return value == other or float(value) == float(other)
    except ValueError:
        # Spaces within lists are a matter of taste.
        return value.replace(" ", "") == other.replace(" ", "")
