"""The errors that a user can cause, and the words that they share."""

from __future__ import annotations

import difflib
import errno
import os
import traceback
from collections.abc import Iterable, Mapping


class MlpexpError(Exception):
    """An error that the command line prints without a traceback: the `lines` of it."""

    exit_code = 1

    @property
    def lines(self) -> tuple[str, ...]:
        """The messages, one line each."""
        return (str(self),)

    def _render_traceback_(self) -> list[str]:
        """What IPython and Jupyter print: the lines alone, or with HYDRA_FULL_ERROR=1 the traceback too."""
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            return [line.rstrip("\n") for line in traceback.format_exception(self)]
        return list(self.lines)


class ConfigError(MlpexpError, ValueError):
    """The command, the config or the data it names is wrong; nothing was written. Exit code 2.

    Each argument is a line on one thing that is wrong.
    """

    exit_code = 2

    def __str__(self) -> str:
        return "\n".join(map(str, self.args))

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(map(str, self.args))


class UnknownNameError(ConfigError):
    """A config names a component that is not registered."""


class RunError(MlpexpError, RuntimeError):
    """A run that had started failed: it diverged, or its directory cannot be written. Exit code 1."""

    exit_code = 1


class DivergedError(RunError):
    """A run whose training or validation loss became infinite or not a number."""


# Causes outside of the command: the disk is full, or this user may not write there.
_OUTSIDE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO}


def refusal(error: OSError) -> type[ConfigError | RunError]:
    """The kind of error that a path which cannot be made or read is."""
    return RunError if error.errno in _OUTSIDE else ConfigError


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that `word` most likely meant, or None where nothing is close."""
    known = list(choices)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return close[0]
    # "geluu" and "adam_w" are close by letters; "drop" for "dropout" only as a beginning.
    return next((choice for choice in known if len(word) > 1 and choice.startswith(word)), None)


def unknown(what: str, word: str, choices: Iterable[str], synonyms: Mapping[str, str] | None = None) -> str:
    """`what` (such as "activation=geluu: no such activation") with the nearest match and all choices.

    `synonyms` gives the choice that a word of other libraries means.
    """
    known = sorted(choices)
    match = (synonyms or {}).get(word.lower()) or nearest(word, known)
    hint = f"; did you mean '{match}'?" if match else ""
    listed = f" Choose from: {', '.join(known)}." if known else ""
    return f"{what}{hint}{'' if hint else '.'}{listed}"


def pluralize(n: int, what: str) -> str:
    """How many there are of something: `1 run`, `2 runs`."""
    return f"{n:,} {what}{'' if n == 1 else 'es' if what.endswith('s') else 's'}"
