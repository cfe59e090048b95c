"""Predictions of runs for the rows of a file, written as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpexp.data.table import Table
from mlpexp.data.tables.matrix import rows_of
from mlpexp.data.tables.pieces import read_pieces
from mlpexp.data.tables.raw import RawTable
from mlpexp.errors import ConfigError
from mlpexp.run import record
from mlpexp.run.files import no_formula, writing
from mlpexp.run.results import Results
from mlpexp.training.evaluate import load
from mlpexp.training.saved_config import saved_config

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Predictions:
    """Where predictions were written, for how many rows, and of which epoch's weights of each run they are."""

    file: Path
    n_rows: int
    epochs: tuple[int, ...]


def predict_file(
    directories: str | Path | Sequence[str | Path],
    file: str | Path,
    out: str | Path,
    *,
    proba: bool = False,
    keep: Sequence[str] = (),
    changes: dict[str, Any] | None = None,
) -> Predictions:
    """Writes what a run predicts for each row of a table to `out`, a CSV file that must be new.

    Of several runs, such as seeds, it is the mean of their probabilities or values. Columns are matched by name;
    further ones do no harm. A class is written by its name, with `proba` the probability of each besides; values are
    in their own units. `keep` are columns of the table to write beside. A large file is worked through in pieces.
    ConfigError for what cannot be predicted, with nothing left of `out`.
    """
    paths = [Path(path) for path in ([directories] if isinstance(directories, str | Path) else directories)]
    out = Path(out)
    loaded = [load(path, changes) for path in paths]
    members = [results for results, _ in loaded]
    _check(paths, members)
    dataset = saved_config(record.read(paths[0]), paths[0], changes or {}, data=False).dataset
    form, sheet = (dataset.text_form, dataset.sheet) if isinstance(dataset, Table) else (None, None)
    pieces = read_pieces(Path(file), f"data={file}", form, sheet)
    n_rows = 0
    with writing(out):
        try:
            target = out.open("xb")
        except FileExistsError:
            raise ConfigError(f"{out}: already exists, and nothing is overwritten; choose another.") from None
    try:
        with target, writing(out):
            for frame in _predicted(members, pieces, proba, keep):
                frame.write_csv(target, include_header=not n_rows)
                n_rows += len(frame)
    except BaseException:
        with suppress(OSError):
            out.unlink()
        raise
    return Predictions(out, n_rows, tuple(epoch for _, epoch in loaded))


def _check(paths: Sequence[Path], members: Sequence[Results]) -> None:
    first = members[0]
    if first.identity.preprocessing.image_shape is not None:
        raise ConfigError(
            f"{paths[0]}: was trained on images; mlpexp.load(RUN)[0].predict(pixels) predicts from Python."
        )
    for path, results in zip(paths, members, strict=True):
        same = [target.name for target in results.identity.preprocessing.outputs] == [
            target.name for target in first.identity.preprocessing.outputs
        ]
        if not same or results.task != first.task:
            raise ConfigError(f"{path}: predicts something else than {paths[0]} does; there is no mean of both.")


def _predicted(
    members: Sequence[Results], pieces: Iterator[RawTable], proba: bool, keep: Sequence[str]
) -> Iterator[pl.DataFrame]:
    import polars as pl

    first = members[0]
    for table in pieces:
        kept = [table.column(name, f"--keep={name}").cells.rename(name) for name in keep]
        answers = [results.predict_raw(rows_of(table, results.identity.preprocessing.columns)) for results in members]
        found = np.mean(answers, axis=0)
        columns = []
        if classes := first.task.classes:
            names = pl.Series([no_formula(name) for name in classes])
            target = first.identity.preprocessing.target.name
            columns.append(names.gather(found.argmax(1)).rename(f"predicted {target}"))
            if proba:
                columns += [pl.Series(f"p({name})", found[:, at]) for at, name in enumerate(classes)]
        else:
            outputs = first.identity.preprocessing.outputs
            columns += [pl.Series(f"predicted {target.name}", found[:, at]) for at, target in enumerate(outputs)]
        yield pl.DataFrame([*kept, *columns])
