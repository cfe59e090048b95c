"""The user's settings on the format of a text file."""

from __future__ import annotations

from dataclasses import dataclass

from mlpexp.errors import ConfigError

# How separators are named on the command line.
_NAMED = {"tab": "\t", "\\t": "\t", "space": " ", "spaces": " ", "comma": ",", "semicolon": ";", "pipe": "|"}


@dataclass(frozen=True)
class TextForm:
    """The format of a text file; fields that are None are inferred."""

    sep: str | None = None
    header: bool | None = None
    decimal: str | None = None
    encoding: str | None = None

    def __post_init__(self) -> None:
        if self.separator is not None and (len(self.separator) != 1 or self.separator in '"\r\n'):
            raise ConfigError(f"sep={self.sep}: one character is needed, or one of {', '.join(_NAMED)}.")
        if self.decimal not in (None, ".", ","):
            raise ConfigError(f"decimal={self.decimal}: choose from '.' and ','.")

    @property
    def separator(self) -> str | None:
        return None if self.sep is None else _NAMED.get(self.sep, self.sep)
