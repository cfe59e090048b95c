"""The console that commands print on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import chain, repeat

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from mlpexp.cli.streams import folded

# The control characters of ASCII and Latin-1 except the line feed, and bytes in the name of a file that are not UTF-8.
_CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
# Before a command that ends a text, to be pasted.
_BEFORE_COMMAND = re.compile(r"(?<=[:?]) (?=mlpexp [a-z])")


class _Console(Console):
    """Text from files is shown as text: escape sequences in it do not reach the terminal."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control or not _CONTROLS.search(segment.text):
                yield segment
            else:
                yield Segment(_CONTROLS.sub("�", segment.text), segment.style)


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


def print_text(out: Console, text: str) -> None:
    """Prints a paragraph; a terminal has it broken at words, its further lines indented.

    A command that ends the text stays whole, to be pasted, however long it is.
    """
    if out.is_terminal and len(text) > out.width:
        said, *command = _BEFORE_COMMAND.split(text, maxsplit=1) if not text.startswith("mlpexp ") else ("", text)
        text = "\n  ".join([part for part in (folded(said, out.width), *command) if part])
    out.print(Text(text), soft_wrap=True)


def labelled(out: Console, parts: Iterable[tuple[str, str]]) -> RenderableType:
    """Texts, each beside what it is about; none for empty ones. In a pipe each line of a text is one line."""
    shown = [(what, said) for what, said in parts if said]
    if out.is_terminal:
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for what, said in shown:
            grid.add_row(Text(what, style="bold"), Text(said))
        return grid
    width = max((len(what) for what, _ in shown), default=0)
    lines = [
        f"{what if first else '':<{width}}  {line}"
        for what, said in shown
        for first, line in zip(chain([True], repeat(False)), said.splitlines(), strict=False)
    ]
    return Text("\n".join(lines))
