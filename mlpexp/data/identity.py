"""The description of its data that a run stores: evaluation reuses the fitted preprocessing and the split."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mlpexp.data.preprocessing import Preprocessing
from mlpexp.data.source import Source
from mlpexp.data.task import Task
from mlpexp.errors import ConfigError
from mlpexp.fields.convert import as_plain, build, convert
from mlpexp.fields.ranges import Index

if TYPE_CHECKING:
    from torch import Tensor

_SPLITS = 3


@dataclass(frozen=True)
class DataIssue:
    """An issue of a table, such as a column with mostly missing values.

    `symptom` is a stable key, `columns` are the columns concerned, `evidence` is a sentence with figures. `remedy` is
    an override, or empty if no override helps; each of the `alternatives` can be used in its place.
    """

    symptom: str
    columns: tuple[str, ...]
    evidence: str
    remedy: str = ""
    alternatives: tuple[str, ...] = ()


@dataclass(frozen=True)
class Identity:
    """The task with its classes, the fitted preprocessing, the file, and the split of each of its rows."""

    task: Task
    preprocessing: Preprocessing
    source: Source | None = None
    """The file of the data; None if the config alone determines them."""
    split: str | None = None
    """The split of each row, see `packed`; None if the data are not split from a file."""
    test_source: Source | None = None
    """The file of the test rows, if it is a separate one; in `split` they follow the rows of `source`."""
    issues: tuple[DataIssue, ...] = ()
    """Issues of a table, as shown by `mlpexp look`."""
    n_rows: tuple[Index, Index, Index] | None = None
    """Number of rows of train, val and test."""

    @property
    def n_features(self) -> int:
        """F, the number of inputs of a network."""
        return self.preprocessing.n_inputs

    @cached_property
    def plain(self) -> dict[str, Any]:
        """The form stored in JSON and checkpoints."""
        return {
            "source": as_plain(self.source),
            "test_source": as_plain(self.test_source),
            "kind": self.task.kind,
            "classes": list(self.task.classes),
            **self.preprocessing.to_plain(),
            "split": self.split,
            "issues": as_plain(self.issues),
            "n_rows": as_plain(self.n_rows),
        }

    @staticmethod
    def of_plain(plain: Any) -> Identity:
        """The inverse of `plain`; ValueError if the content is invalid."""
        if not isinstance(plain, Mapping):
            raise ValueError("it says nothing of its data")
        kind, classes, split = (plain.get(name) for name in ("kind", "classes", "split"))
        if kind not in ("classification", "regression") or not isinstance(classes, list):
            raise ValueError("its data have no task")
        if not all(isinstance(name, str) for name in classes) or (kind == "regression") != (not classes):
            raise ValueError("its data have no classes")
        if not isinstance(split, str | None):
            raise ValueError("the split of its data is not text")
        preprocessing = Preprocessing.of_plain(plain)
        source, tested = (
            None if plain.get(key) is None else build(Source, plain[key], f"data.{key}")
            for key in ("source", "test_source")
        )
        task = Task(kind, tuple(classes), len(preprocessing.outputs))
        issues = convert(plain.get("issues", []), tuple[DataIssue, ...], "data.issues")
        n_rows = convert(plain.get("n_rows"), tuple[Index, Index, Index] | None, "data.n_rows")
        return Identity(task, preprocessing, source, split, tested, issues, n_rows)


def packed(rows: tuple[Tensor, Tensor, Tensor], n_rows: int) -> str:
    """The split of each row as a short text: one byte per row, Huffman-coded (zlib), in base64.

    Half a million rows take 134 kB.
    """
    import torch

    of_row = torch.full((n_rows,), _SPLITS, dtype=torch.uint8)  # of rows that are left out
    for number, part in enumerate(rows):
        of_row[part] = number
    coder = zlib.compressobj(strategy=zlib.Z_HUFFMAN_ONLY)
    return base64.b64encode(coder.compress(of_row.numpy().tobytes()) + coder.flush()).decode()


def split_of_rows(split: str | None, n_rows: int) -> bytes:
    """One byte per row: 0 train, 1 val, 2 test, 3 left out. Invalid bytes, or none, if `split` is damaged."""
    try:
        # The length is limited, since a damaged text may expand without bound.
        return zlib.decompressobj().decompress(base64.b64decode(split or "", validate=True), n_rows + 1)
    except (zlib.error, binascii.Error, ValueError):
        return b""


def unpacked(split: str | None, n_rows: int) -> tuple[Tensor, Tensor, Tensor]:
    """The rows of train, val and test, each in file order; ConfigError if `split` is not one of `n_rows` rows."""
    import torch

    content = split_of_rows(split, n_rows)
    of_row = torch.frombuffer(bytearray(content or b"\0"), dtype=torch.uint8)
    train, val, test = ((of_row == number).nonzero().squeeze(1) for number in range(_SPLITS))
    if len(content) != n_rows or not (len(train) and len(val) and len(test)) or int(of_row.max()) > _SPLITS:
        raise ConfigError("the split that the run notes is not one of these rows; its run.json is damaged.")
    return train, val, test
