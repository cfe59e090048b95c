"""The names of settings where there is little room for them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mlpexp.figures import style

_MOST_LINES = 3
# Where lines may end, the worse later: between keys, within lists, within a key and before its value.
_ENDS = (r", ", r",\s*", r"=|\.(?=[^\W\d])")


def broken(label: str, width: float) -> list[str]:
    """A setting's name, broken into lines of at most `width` inches: after commas, elsewhere only where it must be."""
    found: list[str] = []
    for part in _parts(label, width):
        longer = found[-1] + part if found else part
        if found and (len(found) == _MOST_LINES or _fits(longer, width)):
            found[-1] = longer
        else:
            found.append(part)
    return [style.fit(line.rstrip(), style.SMALL, width) for line in found]


def _parts(text: str, width: float, ends: Sequence[str] = _ENDS) -> list[str]:
    """The parts of a name between which lines may end, as large as fit into one."""
    first, *worse = ends
    parts: list[str] = []
    for part in re.findall(rf".+?(?:{first}|$)", text):
        parts += [part] if _fits(part, width) or not worse else _parts(part, width, worse)
    return parts


def _fits(text: str, width: float) -> bool:
    return style.text_width(text.rstrip(" ,"), style.SMALL) <= width
