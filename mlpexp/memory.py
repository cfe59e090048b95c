"""How much memory training takes, and how much there is."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mlpexp.config.schema import Config

if TYPE_CHECKING:
    import torch

_FLOAT = 4  # bytes
# Tensors of the size of the weights: themselves, their gradients, two moments of the optimizer, the best so far, and
# copies while a checkpoint is written.
_LIKE_WEIGHTS = 8
# Tensors of the size of a hidden layer's outputs: the product, the normalised one, the activation, dropout and its
# mask, and gradients.
_LIKE_OUTPUTS = 8


def needed(config: Config, n_parameters: int, n_features: int) -> int:
    """About how many bytes a run takes besides its data."""
    widths = [n_features, *getattr(config.model, "hidden", [])]
    return _FLOAT * (_LIKE_WEIGHTS * n_parameters + _LIKE_OUTPUTS * config.batch_size * sum(widths))


def total(device: torch.device) -> int | None:
    """The bytes that a device has; None where that cannot be found out."""
    if device.type == "cuda":
        import torch

        return torch.cuda.mem_get_info(device)[1]
    if device.type == "cpu" and "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {}):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def free(device: torch.device) -> int | None:
    """The bytes of a device that nobody uses; None where that cannot be found out."""
    if device.type == "cuda":
        import torch

        return torch.cuda.mem_get_info(device)[0]
    listing = Path("/proc/meminfo")
    if device.type == "cpu" and listing.exists():
        found = re.search(r"^MemAvailable:\s+(\d+) kB$", listing.read_text(), re.MULTILINE)
        return int(found[1]) * 1024 if found else None
    return total(device)
