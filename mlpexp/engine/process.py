"""What is in force around an engine, and only there: the device's settings, its threads, determinism."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mlpexp.config.schema import Config

# Below this many multiplications a step (members × batch size × parameters) a second thread gains a seventh on
# an idle machine, and loses several times that on a busy one: digits and the 2-D sets stay below
# with thirty members and more, MNIST alone is above.
_WORTH_SHARING = 10_000_000
# A stack of small members, of fewer multiplications each than this, has many small products in place of a large one:
# its step is as sensitive. 80 digits runs in a stack took 170 s on two threads of a busy machine, and 50 s of
# processor time; on one thread 49 s and 15.
_SMALL_MEMBER = 1_000_000
_WORTH_SHARING_IF_SMALL = 100_000_000


def suits_one_thread(multiplications: int, members: int = 1) -> bool:
    """Whether networks are so small that one thread trains them best.

    `multiplications` are those of a step of all `members`.

    Threads that share a step of a few microseconds wait for one another at every operation. On a busy machine
    such a wait lasts for a time slice of the scheduler: the step takes many times as long.
    """
    small = multiplications < _SMALL_MEMBER * members
    return multiplications < (_WORTH_SHARING_IF_SMALL if small else _WORTH_SHARING)


@contextmanager
def suited_threads(multiplications: int, members: int = 1) -> Iterator[None]:
    """One thread while small networks train, torch's own number for others; restored afterwards."""
    before = torch.get_num_threads()
    if suits_one_thread(multiplications, members):
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# Where cuBLAS looks for how much memory its products may use (https://docs.nvidia.com/cuda/cublas, "reproducibility").
_CUBLAS = "CUBLAS_WORKSPACE_CONFIG"


@contextmanager
def runtime_context(config: Config, multiplications: int, members: int = 1) -> Iterator[torch.device]:
    """The device of a config, set as it asks for, while steps of so many multiplications are made there."""
    # The device comes second: the number of threads that the user sets takes precedence.
    with suited_threads(multiplications, members), config.device.in_use() as device, _determinism(config.deterministic):
        yield device


@contextmanager
def _determinism(wanted: bool) -> Iterator[None]:
    """Only algorithms that give the same bits each time, while a run that asked for it goes on."""
    enabled = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    if not wanted or (enabled and not warn_only):
        # Calling torch's switch, even to leave all as it is, imports its compiler: a second of start-up.
        yield
        return
    workspace = os.environ.get(_CUBLAS)
    # Without it torch refuses to promise the same bits of products on a CUDA GPU.
    os.environ.setdefault(_CUBLAS, ":4096:8")
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
        if workspace is None:
            del os.environ[_CUBLAS]
