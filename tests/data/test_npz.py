"""Arrays in .npz files: what is taken for what, the splits that they come in, and one line for each mistake."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mlpexp.data.dataset import Data
from mlpexp.data.npz import Npz
from mlpexp.errors import ConfigError
from mlpexp.fields.convert import build

X, Y = np.arange(60.0).reshape(20, 3), np.arange(20) % 2
GRAY, COLOUR = np.arange(20 * 12, dtype=np.uint8).reshape(20, 3, 4), np.arange(720).reshape(20, 3, 4, 3).astype("uint8")


def load(here: Path, **arrays: Any) -> Data:
    """What the file of these arrays is as a dataset; `options` are fields of that."""
    options = arrays.pop("options", {})
    np.savez(here / "own.npz", **arrays)
    dataset = build(Npz, {"path": "own.npz", **options}, "dataset")
    return dataset.load(here / "nowhere")


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (np.arange(20) % 3 + 5, ("5", "6", "7")),
        (np.array(["b", "ä"] * 10), ("b", "ä")),
        (np.array([b"no", b"yes"] * 10), ("no", "yes")),
        (np.arange(20) % 2 == 0, ("False", "True")),
        ((np.arange(20) % 2 * 9 + 1).astype(">u2")[:, None], ("1", "10")),
    ],
)
def test_whole_numbers_and_text_are_classes(here: Path, y: np.ndarray, classes: tuple[str, ...]) -> None:
    data = load(here, X=X.astype(">f4"), Y=y)
    assert data.task.classes == classes
    train, val, test = data.splits().values()
    named = {tuple(row): str(label) for row, label in zip(X, y.reshape(-1), strict=True)}
    for split in (train, val, test):
        for row, label in zip(data.features_in_own_units(split.x).round().tolist(), split.y, strict=True):
            assert classes[label] in named[tuple(row)]
    raw = data.preprocessing.raw(train.x)
    np.testing.assert_allclose(train.x, (raw - raw.mean(0)) / raw.std(0, correction=0), atol=1e-6)


def test_floats_are_values_and_may_be_taken_for_classes(here: Path) -> None:
    y = np.arange(20) / 2
    data = load(here, x=X, y=y)
    assert data.task.kind == "regression"
    values = torch.cat([data.targets_in_own_units(split.y) for split in data.splits().values()])
    np.testing.assert_allclose(sorted(values[:, 0].tolist()), y, atol=1e-6)
    assert float(data.train.y.mean()) == pytest.approx(0, abs=1e-6)
    taken = load(here, x=X, y=np.arange(20) % 2 + 0.5 * (np.arange(20) % 2), options={"task": "classification"})
    assert taken.task.classes == ("0", "1.5")
    assert load(here, x=X, y=Y, options={"task": "regression"}).task.kind == "regression"


@pytest.mark.parametrize(("x", "shape"), [(GRAY, (1, 3, 4)), (GRAY[..., None], (1, 3, 4)), (COLOUR, (3, 3, 4))])
def test_images_stay_bytes_channel_by_channel(here: Path, x: np.ndarray, shape: tuple[int, int, int]) -> None:
    data = load(here, x_train=x, y_train=Y, x_test=x[:5], y_test=Y[:5])
    assert data.image_shape == shape
    assert data.test.x.dtype == torch.uint8
    planes = x[:5].reshape(5, 3, 4, -1).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(data.test.x.reshape(planes.shape), planes)


@pytest.mark.parametrize("capital", ["x", "X"])
@pytest.mark.parametrize("parts", [("train", "test"), ("train", "val", "test"), ("train", "val"), ("train",)])
def test_the_splits_of_the_file_are_kept_and_the_others_come_from_train(
    here: Path, parts: tuple[str, ...], capital: str
) -> None:
    arrays: dict[str, Any] = {}
    for at, part in enumerate(parts):
        arrays |= {f"{capital}_{part}": X + 1000 * at, f"y_{part}": Y}
    data = load(here, **dict(reversed(arrays.items())))
    for name, split in data.splits().items():
        found = data.features_in_own_units(split.x)[:, 0].round().div(1000).long().unique().tolist()
        assert found == [parts.index(name) if name in parts else 0]
    assert len(data.train) == 20 - 4 * (3 - len(parts))
    assert sum(map(len, data.splits().values())) == 20 * len(parts)
    assert ("split off train at random" in data.note) == (len(parts) < 3)


NAMES = "must hold x and y, or x_train, y_train, x_test, y_test, and x_val, y_val if there are any; X is x too."
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "another name": ({"a": X, "y": Y}, f"holds the arrays a, y; {NAMES}"),
    "no y": ({"x": X}, f"holds the arrays x; {NAMES}"),
    "no y of a part": (
        {"x_train": X, "y_train": Y, "x_test": X},
        f"holds the arrays x_train, y_train, x_test; {NAMES}",
    ),
    "no train": ({"x_test": X, "y_test": Y}, f"holds the arrays x_test, y_test; {NAMES}"),
    "whole and parts": (
        {"x": X, "y": Y, "x_test": X, "y_test": Y},
        f"holds the arrays x, y, x_test, y_test; {NAMES}",
    ),
    "both letters": ({"x": X, "X": X, "y": Y}, "holds the arrays x, X, y; of x and X there may be one."),
    "objects": (
        {"x": X, "y": np.array([None] * 20)},
        "y holds Python objects, which are not read; save numbers, or text as dtype str.",
    ),
    "text to learn from": ({"x": X.astype(str), "y": Y}, "x is <U32 [20, 3]; must be numbers."),
    "one axis": (
        {"x": X[:, 0], "y": Y},
        "x is float64 [20]; must be numbers [N, F], or images of uint8, [N, H, W] or [N, H, W, C].",
    ),
    "images of floats": (
        {"X": GRAY / 255, "y": Y},
        "X is float64 [20, 3, 4]; images must be uint8, 0 to 255; rows of numbers are [N, F].",
    ),
    "channels first": (
        {"x": COLOUR.transpose(0, 3, 1, 2), "y": Y},
        "x is uint8 [20, 3, 3, 4]; images [N, H, W, C] must have 1 or 3 channels; np.moveaxis(x, 1, 3) puts them last.",
    ),
    "four channels": (
        {"x": COLOUR.reshape(20, 9, 1, 4), "y": Y},
        "x is uint8 [20, 9, 1, 4]; images [N, H, W, C] must have 1 or 3 channels.",
    ),
    "no rows": ({"x": X[:0], "y": Y[:0]}, "x is float64 [0, 3]; must have rows and columns."),
    "one-hot": (
        {"x": X, "y": np.eye(20)},
        "y is float64 [20, 20]; must be [N], one class or value a row (of one-hot rows y.argmax(1)).",
    ),
    "dates": (
        {"x": X, "y": np.arange(20).astype("datetime64[D]")},
        "y is datetime64[D] [20]; must be whole numbers or text, the classes, or floats, the values.",
    ),
    "fewer of y": ({"x": X, "y": Y[:19]}, "x has 20 rows and y 19; each row of x needs its own of y."),
    "holes": ({"x": np.where(X == 4, np.nan, X), "y": Y}, "x[1, 1] is nan; one value is not finite."),
    "infinite": ({"x": X, "y": np.where(X[:, 0] < 6, np.inf, X[:, 0])}, "y[0] is inf; 2 values are not finite."),
    "other columns": (
        {"x_train": X, "y_train": Y, "x_test": X[:, 1:], "y_test": Y},
        "x_test is float64 [20, 2], and x_train is float64 [20, 3]; all parts must have the same form.",
    ),
    "other classes": (
        {"x_train": X, "y_train": Y, "x_test": X, "y_test": Y.astype(str)},
        "y_test is <U21 [20], and y_train is int64 [20]; all parts must have the same form.",
    ),
    "one class": ({"x": X, "y": Y * 0}, "has only the class '0'; at least two are needed."),
    "one value": ({"x": X, "y": Y * 0.0}, "y is 0 in every row: nothing to learn."),
    "a rare class": (
        {"x": X, "y": np.arange(20) // 19},
        "the class '1' has 1 row to split; at least 3 are needed.",
    ),
    "two rows": ({"x": X[:2], "y": X[:2, 0]}, "it has 2 rows to split; at least 3 are needed."),
    "words for values": (
        {"x": X, "y": Y.astype(str), "options": {"task": "regression"}},
        "y holds text; dataset.task=regression needs numbers.",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_each_mistake_is_one_line(what: str, here: Path) -> None:
    arrays, said = WRONG[what]
    with pytest.raises(ConfigError, match=f"^dataset.path=own.npz: {re.escape(said)}$"):
        load(here, **arrays)


def test_what_is_no_such_file_is_one_line(here: Path) -> None:
    np.save(here / "one.npy", X)
    np.savez_compressed(here / "whole.npz", x=X, y=Y)
    whole = (here / "whole.npz").read_bytes()
    at = whole.index(b"x.npy") + 40
    (here / "damaged.npz").write_bytes(whole[:at] + b"\0\0\0\0" + whole[at + 4 :])
    (here / "cut.npz").write_bytes(whole[:-30])
    (here / "text.npz").write_text("x,y\n1,2\n")
    (here / "empty.npz").touch()
    for path, said in {
        "gone.npz": "no such file; an .npz file is needed.",
        ".": "is a directory; an .npz file is needed.",
        "/dev/null": "is not a regular file; an .npz file is needed.",
        "one.npy": "is an .npy file of one array; an .npz file with x and y is needed (np.savez).",
        "text.npz": "is not an .npz file as written by np.savez.",
        "empty.npz": "is not an .npz file as written by np.savez.",
        "cut.npz": "is not an .npz file as written by np.savez.",
        "damaged.npz": "x cannot be read: ",
    }.items():
        with pytest.raises(ConfigError, match=f"^dataset.path={re.escape(path)}: {re.escape(said)}") as caught:
            Npz(path=path).load(here)
        assert len(caught.value.lines) == 1
