"""`mlpexp list`, and what must stay out of it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from mlpexp.cli.main import call
from mlpexp.components.optimizer import Adam
from mlpexp.config.locate import CONF
from mlpexp.config.schema import REGISTRIES


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def cells(line: str) -> list[str]:
    return re.split("  +", line)


def test_the_groups_are_listed_with_their_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["list"]) == 0
    listed = {line.split()[0]: line for line in lines(capsys) if line}
    for group, registry in REGISTRIES.items():
        assert all(name in listed[group] for name in registry)
    assert "mnist" in listed["experiment"]


@pytest.mark.parametrize("group", REGISTRIES)
def test_every_option_has_a_line(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["list", group]) == 0
    listed = dict(line.split(maxsplit=1) for line in lines(capsys))
    assert listed.keys() == REGISTRIES[group].keys()
    for name, comment in listed.items():
        assert f"# {comment}" in (CONF / group / f"{name}.yaml").read_text()


def test_a_users_own_options_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "activation").mkdir()
    (tmp_path / "activation" / "snake.yaml").write_text("# x + sin(x)²\nname: snake\n")
    assert call(["list", "activation", "--config-dir", str(tmp_path)]) == 0
    assert any(line.split(maxsplit=1) == ["snake", "x + sin(x)²"] for line in lines(capsys))


def test_an_option_is_shown_with_its_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["list", "optimizer", "adam"]) == 0
    title, comment, formula, _, header, lr, betas, _, _, amsgrad, _, overrides = lines(capsys)
    assert title == "optimizer=adam"
    assert (CONF / "optimizer" / "adam.yaml").read_text().startswith(f"# {comment}\n")
    assert formula == Adam.__doc__
    assert cells(header) == ["parameter", "default", "allowed", "what it is"]
    assert cells(lr)[:3] == ["lr", "0.002, recommended by dataset=digits", "a number greater than 0"]
    assert cells(betas)[:2] == ["betas", "[0.9,0.999]"]
    assert cells(amsgrad)[:3] == ["amsgrad", "false", "true or false"]
    assert overrides == "Overrides: optimizer=adam optimizer.lr=VALUE"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("activation relu", "It has no parameters. Override: activation=relu"),
        ("regularizer dropout", "Overrides: regularizer=[dropout] regularizer.dropout.p=VALUE"),
        ("experiment xor", "epochs: 1000"),
    ],
)
def test_options_of_other_kinds_are_shown(words: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["list", *words.split()]) == 0
    assert expected in lines(capsys)


def test_keys_are_found_by_their_names_and_where_they_begin(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["list", "keys"]) == 0
    listed = [cells(line)[0] for line in lines(capsys)][1:]
    for word in ("epochs", "clip.norm", "log", "report.claims"):
        assert call(["list", word]) == 0
        shown = [cells(line)[0] for line in lines(capsys)][1:]
        assert shown == [key for key in listed if key == word or key.startswith((f"{word}.", f"{word}["))]
        assert shown
    assert call(["list"]) == 0
    assert any(line.startswith("mlpexp list keys ") for line in lines(capsys))


def test_on_a_terminal_of_80_columns_nothing_is_cut_off(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = [["list", "keys"], ["list", "optimizer", "lbfgs"], ["list"]]
    whole = []
    for command in commands:
        assert call(command) == 0
        whole.append(capsys.readouterr().out)
    monkeypatch.setattr(
        "mlpexp.cli.listing.console",
        lambda: Console(force_terminal=True, width=80, highlight=False, color_system=None),
    )
    for command, text in zip(commands, whole, strict=True):
        assert call(command) == 0
        folded = capsys.readouterr().out
        assert max(map(len, folded.splitlines())) <= 80
        assert set(text.split()) <= set(folded.split())


OWN = """\
from dataclasses import dataclass

from mlpexp.components.activation import Activation, activations
from mlpexp.fields.ranges import Positive


@activations.register("coil")
@dataclass(frozen=True)
class Coil(Activation):
    \"\"\"x + sin²(ax)/a.\"\"\"

    a: Positive = 1.0
    \"\"\"Angular frequency of the sine.\"\"\"

    def build(self):
        raise NotImplementedError
"""


def test_a_users_own_option_is_shown_without_its_module_and_with_it(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "conf" / "activation").mkdir(parents=True)
    (here / "conf" / "activation" / "tight.yaml").write_text("# a narrow one\nname: coil\na: 2.0\n")
    (here / "coil_plugin.py").write_text(OWN)
    words = ["list", "activation", "tight", "--config-dir", "conf"]
    assert call(words) == 0
    title, comment, why, _, _, parameter, *_ = lines(capsys)
    assert (title, comment, cells(parameter)) == ("activation=tight", "a narrow one", ["a", "2.0"])
    assert why.startswith("activation.name=coil: is not registered; plugins=[MODULE]")
    try:
        assert call([*words, "plugins=[coil_plugin]"]) == 0
        _, _, formula, _, _, parameter, *_ = lines(capsys)
        assert formula == "x + sin²(ax)/a."
        assert cells(parameter) == ["a", "2.0", "a number greater than 0", "Angular frequency of the sine."]
    finally:
        sys.modules.pop("coil_plugin", None)
        REGISTRIES["activation"]._components.pop("coil", None)


@pytest.mark.parametrize(
    "arguments",
    [
        ["list"],
        ["list", "optimizer"],
        ["list", "optimizer", "adam"],
        ["list", "keys"],
        ["--help"],
        ["--version"],
        ["list", "--help"],
    ],
)
def test_what_answers_at_once_imports_nothing_heavy(arguments: list[str]) -> None:
    # What a config is made of is composed by Hydra.
    light = {"hydra"} if arguments[1:] in (["optimizer", "adam"], ["keys"]) else set()
    program = (
        "import sys; from mlpexp.cli.main import call\n"
        f"try: code = call({arguments!r})\n"
        "except SystemExit as exit: code = exit.code\n"
        "heavy = {'torch', 'torchvision', 'sklearn', 'matplotlib', 'tensorboard', 'hydra'} & set(sys.modules)\n"
        f"heavy -= {light!r}\n"
        "sys.exit(f'imported {heavy}' if heavy else code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_run_keeps_torchs_compiler_out(here: Path) -> None:
    """Its import takes more than a second; see mlpexp/components/optimizer_step.py."""
    program = (
        "import sys; from mlpexp.cli.main import call\n"
        "parts = ['epochs=2', 'scheduler=cosine', 'regularizer=[dropout]', 'checkpoint.every_seconds=0']\n"
        "code = call(['train', 'dataset=xor', *parts])\n"
        "sys.exit('imported the compiler' if 'torch._dynamo' in sys.modules else code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("named", "example"),
    [("dataset table", "dataset=table dataset.path=VALUE"), ("optimizer adam", "optimizer=adam optimizer.lr=VALUE")],
)
def test_the_example_sets_what_must_be_given_or_the_first(
    named: str, example: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["list", *named.split()]) == 0
    assert capsys.readouterr().out.endswith(f"Overrides: {example}\n")
