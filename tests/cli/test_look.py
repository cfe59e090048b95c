"""`mlpexp look`: what it prints of any table, and the command that it ends with."""

from __future__ import annotations

import csv
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from mlpexp.cli.main import call
from mlpexp.config.overrides import parse_override
from tests.data.test_table_fuzz import MANY, tried


def command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The words of the last line."""
    assert call(["look", *arguments]) == 0
    return shlex.split(capsys.readouterr().out.splitlines()[-1])


@pytest.mark.parametrize(
    "name", ["y", "2", "null", 'it\'s [a], "b" = ${c}', "${c}", "^IXIC", "größe (µm)", "true", "a,b"]
)
def test_the_command_names_the_file_and_the_target_whatever_they_are_called(
    name: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = f"{name}.csv"
    quoted = name.replace('"', '""')
    Path(path).write_text(f'x,"{quoted}",z\n0.5,1,7\n1.5,0,8\n0.25,1,6\n')
    program, sub_command, *overrides = command([path, "--target", name], capsys)
    assert (program, sub_command) == ("mlpexp", "train")
    assert {o.key_or_group: OmegaConf.create([o.value()])[0] for o in map(parse_override, overrides)} == {
        "dataset": "table",
        "dataset.path": path,
        "dataset.target": name,
    }


def test_text_from_a_file_does_not_steer_the_terminal(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("t.csv").write_text("a\x1b[31m,y\nx\x1b[2J,[bold]p\nz,[bold]p\nx\x1b[2J,q\n")
    assert call(["look", "t.csv"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "[bold]p (2, 66.7 %)" in out


kinds = st.sampled_from(
    [
        st.floats(allow_nan=False, allow_infinity=False),
        st.floats(-2, 2).map(lambda value: round(value, 1)),
        st.integers(-3, 3),
        st.integers(),
        st.sampled_from(["a", "A", "b ", "B"]),
        st.text(max_size=3),
        st.dates(),
        st.booleans(),
        st.just(7),
    ]
)


@st.composite
def tables(draw: st.DrawFn) -> list[Sequence[object]]:
    """Up to 40 rows of columns of one kind each, with holes, some columns equal to the first."""
    n = draw(st.sampled_from([1, 2, 3, 10, 25, 40]))
    columns: dict[str, list[object]] = {}
    for name in draw(st.lists(st.sampled_from("abcdeü"), min_size=2, max_size=5, unique=True)):
        few = draw(st.lists(draw(kinds), min_size=min(n, 8), max_size=min(n, 8)))
        step, twin, holes = draw(st.integers(1, 7)), draw(st.integers(0, 4)), draw(st.integers(0, 2))
        cells = [few[(i * step + i // 8) % len(few)] for i in range(n)]
        cells = next(iter(columns.values())) if columns and not twin else cells
        columns[name] = ["" if not holes and i % 3 == 0 else cell for i, cell in enumerate(cells)]
    return [list(columns), *zip(*columns.values(), strict=True)]


@pytest.mark.parametrize("n", [12, pytest.param(MANY, marks=pytest.mark.long)])
def test_any_table_is_shown_or_refused_in_a_line(n: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "t.csv"
    shown = 0

    @tried(n)
    @given(table=tables())
    def try_all(table: list[Sequence[object]]) -> None:
        nonlocal shown
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(table)
        code = call(["look", str(path), "--target", str(table[0][0])])
        out, err = capsys.readouterr()
        assert code in (0, 2)
        assert (code == 2) == (not out) == bool(err)
        assert not re.search(r"\bnan\b|\binf\b|None", out)
        shown += code == 0

    try_all()
    assert shown > n // 3
