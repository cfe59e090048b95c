"""How many threads train: one where small networks do."""

from __future__ import annotations

import pytest
import torch

from mlpexp.engine.process import suited_threads


@pytest.mark.parametrize(
    ("member", "members", "threads"),
    [(17_000_000, 1, 3), (9_000_000, 1, 1), (9_000_000, 2, 3), (290_000, 80, 1), (290_000, 400, 3)],
)
def test_small_networks_train_on_one_thread(member: int, members: int, threads: int) -> None:
    """MNIST, half of it, a stack of two such, 80 digits runs, 400 of them."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with suited_threads(members * member, members):
            assert torch.get_num_threads() == threads
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
