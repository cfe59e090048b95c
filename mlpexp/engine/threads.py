"""How many processor threads a small network is worth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

# Below this many multiplications a step (members × batch size × parameters) a second thread gains a seventh on a
# machine that does nothing else, and loses several times that on one that does: digits and the 2-D sets stay below
# with thirty members and more, MNIST alone is above.
_WORTH_SHARING = 10_000_000


@contextmanager
def suited_threads(multiplications: int) -> Iterator[None]:
    """One thread while a small network trains, torch's own number for others; restored afterwards.

    Threads that share a step of a few microseconds wait for one another at its every operation. On a machine
    that does anything else beside, such a wait lasts until the scheduler comes round: the step takes many times
    as long.
    """
    before = torch.get_num_threads()
    if multiplications < _WORTH_SHARING:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
