"""Devices: where tensors live and products are computed, and how much memory they have."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from mlpexp.errors import ConfigError
from mlpexp.fields.ranges import Index, Range
from mlpexp.fields.registry import Registry

if TYPE_CHECKING:
    import torch

# More threads than any machine has; torch takes at most 32 bits.
Threads = Annotated[int, Range(low=1, high=1024)]


@dataclass(frozen=True)
class Device(ABC):
    """Base of all devices."""

    @property
    def records_steps(self) -> bool:
        """Whether steps are recorded as CUDA graphs where the device turns out to be a CUDA GPU."""
        return True

    @abstractmethod
    def find(self) -> torch.device:
        """The torch device, or ConfigError where this machine has no such device."""

    @contextmanager
    def in_use(self) -> Iterator[torch.device]:
        """The torch device with this component's settings in force, and restored afterwards."""
        yield self.find()


devices: Registry[Device] = Registry("device", {"gpu": "cuda", "metal": "mps"})


def available() -> list[str]:
    """The devices that this machine has, the fastest first."""
    import torch

    found = []
    if torch.cuda.is_available():
        found.append("cuda")
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]


def _missing(name: str) -> ConfigError:
    return ConfigError(f"device={name}: this machine has no such device. Choose from: auto, {', '.join(available())}.")


@devices.register("auto")
@dataclass(frozen=True)
class Auto(Device):
    """The fastest device of this machine."""

    def find(self) -> torch.device:
        import torch

        return torch.device(available()[0])


@devices.register("cpu")
@dataclass(frozen=True)
class CPU(Device):
    """The CPU."""

    threads: Threads | None = None
    """Number of threads; null: one for small networks, else as many as torch chooses."""

    def find(self) -> torch.device:
        import torch

        return torch.device("cpu")

    @contextmanager
    def in_use(self) -> Iterator[torch.device]:
        import torch

        before = torch.get_num_threads()
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        try:
            yield self.find()
        finally:
            torch.set_num_threads(before)


@devices.register("cuda")
@dataclass(frozen=True)
class CUDA(Device):
    """An NVIDIA GPU."""

    index: Index = 0
    """Number of the GPU, as torch counts them, from 0."""
    tf32: bool = False
    """Whether matrix products round float32 to 10 bits of mantissa (TF32), for speed."""
    graphs: bool = True
    """Whether a step is recorded as a CUDA graph and replayed; if not, its kernels are launched one by one."""

    @property
    def records_steps(self) -> bool:
        return self.graphs

    def find(self) -> torch.device:
        import torch

        if not torch.cuda.is_available():
            raise _missing("cuda")
        count = torch.cuda.device_count()
        if self.index >= count:
            raise ConfigError(f"device.index={self.index}: this machine has {count} CUDA device(s), from 0 on.")
        return torch.device("cuda", self.index)

    @contextmanager
    def in_use(self) -> Iterator[torch.device]:
        import torch

        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high" if self.tf32 else "highest")
        try:
            yield self.find()
        finally:
            torch.set_float32_matmul_precision(before)


@devices.register("mps")
@dataclass(frozen=True)
class MPS(Device):
    """The GPU of an Apple machine."""

    def find(self) -> torch.device:
        import torch

        if not torch.backends.mps.is_available():
            raise _missing("mps")
        return torch.device("mps")


def total_memory(device: torch.device) -> int | None:
    """The memory of a device in bytes; None where it is unknown."""
    if device.type == "cuda":
        import torch

        return torch.cuda.mem_get_info(device)[1]
    if device.type == "cpu" and "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {}):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def free_memory(device: torch.device) -> int | None:
    """The free memory of a device in bytes; None where it is unknown."""
    if device.type == "cuda":
        import torch

        return torch.cuda.mem_get_info(device)[0]
    listing = Path("/proc/meminfo")
    if device.type == "cpu" and listing.exists():
        found = re.search(r"^MemAvailable:\s+(\d+) kB$", listing.read_text(), re.MULTILINE)
        return int(found[1]) * 1024 if found else None
    return total_memory(device)
