"""What Jupyter shows of an object: titles, tables and lines as plain HTML, in which all text is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

# A cell of a notebook is no file: of what is longer, its length is shown.
_MOST_ROWS = 30
_MOST_COLUMNS = 12
_MOST_CHARACTERS = 60
_MOST_LINES = 12
_MOST_OF_A_LINE = 300


def title(text: str) -> str:
    return f"<p><b>{_short(text, _MOST_OF_A_LINE)}</b></p>"


def lines(texts: Sequence[str]) -> str:
    """A paragraph, each text on a line of its own."""
    shown = [_short(text, _MOST_OF_A_LINE) for text in texts[:_MOST_LINES]]
    return f"<p>{'<br>'.join([*shown, *_others(len(texts) - _MOST_LINES, 'lines')])}</p>" if shown else ""


def table(rows: Sequence[Sequence[str]], most_rows: int = _MOST_ROWS) -> str:
    """A table whose first row is the header."""
    header, *body = [[_short(cell, _MOST_CHARACTERS) for cell in row[:_MOST_COLUMNS]] for row in rows[: 1 + most_rows]]
    parts = ["<tr>", *(f"<th>{cell}</th>" for cell in header), "</tr>"]
    for row in body:
        parts += ["<tr>", *(f"<td>{cell}</td>" for cell in row), "</tr>"]
    left_out = _others(len(rows) - 1 - most_rows, "rows") + _others(len(rows[0]) - _MOST_COLUMNS, "columns")
    return f"<table>{''.join(parts)}</table>" + (f"<p>{'; '.join(left_out)}</p>" if left_out else "")


def folded(summary: str, content: str) -> str:
    """HTML that is shown once the summary is clicked."""
    return f"<details><summary>{_short(summary, _MOST_OF_A_LINE)}</summary>{content}</details>"


def _short(text: str, most: int) -> str:
    return escape(text if len(text) <= most else f"{text[: most - 1]}…")


def _others(n: int, what: str) -> list[str]:
    return [f"and {n:,} more {what}"] if n > 0 else []
