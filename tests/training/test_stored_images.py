"""Runs of images and arrays of one's own: their data are found again wherever they lie, and refused once changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import accuracy_score

import mlpexp
from mlpexp.cli.main import call
from mlpexp.run import record

X = np.random.default_rng(0).integers(100, size=(60, 4, 5, 3)).astype(np.uint8)
Y = np.arange(60) % 3
X[np.arange(60), Y] += 120
NAMES = np.array(["cat", "dog", "eel"])
QUICK = ["epochs=2", "batch_size=8", "model.hidden=[8]", "log.figures=false", "log.tensorboard=false", "device=cpu"]


def write_images(path: Path, x: np.ndarray, names: np.ndarray) -> None:
    for number, (pixels, name) in enumerate(zip(x, names, strict=True)):
        (path / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path / name / f"{number:02}.png")


def write_npz(path: Path, x: np.ndarray, names: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:  # savez would add .npz to its name
        np.savez(file, x=x, y=names)


def change_images(path: Path) -> None:
    (path / "cat" / "new.png").write_bytes((path / "dog" / "01.png").read_bytes())


def change_npz(path: Path) -> None:
    write_npz(path, np.concatenate([X, X[:1]]), NAMES[[*Y, 1]])


WRITE = {"images": write_images, "npz": write_npz}
CHANGE = {"images": change_images, "npz": change_npz}


@pytest.mark.parametrize("kind", WRITE)
def test_a_run_of_ones_own_data(
    kind: str, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write: Callable[[Path, np.ndarray, np.ndarray], None] = WRITE[kind]
    write(here / "own", X, NAMES[Y])
    run = mlpexp.train(mlpexp.compose([f"dataset={kind}", "dataset.path=own", *QUICK]), "run")
    before = record.read(Path("run"))
    predicted = run.results.predict(X)

    # Fitted and split once.
    def again(*_: Any) -> None:
        raise AssertionError("fitted or split again")

    with monkeypatch.context() as patch:
        patch.setattr("mlpexp.data.at_path.fitted_pixels", again)
        patch.setattr("mlpexp.data.splits.random_split_indices", again)
        assert mlpexp.evaluate("run").metrics == run.metrics
        (here / "own").rename(here / "elsewhere")
        assert call(["eval", "run"]) == 2
        said = capsys.readouterr().err
        assert said.startswith("mlpexp: run: the data that it was trained on are not there (own, ")
        assert said.endswith("name them: --data PATH, or data_dir=DIR for the folder that holds them.\n")
        assert mlpexp.evaluate("run", data="elsewhere").metrics == run.metrics
        (here / "data").mkdir()
        (here / "elsewhere").rename(here / "data" / "own")
        assert call(["resume", "run", "epochs=3", "data_dir=data"]) == 0
    after = record.read(Path("run"))
    assert (after.epochs_done, after.data) == (3, before.data)

    # Images as they are, without any data.
    (here / "data" / "own").rename(here / "own")
    results, _ = mlpexp.load("run")
    rows = X.transpose(0, 3, 1, 2).reshape(60, -1)
    np.testing.assert_array_equal(results.predict(X), results.predict(rows))
    assert predicted.shape == (60, 3)
    with pytest.raises(
        mlpexp.ConfigError, match=r"rows of 60 columns or images \[N, 4, 5, 3\]; their shape is 60 × 20\."
    ):
        results.predict(rows[:, :20])

    # Others, whole; of fewer classes, whose numbers are the run's.
    write(here / "other", X[Y > 0][:12], NAMES[Y][Y > 0][:12])
    found = mlpexp.evaluate("run", data="other")
    expected = accuracy_score(Y[Y > 0][:12], results.predict(X[Y > 0][:12]).argmax(1))
    assert found.metrics == {"all 12 rows of other": found.metrics["all 12 rows of other"]}
    assert found.metrics["all 12 rows of other"]["accuracy"] == pytest.approx(expected)
    write(here / "foreign", X, np.array(["cat", "dog", "emu"])[Y])
    assert call(["eval", "run", "--data", "foreign"]) == 2
    assert "data=foreign: the run knows no class 'emu'" in capsys.readouterr().err

    # Once they have changed, rows that were trained on would be in the test split.
    CHANGE[kind](here / "own")
    assert call(["eval", "run"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mlpexp: run: the data that it was trained on have changed: own has 61 rows, and had 60.")


def test_arrays_of_another_form_are_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_npz(here / "own.npz", X, NAMES[Y])
    mlpexp.train(mlpexp.compose(["dataset=npz", "dataset.path=own.npz", *QUICK]), "run")
    write_npz(here / "gray.npz", X[..., 0], NAMES[Y])
    write_npz(here / "rows.npz", X.reshape(60, -1), NAMES[Y])
    for name, said in {
        "gray": "holds grayscale images of 4×5 pixels, and the run was trained on colour images of 4×5 pixels.",
        "rows": "holds rows of 60 numbers, and the run was trained on colour images of 4×5 pixels.",
    }.items():
        assert call(["eval", "run", "--data", f"{name}.npz"]) == 2
        assert f"data={name}.npz: {said}" in capsys.readouterr().err


def test_values_of_arrays_are_evaluated_in_their_own_units(here: Path) -> None:
    x = np.random.default_rng(0).normal(1e6, 10, (80, 2))
    y = 5e7 + x @ [3.0, -2.0]
    np.savez(here / "own.npz", x_train=x[:60], y_train=y[:60], x_test=x[60:], y_test=y[60:])
    config = ["dataset=npz", "dataset.path=own.npz", *QUICK, "epochs=80", "optimizer.lr=0.01", "model.hidden=[32]"]
    run = mlpexp.train(mlpexp.compose(config), "run")
    predicted = run.results.predict(x[60:])[:, 0]
    r2 = 1 - ((predicted - y[60:]) ** 2).sum() / ((y[60:] - y[60:].mean()) ** 2).sum()
    assert run.metrics["test"]["r2"] == pytest.approx(r2, abs=1e-3)
    assert r2 > 0.9
