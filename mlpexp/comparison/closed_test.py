"""Multiple testing: p-values adjusted such that the chance of any false positive (familywise error rate) is at most α.

k settings, m = k (k − 1) / 2 pairs of them in the order of `pairs`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np

# Up to so many settings the closed test is used. With eight settings it has 4,139 sets of pairs, with nine 21,146.
_MOST_CLOSED = 8


def pairs(k: int) -> list[tuple[int, int]]:
    """All pairs of k settings: (0, 1), (0, 2), …, (k − 2, k − 1)."""
    return [(first, second) for first in range(k) for second in range(first + 1, k)]


def adjusted_pairs(p: np.ndarray, k: int) -> np.ndarray:
    """The adjusted p-values of all pairs [..., m]. nan marks a pair without a test: it stays nan and is not counted.

    Up to eight settings this is a closed test. Not every set of pairs can be the true null hypotheses: a = b and b = c
    imply a = c. The sets that can, called *exhaustive*, belong to the partitions of the settings into groups of equal
    ones (Bergmann and Hommel 1988). A pair is rejected if each exhaustive set that includes it is rejected. A set of s
    pairs is tested by Simes' (1986) min over i of s·p₍ᵢ₎/i. Rejecting p̃ ≤ α keeps the chance of any false rejection at
    α. Simes' inequality is proved for positive dependence only; simulations (benchmarks/verdicts.py) show the same
    here, also for unequal variances. Above eight settings it is `shaffer`.
    """
    p = np.asarray(p, dtype=float)
    if k > _MOST_CLOSED:
        return shaffer(p, k)
    tested = np.isfinite(p)
    filled = np.where(tested, p, np.inf)
    adjusted = np.zeros(p.shape)
    for sets, memberships in _exhaustive_sets(k):
        s = tested[..., sets].sum(-1, keepdims=True)
        ordered = np.sort(filled[..., sets], axis=-1)
        here = np.isfinite(ordered)
        simes = np.where(here, ordered, 1.0) * s / np.arange(1, sets.shape[1] + 1)
        of_set = simes.min(-1, where=here, initial=1.0)
        for pair, members in enumerate(memberships):
            if len(members):
                adjusted[..., pair] = np.maximum(adjusted[..., pair], of_set[..., members].max(-1))
    return np.where(tested, np.minimum(adjusted, 1.0), np.nan)


@cache
def _exhaustive_sets(k: int) -> list[tuple[np.ndarray, list[np.ndarray]]]:
    """The exhaustive sets of pairs, grouped by size: indices of pairs [number of sets, size].

    Each group comes with a list that has, for each pair, the numbers of the sets that include it.
    """
    number = {pair: index for index, pair in enumerate(pairs(k))}
    by_size: dict[int, list[list[int]]] = {}
    for blocks in _partitions(k):
        found = [number[a, b] for block in blocks for at, a in enumerate(block) for b in block[at + 1 :]]
        if found:
            by_size.setdefault(len(found), []).append(found)
    arrays = [np.array(sets) for sets in by_size.values()]
    return [(sets, [(sets == pair).any(1).nonzero()[0] for pair in range(len(number))]) for sets in arrays]


def _partitions(k: int) -> Iterator[list[list[int]]]:
    if k == 0:
        yield []
        return
    for blocks in _partitions(k - 1):
        for at, block in enumerate(blocks):
            yield [*blocks[:at], [*block, k - 1], *blocks[at + 1 :]]
        yield [*blocks, [k - 1]]


def shaffer(p: np.ndarray, k: int) -> np.ndarray:
    """p̃₍ᵢ₎ = max over j ≤ i of min(1, tⱼ p₍ⱼ₎), for all pairs [m] of k settings, smallest p first (Shaffer 1986).

    tⱼ is the largest number of pairs that can be equal if j − 1 are not. It is at most the m − j + 1 of `holm`.
    """
    possible = sorted(_possible_numbers(k))
    m = int(np.isfinite(p).sum())
    steps = [min(max(n for n in possible if n <= p.shape[-1] - j), m - j) for j in range(m)]
    return _stepped(p, steps)


@cache
def _possible_numbers(k: int) -> frozenset[int]:
    """The numbers of pairs, among those of k settings, that can be equal at the same time."""
    if k < 2:
        return frozenset({0})
    return frozenset(j * (j - 1) // 2 + n for j in range(1, k + 1) for n in _possible_numbers(k - j))


def holm(p: Sequence[float] | np.ndarray) -> np.ndarray:
    """p-values adjusted for m tests: p̃₍ᵢ₎ = max over j ≤ i of min(1, (m − j + 1) p₍ⱼ₎), smallest p first (Holm 1979).

    For tests against one baseline, where each null hypothesis may be false on its own. nan marks a missing test: it
    stays nan and is not counted.
    """
    p = np.asarray(p, dtype=float)
    return _stepped(p, list(range(int(np.isfinite(p).sum()), 0, -1)))


def _stepped(p: np.ndarray, steps: Sequence[int]) -> np.ndarray:
    adjusted = np.full(p.shape, np.nan)
    (tested,) = np.nonzero(np.isfinite(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    adjusted[order] = np.minimum(np.maximum.accumulate(np.array(steps, dtype=float) * p[order]), 1.0)
    return adjusted


def letters(different: np.ndarray) -> list[str]:
    """The letters of k settings: those that share a letter do not differ (compact letter display, Piepho 2004).

    `different` [k, k] says of each pair whether it differs. The first setting has an a; after z follow numbers.
    """
    k = len(different)
    groups = [set(range(k))]
    for one, other in zip(*np.nonzero(np.triu(different, 1)), strict=True):
        split = [part for group in groups if {one, other} <= group for part in (group - {one}, group - {other})]
        groups = [group for group in groups if not {one, other} <= group]
        for part in split:
            if not any(part <= group for group in groups):
                groups = [group for group in groups if not group <= part] + [part]
    groups.sort(key=sorted)
    names = [chr(ord("a") + at) if at < 26 else f"({at + 1})" for at in range(len(groups))]
    return ["".join(name for name, group in zip(names, groups, strict=True) if at in group) for at in range(k)]
