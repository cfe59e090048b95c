"""What is private to Hydra or OmegaConf is named in one file."""

from __future__ import annotations

import re
from pathlib import Path

import mlpexp

ROOT = Path(mlpexp.__file__).parents[1]
PRIVATE = re.compile(
    r"hydra\._|omegaconf\._|(?:import|from) (?:hydra|omegaconf)[\w.]* import .*\b_\w+|"
    r"_flush_loggers|\._return_value|\._get_node"
)


def test_private_names_of_hydra_stand_in_one_file() -> None:
    files = [*(ROOT / "mlpexp").rglob("*.py"), *(ROOT / "hydra_plugins").rglob("*.py")]
    named = {str(path.relative_to(ROOT)) for path in files if PRIVATE.search(path.read_text(encoding="utf-8"))}
    assert named == {"mlpexp/config/hydra_adapter.py"}
