"""The names of settings where there is little room for them."""

from __future__ import annotations

import re

from mlpexp.figures import style

_MOST_LINES = 3


def broken(label: str, width: float) -> list[str]:
    """A setting's name, broken after commas into lines of at most `width` inches."""
    found: list[str] = []
    for part in _parts(label, width):
        longer = found[-1] + part if found else part
        if found and (len(found) == _MOST_LINES or style.text_width(longer.rstrip(" ,"), style.SMALL) <= width):
            found[-1] = longer
        else:
            found.append(part)
    return [style.fit(line.rstrip(), style.SMALL, width) for line in found]


def _parts(label: str, width: float) -> list[str]:
    """What stands between the commas of a name, each with its own; within lists only where one is too wide."""
    parts: list[str] = []
    for key in re.findall(r".+?(?:, |$)", label):
        fits = style.text_width(key.rstrip(" ,"), style.SMALL) <= width
        parts += [key] if fits else re.findall(r".+?(?:,\s*|$)", key)
    return parts
