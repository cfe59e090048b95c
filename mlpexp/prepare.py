"""All that can be wrong with a run before it starts: the data, the device, what does not fit together."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from mlpexp.components.loss import Loss
from mlpexp.config.convert import show
from mlpexp.config.schema import Config
from mlpexp.data.dataset import Data
from mlpexp.errors import ConfigError


@dataclass(frozen=True)
class Prepared:
    """A config with its data (on the CPU) and device. Nothing has been written yet."""

    config: Config
    data: Data
    device: torch.device
    loss: Loss  # what `auto` stands for
    n_parameters: int  # of the linear layers


def prepare(config: Config) -> Prepared:
    """Loads the data and finds the device, or says in a ConfigError why the config cannot be run."""
    if config.deterministic:
        # cuBLAS reads this when it is first used; without it torch refuses to promise the same bits.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    device = config.device.find()
    if config.compile and device.type == "cpu" and not _has_compiler():
        raise ConfigError("compile=true: needs a C++ compiler, such as g++ or the one that CXX names; there is none.")
    data = config.dataset.load(data_dir(config))
    loss = config.loss.resolve(data.task)
    for name, part in config.regularizer.items():
        if part.smoothing and data.task.kind != "classification":
            raise ConfigError(f"regularizer={name}: is for classification, and the dataset is a regression task.")
    n_parameters = config.model.n_parameters(data.n_features, loss.n_outputs(data.task))
    _check_memory(config, n_parameters, device)
    return Prepared(config, data, device, loss, n_parameters)


def _has_compiler() -> bool:
    named = os.environ.get("CXX")
    return any(shutil.which(name) for name in ([named] if named else ["g++", "clang++"]))


def data_dir(config: Config) -> Path:
    """Where data sets that are files lie: `data_dir`, else $MLPEXP_DATA_DIR, else ./data."""
    return Path(config.data_dir or os.environ.get("MLPEXP_DATA_DIR") or "data").expanduser()


def _check_memory(config: Config, n_parameters: int, device: torch.device) -> None:
    # Weights, their gradients, two moments of Adam and the best weights so far, four bytes each.
    needed = n_parameters * 4 * 5
    if device.type == "cuda":
        _, memory = torch.cuda.mem_get_info(device)
    elif "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {}):
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    else:
        return
    if needed > memory:
        hidden = f"model.hidden={show(config.model.hidden)}" if hasattr(config.model, "hidden") else "model"
        raise ConfigError(
            f"{hidden}: makes {n_parameters:,} parameters; training them takes {needed / 2**30:.0f} GiB, "
            f"and the device has {memory / 2**30:.0f} GiB of memory. Choose smaller layers."
        )
