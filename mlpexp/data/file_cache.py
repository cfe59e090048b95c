"""A cache of file contents: a file is read once for the runs of all seeds, which differ only in the split."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar

from mlpexp.errors import ConfigError

T = TypeVar("T")


class FileCache:
    """A cache of file contents by key."""

    def __init__(self) -> None:
        self._known: dict[Hashable, object] = {}

    def of(self, what: Hashable, read: Callable[[], T], *, keep: bool = True) -> T:
        """The cached value of the key `what`; else the result of `read`, which is cached if `keep`.

        ConfigErrors of `read` are cached too.
        """
        if what in self._known:
            known: T | ConfigError = self._known[what]  # type: ignore[assignment]
            if isinstance(known, ConfigError):
                raise known
            return known
        try:
            found = read()
        except ConfigError as error:
            # An invalid file is invalid for all seeds.
            self._known[what] = error
            raise
        if keep:
            self._known[what] = found
        return found
