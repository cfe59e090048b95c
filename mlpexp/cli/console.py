"""The console that commands print on."""

from __future__ import annotations

import os
import sys

from rich.console import Console


class _Console(Console):
    """A console that falls silent when whoever read it has gone, as in `mlpexp train | head`: the run goes on."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def console() -> Console:
    """A console that colours only what we say, and in a pipe keeps each line whole."""
    plain = _Console(highlight=False)
    if not plain.is_terminal:
        plain.soft_wrap = True
        plain.width = 1000  # a table takes only what it needs of it
    return plain


def counted(n: int, what: str) -> str:
    """How many there are of something: `1 run`, `2 runs`."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"
