"""Predictions of runs for the rows of a file, written as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpexp.data.unlabelled import Unlabelled, unlabelled
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
    """Writes what a run predicts for each row of a file to `out`, a CSV file that must be new.

    Of several runs, such as seeds, it is the mean of their probabilities or values. Columns of a table are matched by
    name; further ones do no harm. Of a run on images `file` is a folder of them, one image or an array; of one on
    arrays an .npz or .npy file. A class is written by its name, with `proba` the probability of each besides; values
    are in their own units. `keep` are columns to write beside. A large file is worked through in pieces. ConfigError
    for what cannot be predicted, with nothing left of `out`.
    """
    paths = [Path(path) for path in ([directories] if isinstance(directories, str | Path) else directories)]
    out = Path(out)
    loaded = [load(path, changes) for path in paths]
    members = [results for results, _ in loaded]
    _check(paths, members)
    dataset = saved_config(record.read(paths[0]), paths[0], changes or {}, data=False).dataset
    pieces = unlabelled(Path(file), dataset, members[0].identity.preprocessing)
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
    for path, results in zip(paths, members, strict=True):
        same = [target.name for target in results.identity.preprocessing.outputs] == [
            target.name for target in first.identity.preprocessing.outputs
        ]
        if not same or results.task != first.task:
            raise ConfigError(f"{path}: predicts something else than {paths[0]} does; there is no mean of both.")


def _predicted(
    members: Sequence[Results], pieces: Iterator[Unlabelled], proba: bool, keep: Sequence[str]
) -> Iterator[pl.DataFrame]:
    import polars as pl

    first, keep = members[0], tuple(dict.fromkeys(keep))
    for rows in pieces:
        kept = [] if rows.names is None else [rows.names.map_elements(no_formula, return_dtype=pl.String)]
        kept += [rows.column(name) for name in keep]
        answers = [results.predict_raw(rows.raw(results.identity.preprocessing)) for results in members]
        found = np.mean(answers, axis=0)
        columns = []
        if classes := first.task.classes:
            names = pl.Series([no_formula(name) for name in classes])
            target = first.identity.preprocessing.target.name
            columns.append(names.gather(found.argmax(1)).rename(f"predicted {target}"))
            if proba:
                # As many digits as the outputs have.
                short = found.astype(np.float32)
                columns += [pl.Series(f"p({name})", short[:, at]) for at, name in enumerate(classes)]
        else:
            outputs = first.identity.preprocessing.outputs
            columns += [pl.Series(f"predicted {target.name}", found[:, at]) for at, target in enumerate(outputs)]
        names_of = [column.name for column in (*kept, *columns)]
        if twice := [name for name in keep if names_of.count(name) > 1]:
            raise ConfigError(f"--keep={twice[0]}: a column of this name is written already.")
        yield pl.DataFrame([*kept, *columns])
