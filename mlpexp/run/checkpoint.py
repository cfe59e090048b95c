"""Checkpoints: tensors and plain data only, so that loading one never runs code from it."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from mlpexp.errors import ConfigError
from mlpexp.run.files import write_atomically


def save(path: Path, state: dict[str, Any]) -> None:
    """Writes a checkpoint whole or not at all."""
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, lambda file: torch.save(state, file))


def load(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """The checkpoint at `path`; ConfigError where it is missing, damaged or holds anything but plain data."""
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such checkpoint.") from None
    except pickle.UnpicklingError:
        raise ConfigError(f"{path}: is damaged, or holds more than plain data, which is never loaded.") from None
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise ConfigError(f"{path}: is damaged or unreadable: {str(error).splitlines()[0]}") from None
    if not isinstance(state, dict):
        raise ConfigError(f"{path}: is damaged: it holds no checkpoint of mlpexp.")
    return state
