"""Makes standard output and standard error robust: training continues even if writing to them fails; a terminal breaks
lines at words.

The reader of a pipe can exit (`mlpexp train | head`), the disk of a redirection can be full, the terminal can be
closed, and an encoding such as latin-1 can lack characters of a message.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
import textwrap
from typing import Any, TextIO

# Replacements for characters of our messages, in encodings that lack them.
_PLAIN = {"−": "-", "–": "-", "×": "x", "²": "2", "±": "+-", "…": "...", "≤": "<=", "÷": "/", "√": "sqrt"}
_ERRORS = "mlpexp.plain"
# Errors that mean that the reader of a pipe, or the terminal, no longer exists: nobody would see a report.
_NOBODY_READS = {errno.EPIPE, errno.EIO}


class _Lasting(io.FileIO):
    """A file that stores the first error of writing as an attribute, and does not raise it."""

    failure: OSError | None = None

    def write(self, content: Any, /) -> int:
        try:
            return super().write(content)
        except OSError as error:
            self.failure = self.failure or error
            return len(content)


def make_lasting() -> None:
    """Makes standard output and standard error accept any text and never fail. A second call has no effect.

    Streams that a calling program has replaced stay as they are.
    """
    codecs.register_error(_ERRORS, _plain)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, io.TextIOWrapper) or stream is not getattr(sys, f"__{name}__"):
            continue
        stream.flush()
        lasting = io.TextIOWrapper(
            io.BufferedWriter(_Lasting(stream.fileno(), "wb", closefd=False)),
            encoding=stream.encoding,
            errors=_ERRORS,
            line_buffering=stream.line_buffering or name == "stderr",
            write_through=stream.write_through,
        )
        setattr(sys, name, lasting)


def lost_output() -> str | None:
    """The reason why standard output is incomplete; None if it is complete, or nobody reads it."""
    buffer = getattr(sys.stdout, "buffer", None)
    raw = getattr(buffer, "raw", None)
    if not isinstance(raw, _Lasting):
        return None
    sys.stdout.flush()
    return None if raw.failure is None or raw.failure.errno in _NOBODY_READS else raw.failure.strerror


def _plain(error: UnicodeError) -> tuple[str, int]:
    """An error handler for encoders, see `codecs.register_error`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_PLAIN.get(c, "?") for c in error.object[error.start : error.end]), error.end


# A terminal of fewer columns breaks lines itself.
_NARROWEST = 20


def columns(stream: TextIO) -> int | None:
    """How many columns the terminal behind a stream has; None for a pipe or a file, where a line stays one line."""
    try:
        if not stream.isatty():
            return None
        given = os.environ.get("COLUMNS", "")
        return int(given) if given.isdecimal() else os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        return None


def folded(text: str, width: int | None, indent: str = "  ") -> str:
    """The lines of a text, each broken at words where it is wider than `width`, and further lines of it indented.

    Words such as paths stay whole, and so does a number with its %.
    """
    if width is None or width < _NARROWEST:
        return text
    fold = textwrap.TextWrapper(width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    lines = text.replace(" %", "\xa0%").split("\n")
    broken = [line if len(line) <= width else fold.fill(line) for line in lines]
    return "\n".join(broken).replace("\xa0%", " %")
