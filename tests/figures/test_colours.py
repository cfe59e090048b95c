"""Colours that stand in one figure are told apart by readers with any common kind of colour vision.

Seen as Machado, Oliveira & Fernandes (2009) simulate full protanopia, deuteranopia and tritanopia in linear RGB; apart
by CIEDE2000 (Sharma, Wu & Dalal, 2005), of which about 1 is just noticed side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from mlpexp.figures import style
from mlpexp.figures.activation_functions import _DERIVATIVE, _FUNCTION
from mlpexp.figures.epoch_axes import COLOURS
from mlpexp.figures.lr_curve import _MARKS

VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = XYZ.sum(1)

# Colours by the figure that they stand in, and how far apart they are at least.
TOGETHER: dict[str, tuple[Sequence[Any], float]] = {
    "curves of settings": (COLOURS, 15),
    "functions of settings": ([*COLOURS, style.TRUE_FUNCTION], 12),
    "classes and their mean": ([*map(tuple, style.class_colours(12)), style.TRUE_FUNCTION, style.NETWORK], 9),
    "classes": ([tuple(colour) for colour in style.class_colours(12)], 10),
    "splits and functions": ([*style.SPLITS.values(), style.TRUE_FUNCTION, style.NETWORK], 12),
    "predictions": ([style.RIGHT, style.WRONG, style.NEUTRAL], 15),
    "learning-rate test": ([*(hue for hue, _ in _MARKS.values()), style.TRAIN, style.INK, style.NEUTRAL], 12),
    "function and derivative": ([_FUNCTION, _DERIVATIVE], 15),
    "a setting among others": ([style.TRAIN, style.NEUTRAL], 15),
}


def lab(rgb: np.ndarray, vision: np.ndarray) -> np.ndarray:
    """CIE L*a*b* [N, 3], D65, of sRGB colours [N, 3] as a vision makes them."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = (linear @ vision.T).clip(0, 1) @ XYZ.T / WHITE
    f = np.where(seen > (6 / 29) ** 3, np.cbrt(seen), seen / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)


def ciede2000(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """ΔE00 of pairs of L*a*b* colours, both [N, 3]."""
    (l1, a1, b1), (l2, a2, b2) = one.T, other.T
    chroma = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    stretch = 1.5 - 0.5 * np.sqrt(chroma**7 / (chroma**7 + 25**7))
    c1, c2 = np.hypot(stretch * a1, b1), np.hypot(stretch * a2, b2)
    h1, h2 = (np.degrees(np.arctan2(b, stretch * a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    grey = c1 * c2 == 0
    turn = np.where(grey, 0, (h2 - h1 + 180) % 360 - 180)
    hue = np.where(grey, h1 + h2, np.where(abs(h1 - h2) <= 180, h1 + h2, h1 + h2 + 360) / 2)
    light, c = (l1 + l2) / 2 - 50, (c1 + c2) / 2
    angles = np.radians([hue - 30, 2 * hue, 3 * hue + 6, 4 * hue - 63])
    t = 1 + np.array([-0.17, 0.24, 0.32, -0.2]) @ np.cos(angles)
    dl = (l2 - l1) / (1 + 0.015 * light**2 / np.sqrt(20 + light**2))
    dc = (c2 - c1) / (1 + 0.045 * c)
    dh = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2)) / (1 + 0.015 * c * t)
    rotation = -2 * np.sqrt(c**7 / (c**7 + 25**7)) * np.sin(np.radians(60 * np.exp(-(((hue - 275) / 25) ** 2))))
    return np.asarray(np.sqrt(dl**2 + dc**2 + dh**2 + rotation * dc * dh))


def test_ciede2000_has_the_published_values() -> None:
    # Pairs 1, 7, 17 and 25 of Sharma, Wu & Dalal.
    one = [[50, 2.6772, -79.7751], [50, 0, 0], [50, 2.5, 0], [60.2574, -34.0099, 36.2677]]
    other = [[50, 0, -82.7485], [50, -1, 2], [73, 25, -18], [60.4626, -34.1751, 39.4387]]
    found = ciede2000(np.array(one), np.array(other))
    np.testing.assert_allclose(found, [2.0425, 2.3669, 27.1492, 1.2644], atol=1e-4)


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("together", TOGETHER)
def test_colours_of_a_figure_are_told_apart(together: str, vision: str) -> None:
    colours, least = TOGETHER[together]
    seen = lab(np.array([to_rgb(colour) for colour in colours]), VISION[vision])
    one, other = np.triu_indices(len(seen), 1)
    apart = ciede2000(seen[one], seen[other])
    nearest = apart.argmin()
    assert apart[nearest] >= least, (colours[one[nearest]], colours[other[nearest]])
    # Each is seen on the white of the page.
    assert ciede2000(seen, lab(np.ones((1, 3)), VISION[vision]).repeat(len(seen), 0)).min() >= 10
