"""The public face: what users may import, all of it, and what importing it costs."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LIGHT = ["mlpexp", "mlpexp.components", "mlpexp.data"]
PUBLIC = [*LIGHT, "mlpexp.testing"]
DOCUMENTS = ["README.md", "docs/python.md", "docs/components.md"]


def exported(module: str) -> list[str]:
    names: list[str] = importlib.import_module(module).__all__
    return names


@pytest.mark.parametrize("module", PUBLIC)
def test_exports_are_sorted_and_all_there(module: str) -> None:
    names = exported(module)
    assert names == sorted(set(names))
    found = importlib.import_module(module)
    assert not [name for name in names if getattr(found, name, None) is None]
    assert set(names) <= set(dir(found))
    with pytest.raises(AttributeError, match=f"module '{module}' has no attribute 'nope'"):
        _ = found.nope


def test_the_bases_and_registries_of_every_kind_are_exported() -> None:
    from mlpexp.config.schema import REGISTRIES

    for group, registry in REGISTRIES.items():
        face = importlib.import_module("mlpexp.data" if group == "dataset" else "mlpexp.components")
        assert registry in [getattr(face, name) for name in face.__all__]
        assert group.capitalize() in face.__all__


def test_importing_the_face_imports_nothing_heavy() -> None:
    program = (
        f"import sys, {', '.join(LIGHT)}\n"
        "from mlpexp.components import Activation, Positive, activations\n"
        "from mlpexp.data import Data, RandomlySplit, datasets\n"
        "heavy = {'torch', 'hydra', 'omegaconf', 'numpy', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def of_ours(code: str) -> set[str]:
    """What a piece of Python takes from mlpexp, as `package.name`."""
    taken = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "mlpexp":
            taken |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            taken |= {alias.name for alias in node.names if alias.name.split(".")[0] == "mlpexp"}
        elif isinstance(node, ast.Attribute) and (dotted := ast.unparse(node)).startswith("mlpexp."):
            taken.add(dotted)
    return taken


@pytest.mark.parametrize("document", DOCUMENTS)
def test_examples_take_nothing_but_the_face(document: str) -> None:
    text = (ROOT / document).read_text()
    taken = {name for code in re.findall(r"```python[^\n]*\n(.*?)```", text, re.DOTALL) for name in of_ours(code)}
    # What a sentence names: `mlpexp.find_lr`.
    taken |= set(re.findall(r"`(mlpexp(?:\.\w+)+)", text))
    assert taken
    face = {*PUBLIC, *(f"{module}.{name}" for module in PUBLIC for name in exported(module))}
    assert not taken - face
