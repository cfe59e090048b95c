"""The wheel, in an environment where the checkout is not; and what lies beside the code."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# Whoever works on a checkout may have it on this path.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


@pytest.fixture(scope="module")
def wheel_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment that holds the built wheel, and the dependencies of this one by path."""
    place = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(place), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (wheel,) = place.glob("*.whl")
    venv.create(place / "env", with_pip=False)
    python = place / "env" / "bin" / "python"
    (site,) = (place / "env" / "lib").glob("python*/site-packages")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)],
        check=True,
        capture_output=True,
    )
    # A path in a .pth file is searched, but .pth files in it are not: the editable install stays out.
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"])
    return python


def mlpexp(python: Path, *arguments: str, cwd: Path) -> str:
    done = subprocess.run(
        [str(python), "-m", "mlpexp", *arguments],
        cwd=cwd,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def output(python: Path, program: str, cwd: Path) -> str:
    words = [str(python), "-c", program]
    done = subprocess.run(words, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    return done.stdout


def test_the_wheel_is_what_runs(wheel_python: Path, here: Path) -> None:
    program = (
        "import mlpexp, mlpexp.config.locate, hydra_plugins.mlpexp.stacked_launcher as launcher; "
        "print(mlpexp.__file__, mlpexp.config.locate.CONF, launcher.__file__)"
    )
    paths = output(wheel_python, program, here).split()
    assert len(paths) == 3
    for path in paths:
        assert Path(path).is_relative_to(wheel_python.parent.parent)


def test_the_wheel_lists_and_trains_from_any_directory(wheel_python: Path, here: Path) -> None:
    assert "gelu" in mlpexp(wheel_python, "list", "activation", cwd=here)
    assert "Probability that a unit is dropped." in mlpexp(wheel_python, "list", "regularizer", "dropout", cwd=here)
    assert "accuracy" in mlpexp(wheel_python, "train", "dataset=xor", "epochs=2", "hydra.run.dir=run", cwd=here)
    assert (here / "run" / "figures" / "curves.png").exists()
    assert "accuracy" in mlpexp(wheel_python, "eval", "run", cwd=here)


def test_the_wheel_brings_its_plugins_for_hydra(wheel_python: Path, here: Path) -> None:
    shown = mlpexp(wheel_python, "train", "--cfg", "hydra", "hydra/launcher=stacked", cwd=here)
    assert "_target_: hydra_plugins.mlpexp.stacked_launcher.StackedLauncher" in shown
    tiny = ["dataset=xor", "epochs=1", "log.figures=false", "log.tensorboard=false"]
    mlpexp(wheel_python, "train", "-m", *tiny, "seed=0,1", "hydra.sweep.dir=sweep", cwd=here)
    assert sorted(path.parent.name for path in here.glob("sweep/*/run.json")) == ["0_seed=0", "1_seed=1"]


def test_the_wheel_carries_licence_and_citation(wheel_python: Path, here: Path) -> None:
    program = (
        "from importlib.metadata import distribution; found = distribution('mlpexp'); "
        "print(found.metadata['License-Expression'], found.version); "
        "print(found.read_text('licenses/LICENSE')); print(found.read_text('extra_metadata/CITATION.cff'))"
    )
    shown = output(wheel_python, program, here)
    assert shown.startswith(f"MIT {PROJECT['version']}\n")
    for name in ("LICENSE", "CITATION.cff"):
        assert (ROOT / name).read_text() in shown


def test_the_citation_is_of_this_version_and_licence() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(citation)  # what the format requires
    assert (citation["title"], citation["version"]) == (PROJECT["name"], PROJECT["version"])
    assert citation["license"] == PROJECT["license"]
    assert citation["authors"] == PROJECT["authors"]
    assert f"Copyright (c) 2026 {PROJECT['authors'][0]['name']}" in (ROOT / "LICENSE").read_text()
    assert f"version {PROJECT['version']} " in (ROOT / "CHANGELOG.md").read_text()


def test_commits_and_ci_run_the_checks_that_there_are() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [hook["entry"] for hook in repository["hooks"]] == ["make check"]
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    assert [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step] == [".ci/run"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
