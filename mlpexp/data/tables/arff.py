"""ARFF, the format of Weka and of many tables on OpenML: attributes, then rows as in a CSV file.

scipy's reader silently drops values past the last attribute, and supports neither strings nor quoted values with
spaces. Therefore the header is read here, and the rows are read as in any text file.
"""

from __future__ import annotations

import csv
import re
from array import array

from mlpexp.data.tables.cells import narrowed
from mlpexp.data.tables.encoding import as_utf8
from mlpexp.data.tables.raw import Marks, RawColumn, RawTable, printable, short, unique_names
from mlpexp.errors import ConfigError

_ATTRIBUTE = re.compile(r"""@attribute\s+('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\s{]+)\s*(\S.*)""", re.IGNORECASE)


def read_arff(content: bytes, where: str) -> RawTable:
    """The rows after @data; numbers and dates are inferred from the cells, as in other text files."""
    import polars as pl

    text = as_utf8(content, where)[0].decode()
    lines = text.split("\n")
    names = []
    start = None
    for number, line in enumerate(lines, 1):
        said = line.strip()
        if said.lower().startswith("@data"):
            start = number
            break
        if said.lower().startswith("@attribute"):
            found = _ATTRIBUTE.fullmatch(said)
            if found is None:
                raise ConfigError(f"{where}: line {number}: '{short(said)}' names no attribute and its type.")
            names.append(_unquoted(found[1]))
    if start is None or not names:
        raise ConfigError(f"{where}: has no {'@data line' if start is None else '@attribute line'}, as ARFF needs.")
    columns: list[list[str]] = [[] for _ in names]
    places = array("q")
    for number, line in enumerate(lines[start:], start + 1):
        said = line.strip()
        if not said or said.startswith("%"):
            continue
        if said.startswith("{"):
            raise ConfigError(f"{where}: line {number}: sparse rows are not read; save the table as CSV or parquet.")
        row = _cells(said, where, number)
        if len(row) != len(names):
            raise ConfigError(
                f"{where}: line {number} has {len(row)} value{'s' if len(row) > 1 else ''}, and {len(names)} "
                "attributes are declared."
            )
        places.append(number)
        for column, cell in zip(columns, row, strict=True):
            column.append(cell)
    if not places:
        raise ConfigError(f"{where}: has no rows behind @data.")
    known, notes = unique_names(names)
    made = [
        RawColumn(name, narrowed(pl.Series(cells, dtype=pl.String), Marks()))
        for name, cells in zip(known, columns, strict=True)
    ]
    return RawTable(where, tuple(made), tuple(notes), places)


def _cells(line: str, where: str, number: int) -> list[str]:
    """The values of a row, separated by commas or tabs; values that contain a separator are quoted."""
    quote = "'" if re.search(r"(?:^|[,\t])\s*'", line) else '"'
    mark = "," if "," in line or "\t" not in line else "\t"
    try:
        (row,) = csv.reader(
            [line], delimiter=mark, quotechar=quote, escapechar="\\", skipinitialspace=True, doublequote=True
        )
    except (csv.Error, ValueError) as error:
        raise ConfigError(f"{where}: line {number}: {printable(str(error))}.") from None
    return [cell.strip() for cell in row]


def _unquoted(name: str) -> str:
    return re.sub(r"\\(.)", r"\1", name[1:-1]) if name[0] in "'\"" and name[-1] == name[0] else name
