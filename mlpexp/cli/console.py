"""The console that commands print on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

# The control characters of ASCII and Latin-1 except the line feed, and bytes in the name of a file that are not UTF-8.
_COMMANDS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


class _Console(Console):
    """Text from files is shown as text: escape sequences in it do not reach the terminal."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control or not _COMMANDS.search(segment.text):
                yield segment
            else:
                yield Segment(_COMMANDS.sub("�", segment.text), segment.style)


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Within, a terminal shows what is being done; nothing of it stays, and elsewhere nothing is shown."""
    out = console()
    with out.status(Text(what)) if out.is_terminal else nullcontext():
        yield


def console() -> Console:
    """A console that colours only what we say, and in a pipe keeps each line whole."""
    plain = _Console(highlight=False)
    if not plain.is_terminal:
        plain.soft_wrap = True
        plain.width = 1000  # a table takes only what it needs of it
    return plain
