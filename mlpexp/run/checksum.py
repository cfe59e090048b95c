"""Checksums that make silent damage visible: a bit that has flipped in a file which can still be read.

CRC-32 finds every flipped bit and every run of up to 32 of them. It is no signature: who damages a file on purpose
can make a new one, and what is read is harmless for other reasons (see README, "What is promised").
"""

from __future__ import annotations

import json
import zlib
from typing import Any

# The key that holds it in a JSON object.
KEY = "crc32"
# Configs nest less than ten deep.
_DEEPEST = 32


def shown(crc: int) -> str:
    """A checksum as it is written: eight hexadecimal digits."""
    return f"{crc:08x}"


def sealed(values: dict[str, Any]) -> dict[str, Any]:
    """A JSON object with the checksum of its values, however they are laid out in the file."""
    return {**values, KEY: _of(values)}


def unsealed(values: Any) -> dict[str, Any]:
    """What `sealed` was given; ValueError where it is something else."""
    if not isinstance(values, dict) or KEY not in values:
        raise ValueError(f"it has no {KEY}")
    content = {name: value for name, value in values.items() if name != KEY}
    if values[KEY] != _of(content):
        raise ValueError("its checksum is not that of what it holds")
    _check_depth(content)
    return content


def _check_depth(values: dict[str, Any]) -> None:
    """ValueError for a nesting in which those who look into it would lose themselves."""
    level: list[Any] = [values]
    for _ in range(_DEEPEST):
        level = [
            entry
            for value in level
            if isinstance(value, dict | list)
            for entry in (value.values() if isinstance(value, dict) else value)
        ]
    if level:
        raise ValueError("it is nested too deeply")


def _of(values: dict[str, Any]) -> str:
    return shown(zlib.crc32(json.dumps(values, sort_keys=True, separators=(",", ":")).encode()))
