"""What a step frees stays with the process."""

from __future__ import annotations

import resource
import sys

import pytest
import torch

from mlpexp.engine.heap import keep_freed_memory


@pytest.mark.skipif(sys.platform != "linux", reason="malloc of glibc only")
def test_freed_memory_is_not_fetched_anew() -> None:
    """Three blocks of 16 MiB, again and again: by default glibc hands thousands of their pages back each time."""
    keep_freed_memory()

    def faults_of_a_round() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        blocks = [torch.ones(4 * 2**20) for _ in range(3)]
        del blocks
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    rounds = [faults_of_a_round() for _ in range(20)]
    # The first ones find out where the blocks fit.
    assert max(rounds[15:]) < 100
