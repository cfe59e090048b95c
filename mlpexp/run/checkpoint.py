"""Checkpoints: tensors and plain data only, so that loading one never runs code from it."""

from __future__ import annotations

import io
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from mlpexp.errors import ConfigError
from mlpexp.run.checksum import archive_is_whole, seal_archive
from mlpexp.run.files import make_directory, read_bytes, write_bytes


def previous(path: Path) -> Path:
    """Where the checkpoint before that at `path` lies while a run trains: to go on from if the last is damaged."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def save(path: Path, state: dict[str, Any], *, keep_previous: bool = False) -> None:
    """Writes a checkpoint whole or not at all; with `keep_previous` the one before it stays beside it."""
    make_directory(path.parent)
    # Straight to the file, torch would hide a full disk behind an error of its own.
    buffer = io.BytesIO()
    torch.save(state, buffer)
    seal_archive(buffer)
    write_bytes(path, buffer.getbuffer(), previous(path) if keep_previous else None)


def load(path: Path) -> dict[str, Any]:
    """The checkpoint at `path`; ConfigError where it is missing, damaged or holds anything but plain data."""
    try:
        content = read_bytes(path)
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such checkpoint.") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}.") from None
    if not archive_is_whole(content):
        raise ConfigError(f"{path}: is damaged: its checksum is not that of what it holds.")
    try:
        _refuse_bombs(content)
        with warnings.catch_warnings():
            # torch warns of a file that it did not write, and then refuses it.
            warnings.simplefilter("ignore")
            state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ConfigError(f"{path}: is damaged, or holds more than plain data, which is never loaded.") from None
    # What torch's reader meets in a file that somebody has made can be anything.
    except Exception as error:
        raise ConfigError(f"{path}: is damaged: it cannot be read as a checkpoint.") from error
    if not isinstance(state, dict):
        raise ConfigError(f"{path}: is damaged: it holds no checkpoint of mlpexp.")
    return state


def _refuse_bombs(content: bytes) -> None:
    """ValueError for an archive that unpacks to more than it is: torch stores tensors as they are."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(part.file_size for part in archive.infolist()) > len(content):
            raise ValueError("it is compressed")


# What putting a checkpoint to use raises where it is not of the run whose directory it lies in.
MISFITS = (KeyError, IndexError, TypeError, ValueError, RuntimeError, AttributeError)


def misfit(path: Path, error: Exception) -> ConfigError:
    """The error to raise where one of MISFITS was."""
    reason = " ".join(str(error).split())
    shown = reason if len(reason) <= 200 else f"{reason[:197]}..."
    return ConfigError(f"{path}: does not fit the run's own config, or is damaged: {shown}")
