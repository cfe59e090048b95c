"""States that are set aside while what they were taken of goes on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def copied(value: Any) -> Any:
    """A state whose tensors are copies: slices of a stack would drag all of it into a file.

    Laid out row by row, whatever they are slices of: fused optimizers take that for granted.
    """
    if isinstance(value, Tensor):
        return value.detach().clone(memory_format=torch.contiguous_format)
    if isinstance(value, dict):
        return {key: copied(entry) for key, entry in value.items()}
    return [copied(entry) for entry in value] if isinstance(value, list) else value
