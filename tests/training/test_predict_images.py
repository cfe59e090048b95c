"""`mlpexp predict` of runs on images and arrays: folders, single images, .npz and .npy files; one line for what is no
such thing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

import mlpexp
from mlpexp.cli.main import call

QUICK = ["epochs=2", "batch_size=8", "model.hidden=[8]", "log.figures=false", "log.tensorboard=false", "device=cpu"]
NAMES = np.array(["cat", "dog", "eel"])
Y = np.arange(36) % 3
X = np.random.default_rng(0).integers(100, size=(36, 4, 5, 3)).astype(np.uint8)
X[np.arange(36), Y] += 120
ROWS = np.random.default_rng(1).normal(size=(40, 3)) * (1, 10, 1e6)


def write_images(folder: Path, x: np.ndarray) -> None:
    folder.mkdir(parents=True)
    for number, pixels in enumerate(x):
        Image.fromarray(pixels).save(folder / f"{number:02}.png")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs on images as they are, on resized ones in gray, on arrays of values, and on scikit-learn's digits."""
    place = tmp_path_factory.mktemp("images")
    for label, name in enumerate(NAMES):
        write_images(place / "own" / name, X[label == Y])
    np.savez(place / "rows.npz", x=ROWS, y=ROWS @ (1.0, 0.2, 1e-6))
    for name, overrides in {
        "images": ["dataset=images", f"dataset.path={place}/own"],
        "resized": ["dataset=images", f"dataset.path={place}/own", "dataset.size=[3,2]", "dataset.channels=1"],
        "arrays": ["dataset=npz", f"dataset.path={place}/rows.npz"],
        "digits": ["dataset=digits", "epochs=1"],
    }.items():
        mlpexp.train(mlpexp.compose([*QUICK, *overrides]), place / name)
    return place


def predicted(run: Path, file: str, *options: str) -> pl.DataFrame:
    Path("out.csv").unlink(missing_ok=True)
    assert call(["predict", str(run), file, "--out", "out.csv", "--proba", *options]) == 0
    return pl.read_csv("out.csv")


def probabilities(found: pl.DataFrame) -> np.ndarray:
    return found.select(pl.selectors.starts_with("p(")).to_numpy()


def test_a_folder_of_images_one_of_them_and_arrays_of_their_pixels(
    project: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlpexp.data.unlabelled._PIECE", 60 * 5)  # five images at a time
    expected = mlpexp.load(project / "images")[0].predict(X)
    write_images(here / "new", X[:20])
    write_images(here / "new" / "=deep", X[20:])
    found = predicted(project / "images", "new")
    assert found.columns == ["file", "predicted class", "p(cat)", "p(dog)", "p(eel)"]
    order = [*range(20), *range(20, 36)]
    names = [f"{number:02}.png" for number in range(20)] + [f"'=deep/{number:02}.png" for number in range(16)]
    by_name = dict(zip(names, order, strict=True))
    rows = [by_name[name] for name in found["file"]]
    assert sorted(rows) == order
    np.testing.assert_allclose(probabilities(found), expected[rows], rtol=1e-5)
    assert found["predicted class"].to_list() == NAMES[expected[rows].argmax(1)].tolist()

    one = predicted(project / "images", "new/07.png")
    assert one["file"].to_list() == ["07.png"]
    np.testing.assert_allclose(probabilities(one), expected[[7]], rtol=1e-5)

    np.savez("own.npz", X=X, id=np.arange(36), y=NAMES[Y], other=np.zeros((36, 2)))
    np.save("images.npy", X)
    np.save("rows.npy", X.transpose(0, 3, 1, 2).reshape(36, -1).astype(float))
    for name in ("own.npz", "images.npy", "rows.npy"):
        np.testing.assert_allclose(probabilities(predicted(project / "images", name)), expected, rtol=1e-5)
    kept = predicted(project / "images", "own.npz", "--keep", "y", "--keep", "id")
    assert kept.columns[:3] == ["y", "id", "predicted class"]
    assert kept["id"].to_list() == [*range(36)]

    # As the arrays of Keras are divided.
    np.savez("divided.npz", x_test=X[30:], x_train=X[:30], y_train=Y[:30], y_test=Y[30:])
    divided = predicted(project / "images", "divided.npz")
    assert divided["array"].to_list() == ["x_train"] * 30 + ["x_test"] * 6
    np.testing.assert_allclose(probabilities(divided), expected, rtol=1e-5)


def test_images_are_resized_where_those_of_the_run_were(
    project: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    large = np.random.default_rng(2).integers(256, size=(2, 9, 8, 3)).astype(np.uint8)
    write_images(here / "new", large)
    pixels = [np.asarray(Image.fromarray(one).convert("L").resize((2, 3), Image.Resampling.BILINEAR)) for one in large]
    expected = mlpexp.load(project / "resized")[0].predict(np.stack(pixels))
    np.testing.assert_allclose(probabilities(predicted(project / "resized", "new")), expected, rtol=1e-5)
    Path("out.csv").unlink()
    capsys.readouterr()
    assert call(["predict", str(project / "images"), "new", "--out", "out.csv"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mlpexp: data=new: 00.png has 9×8 pixels; the run was trained on images of 4×5 that were ")
    assert not Path("out.csv").exists()


def test_rows_of_arrays_and_tables_of_their_columns(project: Path, here: Path) -> None:
    expected = mlpexp.load(project / "arrays")[0].predict(ROWS)
    np.save("rows.npy", ROWS)
    pl.DataFrame(ROWS, schema=["x1", "x2", "x3"]).select("x3", "x1", "x2").write_csv("rows.csv")
    for name in ("rows.npy", str(project / "rows.npz"), "rows.csv"):
        found = predicted(project / "arrays", name)
        np.testing.assert_allclose(found["predicted y"], expected[:, 0], rtol=1e-6, atol=1e-6)
    digits = np.random.default_rng(3).integers(17, size=(3, 8, 8))
    np.save("digits.npy", digits)
    np.testing.assert_allclose(
        probabilities(predicted(project / "digits", "digits.npy")),
        mlpexp.load(project / "digits")[0].predict(digits),
        rtol=1e-5,
    )


def half() -> None:
    np.save("n.npy", ROWS)
    Path("n.npy").write_bytes(Path("n.npy").read_bytes()[:-200])


WRONG: dict[str, tuple[str, Callable[[], object], str, str]] = {
    "nothing": ("images", lambda: None, "new", "data=new: no such file or folder; an image, a folder of images, or"),
    "no images": ("images", lambda: Path("new").mkdir(), "new", "data=new: holds no images."),
    "no image": (
        "images",
        lambda: Path("new.csv").write_text("x1,x2\n1,2\n"),
        "new.csv",
        "data=new.csv: is no image; an image, a folder of images, or an .npz file is needed.",
    ),
    "scaled pixels": ("images", lambda: np.save("n.npy", X / 255), "n.npy", "data=n.npy: a pixel is 0."),
    "channels first": (
        "images",
        lambda: np.save("n.npy", X.transpose(0, 3, 1, 2)),
        "n.npy",
        "data=n.npy: inputs must be rows of 60 columns or images [N, 4, 5, 3]; their shape is 36 × 3 × 4 × 5.",
    ),
    "several arrays": (
        "images",
        lambda: np.savez("n.npz", a=X, b=X),
        "n.npz",
        "data=n.npz: holds the arrays a, b; the rows to predict must be in x, or in the one array that there is.",
    ),
    "one number": ("arrays", lambda: np.save("n.npy", 5.0), "n.npy", "data=n.npy: the array is float64 []; rows of"),
    "a column less": (
        "arrays",
        lambda: np.save("n.npy", ROWS[:, 1:]),
        "n.npy",
        "data=n.npy: inputs must be rows of 3 columns: x1, x2, x3; their shape is 40 × 2.",
    ),
    "a hole": (
        "arrays",
        lambda: np.save("n.npy", np.where(np.arange(120).reshape(40, 3) == 100, np.nan, ROWS)),
        "n.npy",
        "data=n.npy: row 34, column 'x2': is nan; inputs must be finite.",
    ),
    "text": ("arrays", lambda: np.save("n.npy", ROWS.astype(str)), "n.npy", "data=n.npy: the array is <U32 [40, 3]; "),
    "objects": (
        "arrays",
        lambda: np.savez("n.npz", x=ROWS.astype(object)),
        "n.npz",
        "data=n.npz: x holds Python objects, which are not read; ",
    ),
    "no rows": ("arrays", lambda: np.save("n.npy", ROWS[:0]), "n.npy", "data=n.npy: holds no rows."),
    "half": (
        "arrays",
        half,
        "n.npy",
        "data=n.npy: is not an .npy file as written by np.save.",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_each_mistake_is_one_line_and_nothing_is_written(
    wrong: str, project: Path, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlpexp.data.unlabelled._PIECE", 30)  # ten rows at a time, or one image
    run, write, file, said = WRONG[wrong]
    write()
    assert call(["predict", str(project / run), file, "--out", "out.csv"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"mlpexp: {said}")
    assert not Path("out.csv").exists()


def test_what_can_be_kept(project: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("n.npz", x=X, id=np.arange(36))
    for file, name, said in (
        (
            str(project / "own"),
            "id",
            "--keep=id: applies to tables and arrays; for images the name of the file is written.",
        ),
        ("n.npz", "ID", "--keep=ID: no array of the file has this name and one value for each row. Choose from: id."),
    ):
        assert call(["predict", str(project / "images"), file, "--keep", name]) == 2
        assert said in capsys.readouterr().err
