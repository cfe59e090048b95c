"""Neighbours in a stack that have a setting in common, so that what depends on it is computed once for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TypeVar

T = TypeVar("T")


def spans(settings: Sequence[T]) -> list[tuple[slice, T]]:
    """Which consecutive members have equal settings, and that setting.

    >>> spans(["a", "a", "b", "a"])
    [(slice(0, 2, None), 'a'), (slice(2, 3, None), 'b'), (slice(3, 4, None), 'a')]
    """
    found: list[tuple[slice, T]] = []
    start = 0
    for setting, same in groupby(settings):
        stop = start + len(list(same))
        found.append((slice(start, stop), setting))
        start = stop
    return found
