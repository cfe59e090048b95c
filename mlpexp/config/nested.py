"""Nested mappings and lists by dotted keys: finding, making, merging and copying what lies there."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any


def find(plain: Any, key: str) -> tuple[Any, Any]:
    """The mapping or list that holds the last part of a dotted key, and that part; (None, None) where none does."""
    *parents, last = key.split(".")
    for part in parents:
        plain = _inside(plain, part)
        if plain is None:
            return None, None
    if isinstance(plain, list):
        return plain, int(last) if last.isdecimal() and int(last) < len(plain) else None
    return (plain, last) if isinstance(plain, dict) else (None, None)


def _inside(plain: Any, part: str) -> Any:
    if isinstance(plain, dict):
        return plain.get(part)
    return plain[int(part)] if isinstance(plain, list) and part.isdecimal() and int(part) < len(plain) else None


def make(plain: dict[str, Any], key: str) -> dict[str, Any] | None:
    """The mapping that holds the last part of a dotted key, made where it is missing; None where it cannot be."""
    node: Any = plain
    for part in key.split(".")[:-1]:
        if node.get(part) is None:
            node[part] = {}
        node = node[part]
        if not isinstance(node, dict):
            return None
    node.setdefault(key.rpartition(".")[2], None)
    found: dict[str, Any] = node
    return found


def merge(into: dict[str, Any], values: dict[str, Any], key: str, *, closed: bool) -> str | None:
    """Puts `values` into a mapping that lies at `key`; the first key that is new where it is `closed`."""
    for name, value in values.items():
        if closed and name not in into:
            return f"{key}.{name}"
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            if strange := merge(into[name], value, f"{key}.{name}", closed=closed):
                return strange
        else:
            into[name] = copy.deepcopy(value)
    return None


class NotPlainError(Exception):
    """An interpolation that is more than the name of another key."""


_REFERENCE = re.compile(r"\$\{([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\}")


def copied(plain: Any, root: Mapping[str, Any] | None = None, depth: int = 0) -> Any:
    """A copy of nested mappings and lists, in a tenth of deepcopy's time; with `root`, each `${key}` is what stands
    there, and NotPlainError says that only OmegaConf can tell what an interpolation gives."""
    if isinstance(plain, dict):
        return {key: copied(value, root, depth) for key, value in plain.items()}
    if isinstance(plain, list):
        return [copied(value, root, depth) for value in plain]
    if root is None or not isinstance(plain, str) or ("${" not in plain and "\\" not in plain):
        return plain
    found = _REFERENCE.fullmatch(plain)
    node, last = find(root, found[1]) if found else (None, None)
    if not isinstance(node, dict) or node.get(last, "???") == "???" or depth > 9:
        raise NotPlainError
    return copied(node[last], root, depth + 1)
