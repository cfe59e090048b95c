"""Checkpoints: tensors and plain data only, so that loading one never runs code from it."""

from __future__ import annotations

import io
import os
import pickle
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import torch

from mlpexp.components.device import free_memory
from mlpexp.errors import ConfigError
from mlpexp.fields.convert import convert
from mlpexp.fields.ranges import Index
from mlpexp.run.files import make_directory, opened, write_bytes
from mlpexp.run.history import checked_written


def previous(path: Path) -> Path:
    """Where the checkpoint before that at `path` lies while a run trains: to go on from if the last is damaged."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def save(path: Path, state: dict[str, Any], *, keep_previous: bool = False) -> None:
    """Writes a checkpoint whole or not at all; with `keep_previous` the one before it stays beside it."""
    make_directory(path.parent)
    # Straight to the file, torch would hide a full disk behind an error of its own.
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_bytes(path, buffer.getbuffer(), previous(path) if keep_previous else None)


def load(path: Path) -> dict[str, Any]:
    """The checkpoint at `path`; ConfigError where it is missing, damaged or holds anything but plain data."""
    try:
        # In memory it takes as much as on disk.
        with opened(path, free_memory(torch.device("cpu")) or sys.maxsize, parts=2) as file:
            state = _loaded(file)
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such checkpoint.") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}.") from None
    except MemoryError:
        raise ConfigError(f"{path}: cannot be read: it needs more memory than there is.") from None
    except pickle.UnpicklingError:
        raise ConfigError(f"{path}: is damaged, or holds more than plain data, which is never loaded.") from None
    # A crafted file can make torch's reader raise anything.
    except Exception as error:
        raise ConfigError(f"{path}: is damaged: it cannot be read as a checkpoint.") from error
    if not isinstance(state, dict):
        raise ConfigError(f"{path}: is damaged: it holds no checkpoint of mlpexp.")
    return state


def _loaded(file: BinaryIO) -> Any:
    """What an archive of torch's holds; ValueError where a part of it is not as it was written.

    torch's own reader checks none of the checksums of an archive's parts.
    """
    n_bytes = os.fstat(file.fileno()).st_size
    with zipfile.ZipFile(file) as archive:
        # torch stores tensors as they are: what unpacks to more than it is would fill the memory.
        if sum(part.file_size for part in archive.infolist()) > n_bytes:
            raise ValueError("it is compressed")
        if archive.testzip() is not None:
            raise ValueError("a checksum is not that of what it holds")
    file.seek(0)
    with warnings.catch_warnings():
        # torch warns of a file that it did not write, and then refuses it.
        warnings.simplefilter("ignore")
        state = torch.load(file, map_location="cpu", weights_only=True)
    _check_extent(state, n_bytes)
    return state


def _check_extent(state: Any, n_bytes: int) -> None:
    """ValueError where a copy of `state` would take more memory than its file: a small file can stand for large data.

    Pickles can refer to one object many times, and strides of 0 make a large tensor of one number.
    """
    left, to_see = n_bytes, [state]
    while to_see:
        value = to_see.pop()
        left -= value.numel() * value.element_size() if isinstance(value, torch.Tensor) else 1
        if left < 0:
            raise ValueError("it holds more than its file")
        if isinstance(value, dict):
            to_see.extend(value.values())
        elif isinstance(value, list | tuple):
            to_see.extend(value)


def check_state(path: Path, state: Any) -> dict[str, Any]:
    """The state of a run in the checkpoint at `path`, or ConfigError where it does not say of which epoch it is.

    Networks, optimizers and what else it is of check their own parts.
    """
    try:
        convert(state["epoch"], Index, "epoch")
        # A member that is only replayed has none.
        checked_written(state.get("history", {}))
    except MISMATCHES as error:
        raise mismatch(path, error) from error
    checked: dict[str, Any] = state
    return checked


# What putting a checkpoint to use raises where it is not of the run whose directory it lies in.
MISMATCHES = (KeyError, IndexError, TypeError, ValueError, RuntimeError, AttributeError)


def mismatch(path: Path, error: Exception) -> ConfigError:
    """The error to raise where one of MISMATCHES was."""
    reason = " ".join(str(error).split())
    shown = reason if len(reason) <= 200 else f"{reason[:197]}..."
    return ConfigError(f"{path}: does not fit the run's own config, or is damaged: {shown}")
