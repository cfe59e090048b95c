"""Names for the directories of a sweep's jobs, made of what varies: TensorBoard names a run by its directory."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from mlpexp.config.schema import REGISTRIES

# At most so many bytes in a name, and characters in one of its parts.
_MOST = 100
_MOST_OF_PART = 40
# Options that are unclear without their group.
_VAGUE = ("", "none", "auto", "default")


def varied(jobs: Sequence[Sequence[str]]) -> list[str]:
    """The keys that do not have the same override in all `jobs`, in the order in which they first appear."""
    texts: dict[str, dict[str, int]] = {}
    for overrides in jobs:
        for text in overrides:
            counts = texts.setdefault(_key(text), {})
            counts[text] = counts.get(text, 0) + 1
    return [key for key, counts in texts.items() if max(counts.values()) < len(jobs)]


def directory_name(number: int, overrides: Sequence[str], keys: Collection[str]) -> str:
    """The name of a job's directory: its number, and its values of the `keys` that vary.

    >>> overrides = ["dataset=xor", "activation=gelu", "optimizer.lr=0.01", "model.hidden=[8,8]", "seed=1"]
    >>> directory_name(3, overrides, ["activation", "optimizer.lr", "model.hidden", "seed"])
    '3_gelu_lr=0.01_hidden=8-8_seed=1'

    Where it is clear, an option stands without its group, and a key without its first parts. A name has at most 100
    bytes, and consists of letters, digits and _ . = + -.
    """
    return _joined([str(number), *_parts(overrides, keys)])


def setting_name(overrides: Sequence[str], keys: Collection[str]) -> str:
    """As `directory_name`, without the number; `all` if nothing varies."""
    return _joined(_parts(overrides, keys)) or "all"


def _joined(parts: Sequence[str]) -> str:
    return "_".join(parts).encode()[:_MOST].decode(errors="ignore").rstrip(".-_=")


def _parts(overrides: Sequence[str], keys: Collection[str]) -> list[str]:
    return [_part(text, keys) for text in overrides if _key(text) in keys]


def _part(text: str, keys: Collection[str]) -> str:
    key, value = _key(text), _safe(text.partition("=")[2])
    if key in REGISTRIES and value not in _VAGUE:
        return value
    if text.startswith("~"):
        return f"no-{_safe(_short(key, keys))}"
    return f"{_safe(_short(key, keys))}={value or 'none'}"


def _key(text: str) -> str:
    return text.lstrip("+~").partition("=")[0]


def _short(key: str, keys: Collection[str]) -> str:
    """The last parts of a key: as few as distinguish it from the others."""
    parts = key.split(".")
    endings = (".".join(parts[at:]) for at in reversed(range(len(parts))))
    others = [other for other in keys if other != key]
    return next((end for end in endings if not any(f".{other}".endswith(f".{end}") for other in others)), key)


def _safe(text: str) -> str:
    return re.sub(r"[^\w.+-]+", "-", text).strip("-")[:_MOST_OF_PART] if not _is_number(text) else text


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?", text) is not None
