"""The names of settings where there is little room for them."""

from __future__ import annotations

from mlpexp.figures import style

_MOST_LINES = 3


def broken(label: str, width: float) -> list[str]:
    """A setting's name, broken after commas into lines of at most `width` inches."""
    found: list[str] = []
    for part in label.split(", "):
        longer = f"{found[-1]}, {part}" if found else part
        if found and (len(found) == _MOST_LINES or style.text_width(longer, style.SMALL) <= width):
            found[-1] = longer
        else:
            found.append(part)
    return [style.fit(line, style.SMALL, width) for line in found]
