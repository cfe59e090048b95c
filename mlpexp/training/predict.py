"""Predictions of a run for the rows of a file, written as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlpexp.data.table import Table
from mlpexp.data.tables.matrix import rows_of
from mlpexp.data.tables.pieces import read_pieces
from mlpexp.data.tables.raw import RawTable
from mlpexp.errors import ConfigError
from mlpexp.run import record
from mlpexp.run.files import no_formula, writing
from mlpexp.run.results import Results
from mlpexp.training.evaluate import load
from mlpexp.training.single import saved_config

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Predictions:
    """Where predictions were written, for how many rows, and of which epoch's weights they are."""

    file: Path
    n_rows: int
    epoch: int


def predict_file(
    directory: str | Path,
    file: str | Path,
    out: str | Path,
    *,
    proba: bool = False,
    keep: Sequence[str] = (),
    changes: dict[str, Any] | None = None,
) -> Predictions:
    """Writes what a run predicts for each row of a table to `out`, a CSV file that must be new.

    Columns are matched by name; further ones do no harm. A class is written by its name, with `proba` the probability
    of each besides; values are in their own units. `keep` are columns of the table to write beside. A large file is
    worked through in pieces. ConfigError for what cannot be predicted, with nothing left of `out`.
    """
    path, out = Path(directory), Path(out)
    results, epoch = load(path, changes)
    dataset = saved_config(record.read(path), path, changes or {}, data=False).dataset
    if results.identity.preprocessing.image_shape is not None:
        raise ConfigError(f"{path}: was trained on images; mlpexp.load(RUN)[0].predict(pixels) predicts from Python.")
    settings = dataset if isinstance(dataset, Table) else None
    where = f"data={file}"
    pieces = read_pieces(
        Path(file), where, settings.text_form if settings else None, settings.sheet if settings else None
    )
    n_rows = 0
    with writing(out):
        try:
            target = out.open("xb")
        except FileExistsError:
            raise ConfigError(
                f"--out={out}: already exists, and nothing is overwritten; choose another name."
            ) from None
    try:
        with target, writing(out):
            for frame in _predicted(results, pieces, proba, keep):
                frame.write_csv(target, include_header=not n_rows)
                n_rows += len(frame)
    except BaseException:
        with suppress(OSError):
            out.unlink()
        raise
    return Predictions(out, n_rows, epoch)


def _predicted(
    results: Results, pieces: Iterator[RawTable], proba: bool, keep: Sequence[str]
) -> Iterator[pl.DataFrame]:
    import polars as pl

    for table in pieces:
        kept = [table.column(name, f"--keep={name}").cells.rename(name) for name in keep]
        found = results.predict_raw(rows_of(table, results.identity.preprocessing.columns))
        columns = []
        if classes := results.task.classes:
            names = pl.Series([no_formula(name) for name in classes])
            target = results.identity.preprocessing.target.name
            columns.append(names.gather(found.argmax(1)).rename(f"predicted {target}"))
            if proba:
                columns += [pl.Series(f"p({name})", found[:, at]) for at, name in enumerate(classes)]
        else:
            outputs = results.identity.preprocessing.outputs
            columns += [pl.Series(f"predicted {target.name}", found[:, at]) for at, target in enumerate(outputs)]
        yield pl.DataFrame([*kept, *columns])
