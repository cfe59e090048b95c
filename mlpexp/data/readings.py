"""What has been read of files, each once for all seeds: they only deal its rows in other ways."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar

from mlpexp.errors import ConfigError

T = TypeVar("T")


class Readings:
    """Contents by what they are of."""

    def __init__(self) -> None:
        self._known: dict[Hashable, object] = {}

    def of(self, what: Hashable, read: Callable[[], T], *, keep: bool = True) -> T:
        """What is kept of `what`, else what `read` gives, which is kept from then on unless it is not worth it."""
        if what in self._known:
            known: T | ConfigError = self._known[what]  # type: ignore[assignment]
            if isinstance(known, ConfigError):
                raise known
            return known
        try:
            found = read()
        except ConfigError as error:
            # What is wrong with a file is wrong for all seeds.
            self._known[what] = error
            raise
        if keep:
            self._known[what] = found
        return found
