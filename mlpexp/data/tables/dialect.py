"""The dialect of a text file: separator, header, and lines before the header; as given by the user, or inferred."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mlpexp.data.tables.cells import MISSING
from mlpexp.errors import ConfigError

# In order of reliability: a comma may be a decimal mark, and a space may be part of a text.
SEPARATORS = {"\t": "tab", ";": ";", "|": "|", ",": ",", " ": "spaces"}
_SAMPLE = 1 << 18
_MOST_ROWS = 200
_MOST_TITLES = 30
_COMMENTS = ("#", "%", "//")
# How separators are named on the command line.
_NAMED = {"tab": "\t", "\\t": "\t", "space": " ", "spaces": " ", "comma": ",", "semicolon": ";", "pipe": "|"}
_NUMBER = re.compile(r"[+-]?(\d[\d., \u00a0\u202f]*|[.,]\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class TextForm:
    """The user's settings for a text file; fields that are None are inferred."""

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
        """The separator as a character."""
        return None if self.sep is None else _NAMED.get(self.sep, self.sep)


@dataclass(frozen=True)
class Dialect:
    """`first` is the line of the first row of values, counted from 1; `names` is the header, if there is one."""

    separator: str
    names: tuple[str, ...] | None
    width: int  # how many cells a row has
    first: int
    comment: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def cut(self) -> str:
        """The separator in the text after `tabbed`: a tab if cells are separated by spaces."""
        return "\t" if self.separator == " " else self.separator


@dataclass(frozen=True)
class _Candidate:
    """The rows of the sample, split by one separator; `start` is the first row of the usual width."""

    separator: str
    rows: list[tuple[int, list[str]]]
    width: int
    start: int
    broken: bool  # whether quotes are unbalanced

    @property
    def penalty(self) -> tuple[bool, bool, bool, int, int]:
        after = self.rows[self.start :]
        irregular = sum(len(cells) != self.width for _, cells in after)
        return self.width < 2, self.broken, irregular * 10 > len(after), self.start, _preference(self.separator)


def _preference(separator: str) -> int:
    return list(SEPARATORS).index(separator) if separator in SEPARATORS else 0


def rows_of(lines: Iterable[str], separator: str, comment: str | None = None) -> Iterator[tuple[int, list[str]]]:
    """The rows of a text except blank lines and comments, each with the line on which it begins; raises csv.Error.

    `lines` is a text file opened with newline="", so that line ends within quotes are kept.
    """
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    line = 1
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise csv.Error(f"line {line}: {error}") from None
        begins, line = line, reader.line_num + 1
        if comment is not None and row and row[0].lstrip().startswith(comment):
            continue
        if any(cell.strip() for cell in row):
            yield begins, row


def tabbed(text: str) -> str:
    """Replaces each run of spaces within a line by a tab."""
    text = text.replace("\r\n", "\n")
    if '"' in text:
        text = re.sub(r'("(?:[^"]|"")*")|[ \t]+', lambda found: found[1] or "\t", text)
    else:
        text = re.sub(r"[ \t]+", "\t", text)
    return re.sub(r"(?m)^\t|\t$", "", text)


def find_dialect(text: str, where: str, separator: str | None = None, header: bool | None = None) -> Dialect:
    """The dialect of a table's text, inferred from its beginning; given `separator` and `header` take precedence."""
    sample = _beginning(text)
    notes = []
    skipped = 0
    if said := re.match(r'\s*"?sep=(\\t|.)"?[ \t]*\r?\n', sample, re.IGNORECASE):
        separator = separator or ("\t" if said[1] == "\\t" else said[1])
        skipped, sample = said[0].count("\n"), sample[said.end() :]
    comment = next((mark for mark in _COMMENTS if sample.lstrip().startswith(mark)), None)
    marks = [separator] if separator else list(SEPARATORS)
    candidates = [each for mark in marks if (each := _cut(sample, mark, comment)).rows]
    if not candidates and comment is not None:
        comment = None  # every line begins with it
        candidates = [each for mark in marks if (each := _cut(sample, mark, None)).rows]
    if not candidates:
        raise ConfigError(f"{where}: holds no rows.")
    best = min(candidates, key=lambda each: each.penalty)
    if best.separator != "," and best.width > 1:
        notes.append(f"separator {SEPARATORS.get(best.separator, best.separator)}")
    _check_width(best, where)
    names, body, n_titles = _find_header(best, header, sample, comment)
    if body == len(best.rows) and not best.broken:
        raise ConfigError(f"{where}: has a header line and no rows.")
    if n_titles:
        notes.append(f"{n_titles} title line{'s' if n_titles > 1 else ''} before the table left out")
    if names is None:
        notes.append(f"{'no header line: ' if header is None else ''}columns are named column_1 …")
    # Unbalanced quotes further on are reported when these rows are read.
    first = best.rows[body][0] if body < len(best.rows) else best.rows[-1][0] + 1
    return Dialect(best.separator, names, best.width, first + skipped, comment, tuple(notes))


def _check_width(table: _Candidate, where: str) -> None:
    """ConfigError for a header with more names than the rows have values; title lines may have any length."""
    start = table.start
    if not start or len(table.rows[start - 1][1]) <= table.width:
        return
    rows = [cells for _, cells in table.rows[start:] if len(cells) == table.width]
    if not _text_above_numbers(rows[0], rows[1:]):
        (above, names), (below, _) = table.rows[start - 1 : start + 1]
        raise ConfigError(
            f"{where}: line {below} has {table.width} values, and line {above} above it has {len(names)} names."
        )


def _beginning(text: str) -> str:
    """The first lines of a text, enough to infer its dialect."""
    end = -1
    for _ in range(_MOST_ROWS):
        end = text.find("\n", end + 1)
        if end < 0:
            return text
        if end > _SAMPLE:
            break
    return text[: end + 1]


def _cut(sample: str, separator: str, comment: str | None) -> _Candidate:
    rows: list[tuple[int, list[str]]] = []
    broken = False
    text, mark = (tabbed(sample), "\t") if separator == " " else (sample, separator)
    try:
        for row in rows_of(io.StringIO(text, newline=""), mark, comment):
            rows.append(row)
    except csv.Error:
        broken = True
    # If two widths are equally frequent, the later one is taken: title lines are at the beginning.
    lengths = Counter(len(cells) for _, cells in reversed(rows))
    width = lengths.most_common(1)[0][0] if rows else 0
    start = next((index for index, (_, cells) in enumerate(rows) if len(cells) == width), 0)
    if start > _MOST_TITLES:
        start = 0
    return _Candidate(separator, rows, width, start, broken)


def _find_header(
    table: _Candidate, header: bool | None, sample: str, comment: str | None
) -> tuple[tuple[str, ...] | None, int, int]:
    """The names of the columns, the index of the first row of values, and how many rows are titles."""
    rows = [cells for _, cells in table.rows]
    start, width = table.start, table.width
    if header is False:
        return None, start, start
    head, body = rows[start], [row for row in rows[start + 1 :] if len(row) == width]
    if start and width > 2 and len(rows[start - 1]) == width - 1 and not _text_above_numbers(head, body):
        # R's write.table gives row names no header; other programs end rows, but not the header, with a comma.
        short, values = rows[start - 1], [head, *body]
        ends_empty = not any(cells[-1].strip() for cells in values)
        if header or _is_header(short, [cells[:-1] if ends_empty else cells[1:] for cells in values]):
            return (*short, "") if ends_empty else ("", *short), start, start - 1
    if header or _is_header(head, body):
        return tuple(head), start + 1, start
    if comment is not None and not start:
        # The header may be the last comment line.
        above = sample.split("\n")[: table.rows[0][0] - 1]
        last = next((line for line in reversed(above) if line.strip()), "").strip().removeprefix(comment)
        (named,) = _cut(last, table.separator, None).rows[:1] or [(0, [])]
        if len(named[1]) == width > 1 and _is_header(named[1], [head, *body]):
            return tuple(named[1]), 0, 0
    return None, start, start


def _is_header(head: Sequence[str], body: Sequence[Sequence[str]]) -> bool:
    """Whether a row is a header: text above numbers, or no numbers and no value that occurs again below."""
    if _text_above_numbers(head, body):
        return True
    head = [cell.strip() for cell in head]
    is_number = [_NUMBER.fullmatch(cell) is not None for cell in head]
    if any(is_number):
        return _counts_up([cell for cell, number in zip(head, is_number, strict=True) if number], not head[0])
    again = [cell in {row[j].strip() for row in body} for j, cell in enumerate(head) if cell.lower() not in MISSING]
    return sum(again) * 2 <= len(again)


def _text_above_numbers(head: Sequence[str], body: Sequence[Sequence[str]]) -> bool:
    for j, cell in enumerate(head):
        if cell.strip().lower() in MISSING or _NUMBER.fullmatch(cell.strip()):
            continue
        below = [known for row in body if (known := row[j].strip()).lower() not in MISSING]
        if below and sum(_NUMBER.fullmatch(known) is not None for known in below) >= 0.9 * len(below):
            return True
    return False


def _counts_up(cells: list[str], unnamed_index: bool) -> bool:
    """Whether numbers are column names: 0, 1, 2 … of an unnamed matrix, or years."""
    if not all(cell.isascii() and cell.isdigit() for cell in cells):
        return False
    values = [int(cell[:18]) for cell in cells]
    if any(after - before != 1 for before, after in itertools.pairwise(values)):
        return False
    years = all(1800 <= value <= 2100 for value in values)
    return unnamed_index or len(values) > 2 or (years and len(values) > 1)
