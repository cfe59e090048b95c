"""How to use the network of a run: commands and lines of Python, with the names of its columns and files."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from mlpexp.data.identity import Identity
from mlpexp.data.pixels import image_axes
from mlpexp.run import record
from mlpexp.run.record import Record

# At most so many columns or classes are named.
_MOST = 12


@dataclass(frozen=True)
class Usage:
    """Sentences on the inputs and outputs of a network; commands; and a Python program."""

    words: list[str]
    commands: list[str]
    python: str


def usage(directory: Path, found: Record) -> Usage:
    """How to use a completed run; FILE and new.csv are placeholders."""
    known = record.identity(found, directory)
    image, names = known.preprocessing.image_shape, known.preprocessing.names
    run = shlex.quote(str(directory))
    by_name = image is None and known.source is not None
    if image is not None:
        takes = f"images of {image[1]} × {image[2]} pixels: a folder, one image, or an .npz or .npy file"
    else:
        takes = (
            f"rows with the columns {_listed(names)}: a table"
            if names
            else f"rows of {known.preprocessing.n_raw} numbers"
        )
    commands = [
        f"mlpexp predict {run} FILE{' --proba' if known.task.classes else ''}",
        f"mlpexp export {run} --format torch",
    ]
    return Usage([f"It takes {takes}.", f"It gives {_gives(known)}."], commands, _program(directory, known, by_name))


def _gives(known: Identity) -> str:
    classes = known.task.classes
    if classes:
        return f"the probability of each class, {_listed(classes)}, with the weights of the best epoch"
    targets = _listed([target.name for target in known.preprocessing.outputs])
    return f"values of {targets} in their own units, with the weights of the best epoch"


def _listed(names: tuple[str, ...] | list[str]) -> str:
    shown = ", ".join(names[:_MOST])
    return f"{shown}, … ({len(names):,} in all)" if len(names) > _MOST else shown


def _program(directory: Path, known: Identity, by_name: bool) -> str:
    """A Python program that predicts new rows."""
    load = f"results, epoch = mlpexp.load({str(directory)!r})"
    if by_name:
        rows, imported = 'rows = polars.read_csv("new.csv")', "import polars\n\nimport mlpexp"
    else:
        image = known.preprocessing.image_shape
        shape = (1, known.preprocessing.n_raw) if image is None else (1, *image_axes(image)[0])
        rows, imported = f"rows = numpy.zeros({shape})  # yours", "import numpy\n\nimport mlpexp"
    return f"{imported}\n\n{load}\n{rows}\nprint(results.predict(rows))"
